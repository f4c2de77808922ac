"""Circuits: in steady state each is its rule, after every sample."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from networks import deviation

from biocircuits import CircuitNetwork
from biocircuits.catalogue import CIRCUITS, load
from rate_models.model.optimizers import Optimizer
from rate_models.network import NetworkSpec, one_hot
from rate_models.support import lookup
from rate_models.textbook import Textbook, initial_parameters

DEEP, SHALLOW = (20, 16, 12, 5), (20, 8, 5)


def spec(sizes: tuple[int, ...], *names: Any, **options: Any) -> NetworkSpec:
    return NetworkSpec(sizes, *names, **options)


# For each circuit: networks, and the variants of its rule that it implements.
CLAIMS: dict[str, list[tuple[NetworkSpec, dict[str, Any]]]] = {
    "pepita": [
        (spec(DEEP), {}),
        (spec(DEEP, bias=True), {"store": "interneuron"}),
        (spec(DEEP, bias=True), {"form": "hebbian"}),
        (spec(DEEP, bias=True), {"form": "time_local", "sign": -1}),
        (spec(DEEP, "tanh", "mse", output="sigmoid"), {"form": "hebbian", "init": "he_normal"}),
        (spec(DEEP, "tanh", "mse", output="sigmoid"), {"sign": -1}),
        (spec(DEEP, loss="binary_cross_entropy"), {"modulation": "sign", "dropout": 0.2}),
        (spec(DEEP), {"modulation": "random", "inject": 1, "perturbation": 0.5}),
        (spec(DEEP), {"feedback_scale": 0.0}),
        (spec((20, 5)), {}),
    ],
    "bmvr": [
        (spec(SHALLOW, loss="mse"), {"dropout": 0.1}),
        (spec((20, 4, 5), "identity", loss="mse"), {"decoupled": True, "eta_q": 0.1}),
    ],
    "node_perturbation": [
        (spec(DEEP), {}),
        (spec(DEEP, "tanh", "mse", bias=True, output="sigmoid"), {"eta_b": 0.01}),
        (spec(DEEP, "sigmoid", "binary_cross_entropy"), {"feedback": "dfa", "dropout": 0.1}),
    ],
}
CASES = [(name, network, options) for name, cases in CLAIMS.items() for network, options in cases]


def follow(circuit: str, network: NetworkSpec, options: dict[str, Any], samples: int) -> float:
    """The largest deviation of circuit and textbook, parameters and outputs, after any sample."""
    net = CircuitNetwork(network, circuit, seed=3, lr=0.02, **options)
    hyper = {k: v for k, v in options.items() if k in net.hyper._fields}
    params = initial_parameters(network, net.rule, 3, **hyper)
    book = Textbook(network, net.rule, params, Optimizer(lr=0.02), **hyper)
    rng = np.random.default_rng(0)
    worst = 0.0
    for _ in range(samples):
        x = rng.random((1, network.sizes[0]))
        y = one_hot(rng.integers(0, network.sizes[-1], 1), network.sizes[-1])
        if network.loss == "mse":
            y = rng.normal(size=y.shape)
        given = net._given(x[0], y[0], 0, None, None)
        masks = [v[None] for k, v in given.items() if k.startswith("mask")]
        noise = [v[None] for k, v in given.items() if k.startswith("noise")]
        before = book.predict(x)
        outcome = net.learn(x, targets=y)
        book.learn(x, y, masks if getattr(net.hyper, "dropout", 0) else None, noise)
        worst = max(worst, deviation(net.parameters(), book.params))
        worst = max(worst, float(np.abs(outcome.outputs - before).max() / np.abs(before).max()))
    return worst


def test_every_circuit_is_claimed() -> None:
    names = lookup.names(CIRCUITS)
    assert set(CLAIMS) <= set(names)
    ruled = [n for n in names if isinstance(load(n).rule, str)]
    assert set(ruled) == set(CLAIMS)


@pytest.mark.parametrize(("circuit", "network", "options"), CASES)
def test_steady_state_is_the_textbook_rule(
    circuit: str, network: NetworkSpec, options: dict[str, Any]
) -> None:
    assert follow(circuit, network, options, 50) < 1e-10


@pytest.mark.slow
@pytest.mark.parametrize(("circuit", "network", "options"), CASES)
def test_steady_state_is_the_textbook_rule_for_long(
    circuit: str, network: NetworkSpec, options: dict[str, Any]
) -> None:
    assert follow(circuit, network, options, 1000) < 1e-10


def test_a_confident_wrong_answer_has_a_loss() -> None:
    """A compartment with τ = 0 is exactly at its fixed point: 1e-30 after 1 is not 0."""
    net = CircuitNetwork(spec((2, 2, 2), "identity"), "node_perturbation", lr=1e-9)
    net.load_parameters({"W": [np.eye(2), 70.0 * np.array([[1.0, 0.0], [0.0, 1.0]])]})
    losses = net.learn(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]), labels=[1, 1, 1]).losses
    assert np.allclose(losses, [70, 0, 70], atol=1e-6)
    assert net.is_finite() and net.simulator.read("evaluator.baseline")[0] == pytest.approx(70)
