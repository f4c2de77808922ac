"""PEPITA in two-compartment neurons: the soma stores the standard activity of the dendrite.

    dendrite   τ d_l' = −d_l + W_l r_{l−1} + b_l         hidden and output neurons
    axon       r_l = m_l ∘ s_l(d_l),   r_0 = x + s F ε    F conducts only in the modulated phase
    soma       τ_s σ_l' = g (r_l − σ_l) − g_L σ_l         g only in the standard phase: a memory
    error      τ_s ε' = r_L − y − ε                       only in the standard phase: a memory
    synapses   ΔW_l = −η (σ_l − r_l) r_{l−1}ᵀ,  ΔW_L = −η ε r_{L−1}ᵀ    in the modulated phase

x, y are input and target, clamped; m_l is the dropout mask; τ (``tau``) and τ_s (``tau_memory``)
are in ms; g (``coupling``) and g_L (``memory_leak``) have no unit. Populations: input (its thalamic
compartment receives the error), hidden_1.., output, target, error. With ``store="interneuron"``,
one interneuron per hidden neuron is the memory and projects to the soma of this neuron. The Hebbian
form learns −r_l r_{l−1}ᵀ in the standard phase and +r_l r_{l−1}ᵀ in the modulated phase, in which
the output neuron receives its target. The time-local form changes weights at the end of each phase.

The steady state is the rule. In time, with phases of T ms and plasticity in their last T_p, ΔW_l
lacks the tail of a cascade of l low-pass filters: e^−u Σ_{j<l} u^j / j!, u = (T − T_p) / τ. A
dendrite that is not at its fixed point at the end of the standard phase continues to relax in the
modulated phase; at T = 5 τ this change is as large as the mismatch. With ``memory="prospective"``
the soma stores the fixed point of the dendrite, m_l ∘ s_l(d_l + τ d_l'), and phases may be that
short (docs/continuous.md).

Not implemented: ``presynaptic="standard"``, for which a synapse would have to store its input, and
weight mirroring.

Source: Dellaferrera & Kreiman, ICML 2022, section 5 (two compartments, or an interneuron, for the
two passes); the equations in time are ours.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from biocircuits.description.circuit import Circuit, Phase
from biocircuits.description.circuit_file import CircuitFile
from biocircuits.description.populations import Compartment, Coupling, Formula, Population
from biocircuits.description.projections import Plasticity, Projection, Synapse
from biocircuits.description.signals import Local, activation, positive, slope
from rate_models.errors import BadOption
from rate_models.model.hyperparameters import Milliseconds, NotNegative, Positive
from rate_models.network import NetworkSpec

STANDARD, MODULATED = "standard", "modulated"


class Settings(NamedTuple):
    """Time constants, durations, the memory of the standard phase, and noise.

    tau, tau_memory: τ, τ_s in ms. phase: T of each phase in ms. coupling: g between dendrite and
    soma. memory_leak: g_L of the memory. store: the neuron that has the memory. memory: whether it
    stores the rate or the fixed point of the dendrite. membrane_noise: standard deviation of the
    dendrites at rest. synaptic_noise: relative, per √ms.
    """

    tau: Milliseconds = 10.0
    tau_memory: Milliseconds = 1.0
    phase: Milliseconds = 100.0
    coupling: Positive = 1.0
    memory_leak: NotNegative = 0.0
    store: Literal["soma", "interneuron"] = "soma"
    memory: Literal["rate", "prospective"] = "rate"
    membrane_noise: NotNegative = 0.0
    synaptic_noise: NotNegative = 0.0


def build(spec: NetworkSpec, hyper: Any, settings: Settings) -> Circuit:
    """The circuit. Raises BadOption for variants that these neurons cannot implement."""
    if hyper.presynaptic == "standard":
        remedy = "a synapse does not store its input"
        raise BadOption("presynaptic of circuit pepita", got="standard", remedy=remedy)
    if hyper.mirror_before or hyper.mirror_every:
        remedy = "no neuron of this circuit makes the noise that mirroring needs"
        raise BadOption("mirroring in circuit pepita", got="mirror_before or mirror_every",
                        expected="0", remedy=remedy)  # fmt: skip
    if settings.memory == "prospective" and settings.store == "interneuron":
        remedy = "an interneuron receives only the rate"
        raise BadOption("memory of circuit pepita", got="prospective", remedy=remedy)
    last, names = spec.layers, ["input", *(f"hidden_{n}" for n in range(1, spec.layers)), "output"]
    populations, projections = [_input(spec, hyper)], []
    for layer in range(1, last):
        populations += _hidden(spec, hyper, settings, layer)
        projections += _memory(names[layer], settings)
    populations += _ends(spec, hyper, settings)
    for layer in range(1, last + 1):
        plastic: tuple[Plasticity, ...] = ()
        if layer > hyper.inject:
            plastic = _plasticity(spec, hyper, settings, layer)
        target = f"{names[layer]}.dendrite"
        projections.append(
            Projection(f"W_{layer}", names[layer - 1], target, parameter=("W", layer - 1),
                       plasticity=plastic, noise=settings.synaptic_noise)
        )  # fmt: skip
        if spec.bias:
            projections.append(
                Projection(f"b_{layer}", "bias", target, parameter=("b", layer - 1),
                           plasticity=plastic)
            )  # fmt: skip
    projections += [
        Projection("prediction", "output", "error.dendrite", one_to_one=True),
        Projection("target", "target", "error.dendrite", sign=-1.0, one_to_one=True),
        Projection("teacher", "target", "output.teacher", one_to_one=True),
        Projection("error", "error.held", "output.apical", one_to_one=True),
        Projection("feedback", "error", f"{names[hyper.inject]}.thalamic", sign=hyper.sign,
                   parameter=("F", None), phases=(MODULATED,)),
    ]  # fmt: skip
    phases = (Phase(STANDARD, settings.phase), Phase(MODULATED, settings.phase))
    answer = ("output", "dendrite", STANDARD)
    return Circuit("pepita", tuple(populations), tuple(projections), phases, answer)


def _input(spec: NetworkSpec, hyper: Any) -> Population:
    compartments = [Compartment("sensory", clamp="x")]
    if hyper.inject == 0:
        compartments.append(Compartment("thalamic", tau=0.0))

    def rate(n: Local) -> Any:
        return n.sensory + n.thalamic if hyper.inject == 0 else n.sensory

    return Population("input", spec.sizes[0], tuple(compartments), {"rate": rate}, kind="input")


def _hidden(spec: NetworkSpec, hyper: Any, settings: Settings, layer: int) -> list[Population]:
    """The neurons of a layer, and its interneurons if they are the memory."""
    name, size, kind = f"hidden_{layer}", spec.sizes[layer], spec.names[layer - 1]
    injected, prospective = layer == hyper.inject, settings.memory == "prospective"
    compartments = [
        Compartment("dendrite", settings.tau, noise=settings.membrane_noise),
        Compartment("mask", clamp=f"mask.{layer - 1}"),
    ]
    compartments += [Compartment("thalamic", tau=0.0)] if injected else []

    def rate(n: Local) -> Any:
        fired = n.mask * activation(kind, n.dendrite)
        return fired + n.thalamic if injected else fired

    def stored(n: Local) -> Any:
        return n.mask * activation(kind, n.dendrite_ahead) if prospective else rate(n)

    memory = Compartment("soma", settings.tau_memory, settings.memory_leak)
    if settings.store == "soma":
        couplings = (Coupling(stored, "soma", settings.coupling, (STANDARD,)),)
        return [Population(name, size, (*compartments, memory), {"rate": rate}, couplings,
                           "pyramidal")]  # fmt: skip
    compartments.append(Compartment("soma", tau=0.0))
    interneurons = Population(
        f"interneuron_{layer}", size, (Compartment("dendrite", tau=0.0), memory),
        {"rate": lambda n: n.soma},
        (Coupling(lambda n: n.dendrite, "soma", settings.coupling, (STANDARD,)),), "interneuron",
    )  # fmt: skip
    return [
        Population(name, size, tuple(compartments), {"rate": rate}, kind="pyramidal"),
        interneurons,
    ]


def _memory(name: str, settings: Settings) -> list[Projection]:
    if settings.store == "soma":
        return []
    interneuron = name.replace("hidden", "interneuron")
    return [
        Projection(f"to_{interneuron}", name, f"{interneuron}.dendrite", one_to_one=True),
        Projection(f"from_{interneuron}", interneuron, f"{name}.soma", one_to_one=True),
    ]


def _ends(spec: NetworkSpec, hyper: Any, settings: Settings) -> list[Population]:
    """The populations output, target and error, and a neuron of constant rate for biases."""
    size, kind = spec.sizes[-1], spec.names[-1]
    output = Population(
        "output", size,
        (Compartment("dendrite", settings.tau, noise=settings.membrane_noise),
         Compartment("soma", settings.tau_memory, 0.0), Compartment("apical", tau=0.0),
         Compartment("teacher", tau=0.0)),
        {"rate": lambda n: activation(kind, n.dendrite)},
        (Coupling(lambda n: n.dendrite, "soma", phases=(STANDARD,)),), "pyramidal",
    )  # fmt: skip
    signals: dict[str, Formula] = {
        "error": lambda n: n.soma,
        "sign": lambda n: positive(n.soma) - positive(-n.soma),
        "random": lambda n: n.random * hyper.perturbation,
    }
    parts = [Compartment("dendrite", tau=0.0), Compartment("soma", settings.tau_memory, 0.0)]
    parts += [Compartment("random", clamp="noise.0")] if hyper.modulation == "random" else []
    error = Population(
        "error", size, tuple(parts), {"rate": signals[hyper.modulation], "held": signals["error"]},
        (Coupling(lambda n: n.dendrite, "soma", phases=(STANDARD,)),), "modulator",
    )  # fmt: skip
    target = Population("target", size, (Compartment("soma", clamp="y"),),
                        {"rate": lambda n: n.soma}, kind="input")  # fmt: skip
    bias = Population("bias", 1, (Compartment("soma", clamp=1.0),), {"rate": lambda n: n.soma})
    return [output, target, error, *([bias] if spec.bias else [])]


def _plasticity(
    spec: NetworkSpec, hyper: Any, settings: Settings, layer: int
) -> tuple[Plasticity, ...]:
    last, kind = layer == spec.layers, spec.names[-1]
    through = last and spec.loss == "mse"

    def mismatch(s: Local) -> Any:
        if last:
            return -(s.apical * slope(kind, s.soma) if through else s.apical) * s.pre
        return (s.rate - s.soma) * s.pre

    def before(s: Local) -> Any:
        return -(s.rate * slope(kind, s.soma) if through else s.rate) * s.pre

    def after(s: Local) -> Any:
        if last:
            return (s.teacher * slope(kind, s.soma) if through else s.teacher) * s.pre
        return s.rate * s.pre

    if hyper.form == "mismatch":
        return (Plasticity(mismatch, (MODULATED,)),)
    immediately = hyper.form == "time_local"
    rules: list[tuple[Synapse, str]] = [(before, STANDARD), (after, MODULATED)]
    return tuple(Plasticity(f, (phase,), immediately=immediately) for f, phase in rules)


CIRCUIT = CircuitFile(__name__, rule="pepita", settings=Settings, build=build)
