"""Experiments by option: cutting, silencing and slowing have the effects that theory predicts."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from biocircuits import CircuitNetwork
from biocircuits.network import CIRCUITS
from rate_models.errors import Diverged
from rate_models.network import NetworkSpec
from rate_models.online.network import OnlineNetwork
from rate_models.support import lookup
from streaming import OnlineLearner

SPEC = NetworkSpec((8, 6, 5, 3))


def samples(n: int = 30) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.random((n, 8)), rng.integers(0, 3, n)


def weights(net: Any) -> np.ndarray:
    return np.concatenate([w.ravel() for w in net.parameters()["W"]])


def learned(net: Any) -> np.ndarray:
    X, y = samples()
    net.learn(X, y)
    return weights(net)


def test_pepita_with_its_feedback_cut_is_the_rule_with_zero_feedback() -> None:
    control = OnlineNetwork(SPEC, "pepita", seed=0, feedback_scale=0.0)
    for ablation in ({"cut": "feedback"}, {"silence": "error"}):
        net = CircuitNetwork(SPEC, "pepita", seed=0, **ablation)
        start = net.parameters()["W"][0]
        changed = learned(net)
        np.testing.assert_array_equal(net.parameters()["W"][0], start)
        if "cut" in ablation:
            np.testing.assert_allclose(changed, learned(control), rtol=1e-10)
            control = OnlineNetwork(SPEC, "pepita", seed=0, feedback_scale=0.0)
        else:  # the output neuron does not receive its error either
            np.testing.assert_array_equal(changed, weights(CircuitNetwork(SPEC, "pepita", seed=0)))


def test_node_perturbation_without_noise_keeps_its_feedback() -> None:
    """B learns −v ẽᵀ from the clean phase alone, and shrinks; W learns as before."""
    whole, silenced = (
        CircuitNetwork(SPEC, "node_perturbation", lr=0.01, eta_b=0.05, silence=silent)
        for silent in ("", "evaluator")
    )
    start = np.linalg.norm(np.concatenate([b.ravel() for b in silenced.parameters()["B"]]))
    for net in (whole, silenced):
        learned(net)
    assert (whole.parameters()["B"][0] != silenced.parameters()["B"][0]).any()
    left = np.linalg.norm(np.concatenate([b.ravel() for b in silenced.parameters()["B"]]))
    assert left < start


@pytest.mark.parametrize("ablation", [{"silence": "interneuron"}, {"cut": "Q"}])
def test_bmvr_without_inhibition_learns_from_the_target_alone(ablation: dict[str, str]) -> None:
    """Equation 5 with n = 0: ΔW_1 = η (W_2ᵀ y) xᵀ where the neuron fires."""
    spec = NetworkSpec((8, 4, 3), loss="mse")
    net = CircuitNetwork(spec, "bmvr", lr=0.1, init_1=0.5, **ablation)
    (x, y), before = (np.arange(8.0) / 8, np.array([0.2, -1.0, 0.5])), net.parameters()
    net.learn(x[None], targets=y[None])
    fires = before["W"][0] @ x > 0
    want = 0.1 * np.outer((before["W"][1].T @ y) * fires, x)
    np.testing.assert_allclose(net.parameters()["W"][0] - before["W"][0], want, atol=1e-14)
    assert fires.any()


def test_the_time_constant_matters_in_time_alone() -> None:
    """Steady states do not depend on τ; in phases of T ms the change lacks slow components."""
    steady = [learned(CircuitNetwork(SPEC, "pepita", tau=tau)) for tau in (5.0, 20.0)]
    np.testing.assert_array_equal(*steady)
    away = []
    for tau in (5.0, 10.0, 20.0):
        net = CircuitNetwork(SPEC, "pepita", mode="continuous", tau=tau, phase=100.0, reset=True)
        away.append(np.abs(learned(net) - steady[0]).max())
    assert away[0] * 100 < away[1] and away[1] * 10 < away[2]


@pytest.mark.parametrize("name", lookup.names(CIRCUITS))
def test_every_part_can_be_cut_or_silenced_by_name(name: str) -> None:
    """The rest of the circuit learns, or the first sample raises Diverged."""
    whole = OnlineLearner(circuit=name, sizes=(8, 5, 3), classes=(0, 1, 2), lr=0.01)
    circuit = whole.network.simulator.circuit  # type: ignore[union-attr]
    X, y = samples(4)
    for option, parts in (("cut", circuit.projections), ("silence", circuit.populations)):
        for part in parts:
            one = OnlineLearner(circuit=name, sizes=(8, 5, 3), classes=(0, 1, 2), lr=0.01,
                                **{option: part.name})  # fmt: skip
            try:
                one.learn_many(X, y)
            except Diverged as error:  # feedback without inhibition, or no prediction
                assert re.search("sample 0: .*(no steady state|not finite)", str(error))
            else:
                assert one.is_finite(), (option, part.name)
