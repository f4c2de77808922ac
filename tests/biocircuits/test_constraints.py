"""Bounds, levels and Dale's law hold after every sample; symmetry can be perturbed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from biocircuits import CircuitNetwork
from biocircuits.simulation import constraints, symmetry
from biocircuits.simulation.simulate import Settings
from rate_models.errors import BadOption
from rate_models.network import NetworkSpec
from streaming import OnlineLearner

SPEC = NetworkSpec((6, 5, 4, 3), bias=True)
WEIGHTS = arrays(float, (4, 3), elements=st.floats(-3, 3))
BOUNDS = st.tuples(st.floats(-2, 0), st.floats(0.01, 2))
BITS = st.integers(0, 6)
SIGNS = arrays(float, (3,), elements=st.sampled_from([-1.0, 0.0, 1.0]))


def learned(options: dict[str, Any], samples: int = 60, **more: Any) -> CircuitNetwork:
    net = CircuitNetwork(SPEC, "pepita", seed=1, lr=0.1, **options, **more)
    rng = np.random.default_rng(0)
    for _ in range(samples):
        net.learn(rng.random((1, 6)), labels=rng.integers(0, 3, 1))
        assert_legal(net)
    return net


def assert_legal(net: CircuitNetwork) -> None:
    """All constraints that are set hold."""
    s, params = net.simulation, net.parameters()
    low, high = constraints.bounds(s)
    for w in params["W"]:
        assert low <= w.min() and w.max() <= high
        if s.bits:
            level = (w - low) / (high - low) * (2**s.bits - 1)
            np.testing.assert_allclose(level, np.round(level), atol=1e-9)
        if s.dale:
            assert ((w >= 0).all(axis=0) | (w <= 0).all(axis=0)).all()


@given(WEIGHTS, BOUNDS, BITS, SIGNS, st.booleans(), st.integers(0, 9))
def test_constraints_hold_after_they_are_applied(
    w: np.ndarray, bounds: tuple[float, float], bits: int, sign: np.ndarray, dale: bool, seed: int
) -> None:
    settings = Settings(low=bounds[0], high=bounds[1], bits=bits, dale=dale)
    for rng in (None, np.random.default_rng(seed)):
        out = w.copy()
        constraints.apply(out, settings, sign, rng)
        assert (out >= bounds[0]).all() and (out <= bounds[1] + 1e-12).all()
        if bits:
            level = (out - bounds[0]) / (bounds[1] - bounds[0]) * (2**bits - 1)
            np.testing.assert_allclose(level, np.round(level), atol=1e-6)
        if dale:
            assert (out * sign >= -1e-12).all()


@given(WEIGHTS, BOUNDS, BITS, SIGNS, st.booleans())
def test_initial_weights_satisfy_constraints_and_then_do_not_change(
    w: np.ndarray, bounds: tuple[float, float], bits: int, sign: np.ndarray, dale: bool
) -> None:
    settings = Settings(low=bounds[0], high=bounds[1], bits=bits, dale=dale)
    once = w.copy()
    constraints.begin(once, True, settings, sign)
    twice = once.copy()
    constraints.begin(twice, True, settings, sign)
    np.testing.assert_array_equal(once, twice)
    if dale and not bits:  # |w| is kept: no weight becomes 0 at the start
        free = np.clip(np.where(sign == 0, w, np.abs(w) * sign), *bounds)
        np.testing.assert_allclose(once, free)


def test_stochastic_rounding_is_right_on_average() -> None:
    settings, rng = Settings(low=-1.0, high=1.0, bits=2), np.random.default_rng(0)
    for value in (-0.9, -0.2, 0.05, 0.7):
        w = np.full((100, 400), value)
        constraints.apply(w, settings, 0.0, rng)
        assert len(np.unique(w)) == 2
        assert w.mean() == pytest.approx(value, abs=5 * 0.5 * (2 / 3) / 200)  # 5 standard errors


SWITCHED: list[dict[str, Any]] = [
    {"low": -0.3, "high": 0.2},
    {"low": -0.5, "high": 0.5, "bits": 4},
    {"dale": True},
    {"dale": True, "excitatory": 1.0, "low": -0.4, "high": 0.4, "bits": 5},
    {"dale": True, "mode": "continuous", "commit": "step", "dt": 1.0, "window": 4.0, "phase": 30.0},
]


@pytest.mark.parametrize("options", SWITCHED)
def test_constraints_hold_while_a_network_learns(options: dict[str, Any]) -> None:
    start = CircuitNetwork(SPEC, "pepita", seed=1, **options)
    assert_legal(start)
    short = options.get("mode") == "continuous"
    net = learned(options, 15 if short else 60)
    last = [one.parameters()["W"][-1] for one in (start, net)]
    assert not np.array_equal(*last)
    before = net.parameters()
    net.predict(np.ones((2, 6)))
    net.set(lr=0.05)
    net.load_parameters(before)
    for a, b in zip(before["W"], net.parameters()["W"], strict=True):
        np.testing.assert_array_equal(a, b)


def test_biases_and_running_means_are_free() -> None:
    net = learned({"low": -1e-3, "high": 1e-3, "dale": True, "excitatory": 1.0})
    biases = np.concatenate(net.parameters()["b"])
    assert np.abs(biases).max() > 1e-3 and biases.min() < 0
    spec = NetworkSpec((6, 4, 3), loss="mse")
    bmvr = CircuitNetwork(spec, "bmvr", lr=0.1, mean_rate=0.5, low=-0.05, high=0.05, init_1=1.0)
    bmvr.learn(np.random.default_rng(0).random((20, 6)), labels=np.arange(20) % 3)
    params = bmvr.parameters()
    assert np.abs(params["mean"]).max() > 0.05
    assert max(np.abs(params[name]).max() for name in ("Q", "R")) <= 0.05


def test_dales_law_holds_for_all_projections_of_a_neuron() -> None:
    """Interneurons inhibit, other signs are drawn; two projections of a neuron have one sign."""
    spec = NetworkSpec((6, 8, 3), loss="mse")
    net = CircuitNetwork(spec, "bmvr", lr=0.05, dale=True, excitatory=0.5, asymmetry=1.0)
    assert (net.parameters()["Q"] >= 0).all()  # inhibition: the sign of the projection is −1
    signs = constraints.signs(net.simulator.circuit, 0, 0.5)
    assert set(np.unique(signs["R"])) == {-1.0, 1.0}
    assert (net.parameters()["R"] * signs["R"] >= 0).all()
    both = CircuitNetwork(SPEC, "node_perturbation", lr=0.01, dale=True, seed=2)
    both.learn(np.random.default_rng(1).random((20, 6)), labels=np.arange(20) % 3)
    signs = constraints.signs(both.simulator.circuit, 2, 0.8)
    np.testing.assert_array_equal(signs["W_3"], signs["B_1"])  # hidden_2, up and down
    for p in both.simulator.circuit.projections:
        if p.name in signs:
            assert (both.simulator.weights(p.name) * signs[p.name] >= 0).all()


def test_the_share_of_excitatory_cells() -> None:
    wide = NetworkSpec((2000, 4, 3))
    for share in (0.0, 0.8, 1.0):
        net = CircuitNetwork(wide, "pepita", dale=True, excitatory=share)
        fraction = (net.parameters()["W"][0] > 0).all(axis=0).mean()
        assert fraction == pytest.approx(share, abs=5 * np.sqrt(0.16 / 2000))


def test_a_modulator_keeps_its_signed_weights() -> None:
    F = CircuitNetwork(SPEC, "pepita", dale=True).parameters()["F"]
    np.testing.assert_array_equal(F, CircuitNetwork(SPEC, "pepita").parameters()["F"])
    assert (np.sign(F).min(axis=0) < 0).all() and (np.sign(F).max(axis=0) > 0).all()


def test_constraints_in_the_learner() -> None:
    learner = OnlineLearner(
        circuit="pepita", sizes=(6, 5, 3), low=-0.2, high=0.2, bits=3, dale=True
    )
    learner.learn_one(np.ones(6), 1)
    assert max(np.abs(w).max() for w in learner.parameters()["W"]) <= 0.2
    for wrong in ({"low": 1.0, "high": 0.0}, {"bits": 3}, {"dale": True, "low": 0.1}):
        with pytest.raises(BadOption, match=r"low|bits|bounds"):
            OnlineLearner(circuit="pepita", sizes=(6, 5, 3), **wrong)
    for fixed in ({"dale": False}, {"asymmetry": 1.0}, {"excitatory": 0.1}):
        with pytest.raises(BadOption, match="when the network is built"):
            learner.set(**fixed)


def test_symmetry_is_broken_where_there_is_one() -> None:
    spec = NetworkSpec((6, 5, 3), loss="mse")
    plain, broken = (CircuitNetwork(spec, "bmvr", asymmetry=a).parameters() for a in (0.0, 0.5))
    np.testing.assert_array_equal(plain["Q"], plain["R"].T)
    np.testing.assert_array_equal(plain["R"], broken["R"])
    noise = broken["Q"] - plain["Q"]
    assert 0.3 < np.sqrt(np.mean(noise**2) / np.mean(plain["Q"] ** 2)) < 0.7
    circuit = CircuitNetwork(spec, "dendritic_microcircuit")
    pairs = symmetry.pairs(circuit.simulator.circuit, circuit.parameters())
    assert pairs == [("W_2", "P_1"), ("B_2", "V_1")]
    with pytest.raises(BadOption, match="mirror images"):
        CircuitNetwork(spec, "pepita", asymmetry=0.1)
    deep = NetworkSpec((6, 5, 5, 5))
    assert symmetry.pairs(*_described(deep, "node_perturbation")) == []


def _described(spec: NetworkSpec, name: str) -> Any:
    net = CircuitNetwork(spec, name)
    return net.simulator.circuit, net.parameters()


def test_learning_restores_the_symmetry_as_in_the_paper() -> None:
    """BMVR, equations 21-23: Qᵀ − R shrinks by 1 − η_q per sample."""
    spec = NetworkSpec((6, 3, 3), "identity", "mse")
    net = CircuitNetwork(spec, "bmvr", lr=0.02, eta_q=0.5, asymmetry=1.0)
    gap = net.parameters()["Q"].T - net.parameters()["R"]
    net.learn(np.random.default_rng(0).normal(size=(50, 6)), labels=np.arange(50) % 3)
    left = net.parameters()["Q"].T - net.parameters()["R"]
    np.testing.assert_allclose(left, gap * (1 - 0.01) ** 50, rtol=1e-10)
