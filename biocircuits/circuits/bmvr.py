"""BMVR in pyramidal cells with a proximal and an apical compartment, and interneurons.

    proximal      τ u' = −u + W_1 x,      axon z = m ∘ s(u) − z̄
    apical        τ_a a' = −a + W_2ᵀ y
    interneuron   τ_n n' = −n + R z
    plateau       τ_c p' = −p + a − Q n          calcium plateau: apical current less inhibition
    synapses      ΔW_1 = η (m ∘ s'(u) ∘ p) xᵀ,   ΔW_2ᵀ = η_2 (z yᵀ − W_2ᵀ)
                  ΔQ = η_q (z nᵀ − Q),  ΔR = η_q (n zᵀ − R)
    excitability  Δz̄ = ρ z                       nonlinear form: the running mean of the rate

x, y are input and target, clamped; m is the dropout mask; s is identity or relu; time constants are
in ms. There is one phase of T ms, and plasticity acts in its last T_p. With T_p = T the error of an
update falls as 1/T, and with small T_p exponentially. The steady state is the rule `bmvr`. An
observer with the apical weights, which is no part of the circuit, computes the prediction ŷ = W_2
z.

Not implemented: the ridge of the rule.

Source: Golkar, Lipshutz, Bahroun, Sengupta & Chklovskii, NeurIPS workshop 2020, figures 2 and 4,
equations 5-9, 21-24; the equations in time are ours.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from biocircuits.description.circuit import Circuit, Phase
from biocircuits.description.circuit_file import CircuitFile
from biocircuits.description.populations import Compartment, Population
from biocircuits.description.projections import Plasticity, Projection
from biocircuits.description.signals import Local, activation, slope
from rate_models.errors import BadOption
from rate_models.model.hyperparameters import Milliseconds, NotNegative
from rate_models.network import NetworkSpec

Parameter = tuple[str, int | None]
PRESENTATION = "presentation"


class Settings(NamedTuple):
    """Time constants, duration and noise.

    tau_proximal, tau_apical, tau_interneuron, tau_plateau: time constants in ms. phase: T in ms.
    membrane_noise: standard deviation of the proximal compartments at rest. synaptic_noise:
    relative, per √ms.
    """

    tau_proximal: Milliseconds = 10.0
    tau_apical: Milliseconds = 10.0
    tau_interneuron: Milliseconds = 10.0
    tau_plateau: Milliseconds = 10.0
    phase: Milliseconds = 100.0
    membrane_noise: NotNegative = 0.0
    synaptic_noise: NotNegative = 0.0


def build(spec: NetworkSpec, hyper: Any, settings: Settings) -> Circuit:
    """The circuit. Raises BadOption for a ridge."""
    if hyper.ridge:
        raise BadOption("ridge of circuit bmvr", got=hyper.ridge, expected="0")
    names: dict[str, Parameter] = {
        "W": ("W", 0), "V": ("W", 1), "Q": ("Q", None), "R": ("R", None), "mean": ("mean", None),
    }  # fmt: skip
    labels = {"W": "W_1", "V": "W_2", "Q": "Q", "R": "R", "mean": "excitability"}
    return assembled("bmvr", spec, [("", names, labels)], hyper, settings)


def assembled(
    name: str,
    spec: NetworkSpec,
    layers: list[tuple[str, dict[str, Parameter], dict[str, str]]],
    hyper: Any,
    settings: Settings,
) -> Circuit:
    """The circuit of one or more hidden layers, each with the target, and an observer of the last.

    layers: for each, (suffix of the names of its populations, parameters of its projections by the
    keys W, V, Q, R, mean, names of its projections by the same keys).
    """
    clamped = {"rate": lambda n: n.soma}
    outputs = spec.sizes[-1]
    populations = [
        Population("input", spec.sizes[0], (Compartment("soma", clamp="x"),), clamped,
                   kind="input"),
        Population("target", outputs, (Compartment("soma", clamp="y"),), clamped, kind="input"),
        Population("tonic", 1, (Compartment("soma", clamp=1.0),), clamped, kind="input"),
        Population("prediction", outputs, (Compartment("soma", tau=0.0),), clamped, observer=True),
    ]  # fmt: skip
    projections, source = [], "input"
    for layer, (suffix, parameters, labels) in enumerate(layers, start=1):
        cells = f"pyramidal{suffix}"
        populations += _cells(spec, layer, suffix, settings)
        projections += _synapses(spec, layer, source, suffix, parameters, labels, hyper, settings)
        source, last = cells, parameters["V"]
    if not any(p.source == "tonic" for p in projections):
        populations = [p for p in populations if p.name != "tonic"]
    projections.append(
        Projection("readout", source, "prediction.soma", parameter=last, observer=True)
    )
    phases = (Phase(PRESENTATION, settings.phase),)
    answer = ("prediction", "soma", PRESENTATION)
    return Circuit(name, tuple(populations), tuple(projections), phases, answer)


def _cells(spec: NetworkSpec, layer: int, suffix: str, settings: Settings) -> list[Population]:
    kind, size = spec.names[layer - 1], spec.sizes[layer]
    mean = kind != "identity"

    def rate(n: Local) -> Any:
        fired = n.mask * activation(kind, n.proximal)
        return fired - n.adaptation if mean else fired

    compartments = [
        Compartment("proximal", settings.tau_proximal, noise=settings.membrane_noise),
        Compartment("apical", settings.tau_apical),
        Compartment("plateau", settings.tau_plateau, current=lambda n: n.apical),
        Compartment("mask", clamp=f"mask.{layer - 1}"),
    ]
    compartments += [Compartment("adaptation", tau=0.0)] if mean else []
    return [
        Population(f"pyramidal{suffix}", size, tuple(compartments), {"rate": rate},
                   kind="pyramidal"),
        Population(f"interneuron{suffix}", size, (Compartment("soma", settings.tau_interneuron),),
                   {"rate": lambda n: n.soma}, kind="interneuron"),
    ]  # fmt: skip


def _synapses(
    spec: NetworkSpec,
    layer: int,
    source: str,
    suffix: str,
    parameters: dict[str, Parameter],
    labels: dict[str, str],
    hyper: Any,
    settings: Settings,
) -> list[Projection]:
    kind, phases, noise = spec.names[layer - 1], (PRESENTATION,), settings.synaptic_noise
    cells, interneurons = f"pyramidal{suffix}", f"interneuron{suffix}"

    def plateau(s: Local) -> Any:
        return s.plateau * slope(kind, s.proximal) * s.mask * s.pre

    def leaky(s: Local) -> Any:
        return s.rate * s.pre - s.weight

    def drift(s: Local) -> Any:
        return s.rate * s.pre

    projections = [
        Projection(labels["W"], source, f"{cells}.proximal", parameter=parameters["W"],
                   noise=noise, plasticity=(Plasticity(plateau, phases),)),
        Projection(labels["V"], "target", f"{cells}.apical", parameter=parameters["V"],
                   transposed=True, noise=noise,
                   plasticity=(Plasticity(leaky, phases, hyper.eta_apical),)),
        Projection(labels["R"], cells, f"{interneurons}.soma", parameter=parameters["R"],
                   noise=noise, plasticity=(Plasticity(leaky, phases, hyper.eta_q),)),
        Projection(labels["Q"], interneurons, f"{cells}.plateau", sign=-1.0,
                   parameter=parameters["Q"], noise=noise,
                   plasticity=(Plasticity(leaky, phases, hyper.eta_q),)),
    ]  # fmt: skip
    if kind != "identity":
        slow = Plasticity(drift, phases, hyper.mean_rate, scaled=False)
        projections.append(
            Projection(labels["mean"], "tonic", f"{cells}.adaptation",
                       parameter=parameters["mean"], plasticity=(slow,))
        )  # fmt: skip
    return projections


CIRCUIT = CircuitFile(__name__, rule="bmvr", settings=Settings, build=build)
