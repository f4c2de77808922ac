"""Node perturbation with learned feedback: noisy somata, and feedback that learns from the noise.

    basal      τ u_l' = −u_l + W_l h_{l−1} + b_l
    axon       h_l = m_l ∘ s_l(u_l) + c ξ_l              ξ_l only in the noisy phase
    apical     τ_a v_l' = −v_l + B_{l+1}ᵀ ẽ_{l+1}         or, dfa, B_lᵀ ẽ_L
    teaching   τ_s ẽ_l' = m_l ∘ s_l'(u_l) ∘ v_l − ẽ_l     only in the clean phase: a memory
    loss       τ_L L' = −L + Σ_i ℓ_i,   τ_s L̄' = L − L̄    L̄ only in the clean phase: a memory
    estimate   T_λ λ̂_l' = −λ̂_l + (L − L̄) ξ_l / c          L − L̄ is broadcast; T_λ = 0: no delay
    synapses   ΔW_l = −η ẽ_l h_{l−1}ᵀ                     clean phase
               ΔB_{l+1}ᵀ = −η_B v_l ẽ_{l+1}ᵀ (clean), + η_B λ̂_l ẽ_{l+1}ᵀ (noisy)

x, y are clamped; m_l is the dropout mask; ℓ_i is the loss at output neuron i, which its error
neuron computes. ξ_l is drawn once per sample and constant (``tau_noise`` 0), or it is an
Ornstein-Uhlenbeck process with time constant ``tau_noise``. The estimate then has the mean λ Π τ_ξ
/ (τ_ξ + τ_d), with a factor for each time constant τ_d of the filters between noise and loss. The
steady state, with constant noise, is the rule.

Not implemented: the ridge solver, because a synapse cannot compute a matrix inverse, and its
warm-up.

Source: Lansdell, Prakash & Kording, ICLR 2020, section 2; the equations in time are ours.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from biocircuits.description.circuit import Circuit, Phase
from biocircuits.description.circuit_file import CircuitFile
from biocircuits.description.populations import Compartment, Coupling, Formula, Population
from biocircuits.description.projections import Plasticity, Projection
from biocircuits.description.signals import Local, activation, log, slope
from rate_models.errors import BadOption
from rate_models.model.hyperparameters import Milliseconds, NotNegative
from rate_models.network import NetworkSpec

CLEAN, NOISY = "clean", "noisy"


class Settings(NamedTuple):
    """Time constants, duration and noise.

    tau, tau_apical, tau_memory, tau_loss: τ, τ_a, τ_s, τ_L in ms. tau_estimate: T_λ in ms.
    tau_noise: τ_ξ in ms; 0: constant noise. phase: duration of each phase in ms. membrane_noise:
    standard deviation of the basal compartments at rest. synaptic_noise: relative, per √ms.
    """

    tau: Milliseconds = 10.0
    tau_apical: Milliseconds = 10.0
    tau_memory: Milliseconds = 1.0
    tau_loss: NotNegative = 0.0
    tau_estimate: NotNegative = 0.0
    tau_noise: NotNegative = 0.0
    phase: Milliseconds = 100.0
    membrane_noise: NotNegative = 0.0
    synaptic_noise: NotNegative = 0.0


def build(spec: NetworkSpec, hyper: Any, settings: Settings) -> Circuit:
    """The circuit. Raises BadOption for the ridge solver and for a warm-up."""
    if hyper.solver != "gradient":
        at = "solver of circuit node_perturbation"
        raise BadOption(at, got=hyper.solver, expected="gradient")
    if hyper.warmup:
        at = "warmup of circuit node_perturbation"
        raise BadOption(at, got=hyper.warmup, expected="0")
    names = ["input", *(f"hidden_{n}" for n in range(1, spec.layers)), "output"]
    clamped = {"rate": lambda n: n.soma}
    populations = [
        Population("input", spec.sizes[0], (Compartment("soma", clamp="x"),), clamped,
                   kind="input"),
        *(_hidden(spec, hyper, settings, n) for n in range(1, spec.layers)),
        _output(spec, settings),
        Population("target", spec.sizes[-1], (Compartment("soma", clamp="y"),), clamped,
                   kind="input"),
        _error(spec),
        _evaluator(settings),
    ]  # fmt: skip
    if spec.bias:
        populations.append(
            Population("tonic", 1, (Compartment("soma", clamp=1.0),), clamped, kind="input")
        )
    projections = [
        Projection("prediction", "output", "error.prediction", one_to_one=True),
        Projection("target", "target", "error.target", one_to_one=True),
        Projection("error", "error", "output.apical", one_to_one=True),
        Projection("losses", "error.loss", "evaluator.loss", weights=np.ones((1, spec.sizes[-1]))),
    ]
    forward = (Plasticity(lambda s: -s.teaching * s.pre, (CLEAN,)),)
    feedback = (
        Plasticity(lambda s: -s.apical * s.pre, (CLEAN,), hyper.eta_b, scaled=False),
        Plasticity(lambda s: s.estimate * s.pre, (NOISY,), hyper.eta_b, scaled=False),
    )
    for layer in range(1, spec.layers + 1):
        target, noise = f"{names[layer]}.basal", settings.synaptic_noise
        projections.append(
            Projection(f"W_{layer}", names[layer - 1], target, parameter=("W", layer - 1),
                       noise=noise, plasticity=forward)
        )  # fmt: skip
        if spec.bias:
            projections.append(
                Projection(f"b_{layer}", "tonic", target, parameter=("b", layer - 1),
                           plasticity=forward)
            )  # fmt: skip
        if layer < spec.layers:
            above = names[-1] if hyper.feedback == "dfa" else names[layer + 1]
            projections.append(
                Projection(f"B_{layer}", f"{above}.teaching", f"{names[layer]}.apical",
                           parameter=("B", layer - 1), transposed=True, noise=noise,
                           plasticity=feedback)
            )  # fmt: skip
    phases = (Phase(CLEAN, settings.phase), Phase(NOISY, settings.phase))
    answer = ("output", "basal", CLEAN)
    return Circuit("node_perturbation", tuple(populations), tuple(projections), phases, answer)


def _hidden(spec: NetworkSpec, hyper: Any, settings: Settings, layer: int) -> Population:
    kind, c = spec.names[layer - 1], hyper.c
    noise = Compartment("noise", clamp=f"noise.{layer - 1}", phases=(NOISY,))
    if settings.tau_noise:
        noise = Compartment("noise", settings.tau_noise, noise=1.0)
    noisy = Compartment("noisy", clamp=1.0, phases=(NOISY,))

    def rate(n: Local) -> Any:
        return n.mask * activation(kind, n.basal) + c * n.noise * n.noisy

    def teaching(n: Local) -> Any:
        return n.mask * slope(kind, n.basal) * n.apical

    return Population(
        f"hidden_{layer}", spec.sizes[layer],
        (Compartment("basal", settings.tau, noise=settings.membrane_noise),
         Compartment("apical", settings.tau_apical),
         Compartment("teaching_memory", settings.tau_memory, 0.0),
         Compartment("mask", clamp=f"mask.{layer - 1}"), noise, noisy,
         Compartment("estimate", settings.tau_estimate,
                     current=lambda n: n.broadcast * n.noise * n.noisy / c)),
        {"rate": rate, "teaching": lambda n: n.teaching_memory},
        (Coupling(teaching, "teaching_memory", phases=(CLEAN,)),),
        "pyramidal", broadcast="evaluator",
    )  # fmt: skip


def _output(spec: NetworkSpec, settings: Settings) -> Population:
    kind = spec.names[-1]

    def teaching(n: Local) -> Any:
        return slope(kind, n.basal) * n.apical if spec.loss == "mse" else n.apical

    return Population(
        "output", spec.sizes[-1],
        (Compartment("basal", settings.tau, noise=settings.membrane_noise),
         Compartment("apical", tau=0.0),
         Compartment("teaching_memory", settings.tau_memory, 0.0)),
        {"rate": lambda n: activation(kind, n.basal), "teaching": lambda n: n.teaching_memory},
        (Coupling(teaching, "teaching_memory", phases=(CLEAN,)),), "pyramidal",
    )  # fmt: skip


def _error(spec: NetworkSpec) -> Population:
    """One neuron per output, which computes the error and the loss of that output."""

    def squared(n: Local) -> Any:
        return 0.5 * (n.prediction - n.target) * (n.prediction - n.target)

    def surprise(n: Local) -> Any:
        return -(n.target * log(n.prediction))

    def binary(n: Local) -> Any:
        return surprise(n) - (1 - n.target) * log(1 - n.prediction)

    loss: dict[str, Formula] = {
        "mse": squared, "cross_entropy": surprise, "binary_cross_entropy": binary,
    }  # fmt: skip
    return Population(
        "error", spec.sizes[-1],
        (Compartment("prediction", tau=0.0), Compartment("target", tau=0.0)),
        {"rate": lambda n: n.prediction - n.target, "loss": loss[spec.loss]}, kind="modulator",
    )  # fmt: skip


def _evaluator(settings: Settings) -> Population:
    """The one neuron whose rate, the change of the loss, reaches all hidden neurons."""
    return Population(
        "evaluator", 1,
        (Compartment("loss", settings.tau_loss),
         Compartment("baseline", settings.tau_memory, 0.0)),
        {"rate": lambda n: n.loss - n.baseline},
        (Coupling(lambda n: n.loss, "baseline", phases=(CLEAN,)),), "modulator",
    )  # fmt: skip


CIRCUIT = CircuitFile(__name__, rule="node_perturbation", settings=Settings, build=build)
