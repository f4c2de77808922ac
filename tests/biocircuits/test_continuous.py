"""Circuits in time: their deviation from the discrete algorithm, against theory."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from biocircuits import (
    Circuit,
    CircuitNetwork,
    Compartment,
    Phase,
    Population,
    Probe,
    Projection,
    Settings,
    Simulator,
)
from biocircuits.circuits import bmvr, node_perturbation, pepita
from rate_models.network import NetworkSpec
from rate_models.textbook import initial_parameters

TAU = 10.0


def tail(u: float, filters: int) -> float:
    """The deviation of a cascade of equal low-pass filters after u time constants."""
    return math.exp(-u) * sum(u**j / math.factorial(j) for j in range(filters))


def changes(circuit: Circuit, params: Any, settings: Settings, given: Any) -> dict[str, np.ndarray]:
    """The weight changes of one sample, from rest and at a rate of 1, by projection."""
    simulator = Simulator(circuit, params, settings)
    before = simulator.W.copy()
    simulator.present(given, lr=1.0)
    return {
        p.name: (simulator.W - before)[simulator.compiled.weights[p.name]]
        for p in circuit.projections
        if p.plasticity
    }


def off(value: np.ndarray, truth: np.ndarray) -> float:
    """The relative deviation of a value."""
    return float(np.linalg.norm(value - truth) / np.linalg.norm(truth))


@pytest.mark.parametrize("u", [3.0, 8.0, 14.0, 20.0])
def test_pepita_lacks_the_tail_of_a_cascade(u: float) -> None:
    """A linear network whose standard phase is long, so that the modulated phase alone is short."""
    spec = NetworkSpec((12, 10, 8, 6, 4), "identity", "mse")
    hyper = pepita_hyper(feedback_scale=1e-3)
    params = initial_parameters(spec, "pepita", 1, feedback_scale=1e-3)
    rng = np.random.default_rng(2)
    given = {"x": rng.normal(size=12), "y": rng.normal(size=4)}
    given |= {f"mask.{i}": np.ones(n) for i, n in enumerate(spec.sizes[1:-1])}
    circuit = pepita.build(spec, hyper, pepita.Settings(TAU))
    exact = changes(circuit, params, Settings(), given)
    # in the linear network what r_l lacks is the tail of the l filters up to it
    circuit = replace(circuit, phases=(Phase("standard", 60 * TAU), Phase("modulated", u * TAU)))
    measured = changes(circuit, params, Settings("continuous", dt=TAU / 1000), given)
    for layer in (1, 2, 3):
        predicted = tail(u, layer)
        assert off(measured[f"W_{layer}"], exact[f"W_{layer}"]) == pytest.approx(predicted, rel=0.1)


def pepita_hyper(**options: Any) -> Any:
    from rate_models.rules.pepita import Hyperparameters

    return Hyperparameters(**options)


@pytest.mark.parametrize("window", [0.0, 1.0])
def test_pepita_from_rest_with_a_window_and_both_phases_short(window: float) -> None:
    """The error lies behind the three filters of the standard phase; T_p = τ, τ_s = τ / 10."""
    spec = NetworkSpec((20, 16, 12, 5), "identity", "mse")
    rng = np.random.default_rng(0)
    x, y = rng.random(20), np.eye(5)[2]

    def weights(**settings: Any) -> np.ndarray:
        net = CircuitNetwork(spec, "pepita", seed=0, lr=1e-3, tau=TAU, **settings)
        before = net.parameters()["W"][0]
        net.learn(x[None], targets=y[None])
        return net.parameters()["W"][0] - before

    exact, errors = weights(), []
    for periods in (8, 12, 16, 20):
        measured = weights(mode="continuous", dt=0.05, phase=periods * TAU, window=window * TAU)
        errors.append(off(measured, exact))
    falls = [math.log(a / b) for a, b in pairwise(errors)]
    expected = [math.log(tail(a, 3) / tail(a + 4, 3)) for a in (8, 12, 16)]
    assert falls == pytest.approx(expected, rel=0.1)
    assert errors[0] == pytest.approx(tail(8, 3), rel=1)


def bmvr_errors(window: float, periods: list[float]) -> dict[str, list[float]]:
    spec = NetworkSpec((10, 4, 5), "identity", "mse")
    from rate_models.rules.bmvr import Hyperparameters

    hyper = Hyperparameters(init_1=0.3, init_2=0.3)
    params = initial_parameters(spec, "bmvr", 0, init_1=0.3, init_2=0.3)
    rng = np.random.default_rng(1)
    given = {"x": rng.normal(size=10), "y": rng.normal(size=5), "mask.0": np.ones(4)}
    exact = changes(bmvr.build(spec, hyper, bmvr.Settings()), params, Settings(), given)
    errors: dict[str, list[float]] = {name: [] for name in exact}
    for n in periods:
        own = bmvr.Settings(TAU, TAU, TAU, TAU, phase=n * TAU)
        part = n * TAU if window else 0.0
        measured = changes(
            bmvr.build(spec, hyper, own), params, Settings("continuous", 0.02, part), given
        )
        for name in exact:
            errors[name].append(off(measured[name], exact[name]))
    return errors


def test_bmvr_converges_exponentially_if_plasticity_acts_at_the_end() -> None:
    """The plateau lies behind three filters: proximal, interneuron, plateau."""
    errors = bmvr_errors(0.0, [8, 12, 16, 20])
    for name, filters in (("W_1", 3), ("R", 2), ("Q", 2)):
        fall = math.log(errors[name][0] / errors[name][-1])
        # within the powers of u that the constants of the mixture decide
        assert fall == pytest.approx(12, abs=2.5 * filters)
        assert errors[name][-1] < 1e-5


def test_bmvr_converges_as_one_over_the_time_if_plasticity_acts_always() -> None:
    periods = [10.0, 20.0, 40.0, 80.0]
    errors = bmvr_errors(1.0, periods)
    for name in ("W_1", "Q", "R"):
        products = [n * e for n, e in zip(periods, errors[name], strict=True)]
        assert products == pytest.approx([products[-1]] * 4, rel=0.05)
    # Δ(W_2ᵀ) = z yᵀ − W_2ᵀ: z alone is behind, by the one filter of the proximal compartment
    lag = [n * e for n, e in zip(periods, errors["W_2"], strict=True)]
    assert lag == pytest.approx([lag[-1]] * 4, rel=0.01)


def perturbation(noise: float, periods: float, **own: Any) -> tuple[Circuit, Any, Any]:
    spec = NetworkSpec((6, 8, 3), "identity", "mse")
    from rate_models.rules.node_perturbation import Hyperparameters

    settings = node_perturbation.Settings(TAU, TAU, tau_noise=noise, phase=periods * TAU, **own)
    circuit = node_perturbation.build(spec, Hyperparameters(eta_b=1.0), settings)
    params = initial_parameters(spec, "node_perturbation", 0)
    rng = np.random.default_rng(3)
    given = {"x": rng.normal(size=6), "y": rng.normal(size=3), "mask.0": np.ones(8)}
    return circuit, params, given | {"noise.0": rng.normal(size=8)}


def test_node_perturbation_converges_exponentially_with_constant_noise() -> None:
    """Each change lies behind two or three filters of τ; the loss doubles no rate."""
    circuit, params, given = perturbation(0.0, 1)
    exact = changes(circuit, params, Settings(), given)
    errors: dict[str, list[float]] = {name: [] for name in exact}
    for periods in (8.0, 12.0, 16.0, 20.0):
        circuit = perturbation(0.0, periods)[0]
        measured = changes(circuit, params, Settings("continuous", 0.05), given)
        for name in exact:
            errors[name].append(off(measured[name], exact[name]))
    for name in exact:
        assert math.log(errors[name][0] / errors[name][-1]) == pytest.approx(12, abs=4)


@pytest.mark.slow
def test_moving_noise_estimates_the_gradient_times_the_gain_of_the_filters() -> None:
    """E λ̂ = λ Π τ_ξ / (τ_ξ + τ_d), the filters being the output's τ and the loss neuron's."""
    tau_noise, tau_loss, dt = 20.0, 5.0, 0.1
    circuit, params, given = perturbation(tau_noise, 30, tau_loss=tau_loss)
    circuit = replace(circuit, phases=(Phase("clean", 30 * TAU), Phase("noisy", 400_000.0)))
    simulator = Simulator(circuit, params, Settings("continuous", dt))
    probe = Probe(("hidden_1.estimate",), interval=5.0)
    trace = simulator.present(given, rng=np.random.default_rng(0), probe=probe)
    assert trace is not None
    error = params["W"][1] @ params["W"][0] @ given["x"] - given["y"]
    gradient = params["W"][1].T @ error
    estimates = trace.values["hidden_1.estimate"][trace.time > 30 * TAU + 20 * tau_noise]
    along = estimates @ gradient / (gradient @ gradient)
    means = np.array([segment.mean() for segment in np.array_split(along, 100)])
    mean, error_of_mean = means.mean(), means.std(ddof=1) / 10
    gain = tau_noise / (tau_noise + TAU) * tau_noise / (tau_noise + tau_loss)
    assert error_of_mean < 0.02 * gain
    assert abs(mean - gain) < 2 * error_of_mean
    # across the gradient there is nothing but noise
    rest = estimates - along[:, None] * gradient
    assert np.abs(rest.mean(0)).max() < 0.05 * np.linalg.norm(gradient)


def test_membrane_noise_has_the_given_size() -> None:
    rate = {"rate": lambda n: n.soma}
    cell = Population("cell", 500, (Compartment("soma", 20.0, leak=0.5, noise=0.3),), rate)
    circuit = Circuit("noisy", (cell,), (), (Phase("rest", 400.0),), ("cell", "soma", "rest"))
    simulator = Simulator(circuit, {}, Settings("continuous"))
    simulator.present({}, rng=np.random.default_rng(0))
    # 500 cells: the standard error of a standard deviation is σ / √1000
    assert simulator.read("cell.soma").std() == pytest.approx(0.3, abs=3 * 0.3 / 1000**0.5)


@pytest.mark.parametrize("steps", [0, 1, 2, 7])
@pytest.mark.parametrize("tau", [0.0, 5.0])
def test_a_delay_is_that_many_steps(steps: int, tau: float) -> None:
    """An impulse at step 0 arrives ``steps`` steps later in a compartment with τ = 0.

    It arrives a step later with τ > 0, where the current is that of the step before.
    """
    rate = {"rate": lambda n: n.soma}
    source = Population("source", 1, (Compartment("soma", clamp="x", phases=("on",)),), rate)
    cell = Population("cell", 1, (Compartment("soma", tau),), rate)
    wire = Projection("wire", "source", "cell.soma", one_to_one=True, delay=steps)
    phases = (Phase("on", 1.0), Phase("off", 20.0))
    circuit = Circuit("delayed", (source, cell), (wire,), phases, ("cell", "soma", "off"))
    simulator = Simulator(circuit, {}, Settings("continuous", dt=1.0))
    trace = simulator.present({"x": 1.0}, probe=Probe(("cell.soma",)))
    assert trace is not None
    soma = trace.values["cell.soma"][:, 0]
    first = int(np.flatnonzero(soma)[0])
    assert trace.time[first] == steps + (tau > 0)


@pytest.mark.parametrize("commit", ["sample", "step"])
def test_where_weights_move_makes_a_small_difference_at_a_small_rate(commit: str) -> None:
    spec = NetworkSpec((10, 8, 4))
    rng = np.random.default_rng(0)
    X, labels = rng.random((20, 10)), rng.integers(0, 4, 20)
    steady = CircuitNetwork(spec, "pepita", seed=0, lr=0.01)
    timed = CircuitNetwork(
        spec, "pepita", seed=0, lr=0.01, mode="continuous", phase=200.0, window=20.0, commit=commit
    )
    start = steady.parameters()
    for net in (steady, timed):
        net.learn(X, labels=labels)
    for before, a, b in zip(
        start["W"], steady.parameters()["W"], timed.parameters()["W"], strict=True
    ):
        assert off(b - before, a - before) < 0.01


@pytest.mark.parametrize("dt", [0.25, 1.0])
def test_release_noise_has_the_given_size(dt: float) -> None:
    """Each synapse has independent noise, σ / √dt of its current: √Σ (w r)² in the sum."""
    rng = np.random.default_rng(0)
    weights, x = rng.normal(size=(2000, 7)), rng.normal(size=7)
    source = Population("source", 7, (Compartment("soma", clamp="x"),), {"rate": lambda n: n.soma})
    cell = Population("cell", 2000, (Compartment("soma", 0.0),), {"rate": lambda n: n.soma})
    wire = Projection("wire", "source", "cell.soma", weights=weights, noise=0.1)
    phases = (Phase("on", 2 * dt),)
    circuit = Circuit("noisy", (source, cell), (wire,), phases, ("cell", "soma", "on"))
    simulator = Simulator(circuit, {}, Settings("continuous", dt=dt))
    simulator.present({"x": x}, rng=np.random.default_rng(1))
    noise = (simulator.read("cell.soma") - weights @ x) / np.linalg.norm(weights * x, axis=1)
    size = 0.1 / math.sqrt(dt)
    assert noise.std() == pytest.approx(size, abs=3 * size / 4000**0.5)


@pytest.mark.slow
@pytest.mark.parametrize("case", ["phases of 10 τ", "phases of 5 τ, prospective memory"])
def test_digits_are_learned_in_time_as_by_the_algorithm(case: str) -> None:
    """Within a point, and above hidden weights as drawn: docs/continuous.md."""
    from dendrostream_demos.continuous import CASES, IN_TIME, on_digits

    names = ("the algorithm", "the algorithm, hidden weights as drawn", case)
    discrete, frozen, timed = (
        np.mean([on_digits(seed, 5, **{**IN_TIME, **CASES[name]}) for seed in range(3)])
        for name in names
    )
    assert abs(timed - discrete) < 1
    assert timed > frozen + 2
