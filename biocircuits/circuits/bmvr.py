"""BMVR in pyramidal cells with a proximal and an apical compartment, and interneurons.

    proximal      τ u' = −u + W_1 x,      axon z = m ∘ s(u) − z̄
    apical        τ_a a' = −a + W_2ᵀ y
    interneuron   τ_n n' = −n + R z
    plateau       τ_c p' = −p + a − Q n          calcium plateau: apical current less inhibition
    synapses      ΔW_1 = η (m ∘ s'(u) ∘ p) xᵀ,   ΔW_2ᵀ = η_2 (z yᵀ − W_2ᵀ)
                  ΔQ = η_q (z nᵀ − Q),  ΔR = η_q (n zᵀ − R)
    excitability  Δz̄ = ρ z                       nonlinear form: the running mean of the rate

x, y input and target, clamped; m dropout mask; s identity or relu; time constants in ms. One phase
of T ms. What plasticity writes down in its last T_p: with T_p = T the error of an update falls as
1/T, with T_p small it falls exponentially. The steady state is the rule `bmvr`. The prediction
ŷ = W_2 z is read by an observer with the apical weights, who is no part of the circuit.

Not here: the rule's ridge.

Source: Golkar, Lipshutz, Bahroun, Sengupta & Chklovskii, NeurIPS workshop 2020, figure 1 and
equations 5-9, 21-24; the equations in time are ours.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

from pydantic import Field

from biocircuits.circuit import Circuit, Phase
from biocircuits.populations import Compartment, Population
from biocircuits.projections import Plasticity, Projection
from biocircuits.signals import Local, activation, slope
from rate_models.errors import BadOption
from rate_models.network import NetworkSpec

RULE = "bmvr"
PRESENTATION = "presentation"
Milliseconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Settings(NamedTuple):
    """tau_proximal, tau_apical, tau_interneuron, tau_plateau: time constants in ms. phase: T in ms.
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
    """The circuit; BadOption for a ridge."""
    if hyper.ridge:
        raise BadOption("ridge of circuit bmvr", got=hyper.ridge, expected="0")
    (inputs, k, outputs), kind = spec.sizes, spec.names[0]
    mean = kind != "identity"
    phases = (PRESENTATION,)

    def rate(n: Local) -> Any:
        fired = n.mask * activation(kind, n.proximal)
        return fired - n.adaptation if mean else fired

    def plateau(s: Local) -> Any:
        return s.plateau * slope(kind, s.proximal) * s.mask * s.pre

    def leaky(s: Local) -> Any:
        return s.rate * s.pre - s.weight

    def drift(s: Local) -> Any:
        return s.rate * s.pre

    compartments = [
        Compartment("proximal", settings.tau_proximal, noise=settings.membrane_noise),
        Compartment("apical", settings.tau_apical),
        Compartment("plateau", settings.tau_plateau, current=lambda n: n.apical),
        Compartment("mask", clamp="mask.0"),
    ]
    compartments += [Compartment("adaptation", tau=0.0)] if mean else []
    clamped = {"rate": lambda n: n.soma}
    populations = [
        Population("input", inputs, (Compartment("soma", clamp="x"),), clamped, kind="input"),
        Population("target", outputs, (Compartment("soma", clamp="y"),), clamped, kind="input"),
        Population("pyramidal", k, tuple(compartments), {"rate": rate}, kind="pyramidal"),
        Population("interneuron", k, (Compartment("soma", settings.tau_interneuron),),
                   {"rate": lambda n: n.soma}, kind="interneuron"),
        Population("prediction", outputs, (Compartment("soma", tau=0.0),), clamped, observer=True),
    ]  # fmt: skip
    noise = settings.synaptic_noise
    projections = [
        Projection("W_1", "input", "pyramidal.proximal", parameter=("W", 0), noise=noise,
                   plasticity=(Plasticity(plateau, phases),)),
        Projection("W_2", "target", "pyramidal.apical", parameter=("W", 1), transposed=True,
                   noise=noise, plasticity=(Plasticity(leaky, phases, hyper.eta_apical),)),
        Projection("R", "pyramidal", "interneuron.soma", parameter=("R", None), noise=noise,
                   plasticity=(Plasticity(leaky, phases, hyper.eta_q),)),
        Projection("Q", "interneuron", "pyramidal.plateau", sign=-1.0, parameter=("Q", None),
                   noise=noise, plasticity=(Plasticity(leaky, phases, hyper.eta_q),)),
        Projection("readout", "pyramidal", "prediction.soma", parameter=("W", 1), observer=True),
    ]  # fmt: skip
    if mean:
        populations.append(
            Population("tonic", 1, (Compartment("soma", clamp=1.0),), clamped, kind="input")
        )
        projections.append(
            Projection("excitability", "tonic", "pyramidal.adaptation", parameter=("mean", None),
                       plasticity=(Plasticity(drift, phases, hyper.mean_rate, scaled=False),))
        )  # fmt: skip
    answer = ("prediction", "soma", PRESENTATION)
    presentation = (Phase(PRESENTATION, settings.phase),)
    return Circuit("bmvr", tuple(populations), tuple(projections), presentation, answer)
