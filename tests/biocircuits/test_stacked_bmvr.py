"""BMVR in layers: one layer is the circuit `bmvr`; more are checked against a loop by hand."""

from __future__ import annotations

import numpy as np
import pytest

from biocircuits import CircuitNetwork
from rate_models.errors import BadOption
from rate_models.network import NetworkSpec
from streaming import OnlineLearner
from streaming.scores.evaluate import held_out
from streaming.sources import Options, open_source

RATES = {"lr": 0.02, "mean_rate": 0.01}


def samples(n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 8)), rng.normal(size=(n, 3))


@pytest.mark.parametrize("kind", ["identity", "relu"])
def test_one_layer_is_the_circuit_bmvr(kind: str) -> None:
    spec = NetworkSpec((8, 3, 3), kind, "mse")
    one, stacked = (CircuitNetwork(spec, name, **RATES) for name in ("bmvr", "stacked_bmvr"))
    start = one.parameters()
    theirs = {"W": start["W"], "Q": [start["Q"]], "R": [start["R"]]}
    stacked.load_parameters(theirs)
    X, Y = samples()
    outputs = [net.learn(X, targets=Y).outputs for net in (one, stacked)]
    np.testing.assert_allclose(outputs[0], outputs[1], rtol=1e-12)
    for a, b in zip(one.parameters()["W"], stacked.parameters()["W"], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_layers_by_hand() -> None:
    spec = NetworkSpec((8, 6, 5, 3), "relu", "mse")
    net = CircuitNetwork(spec, "stacked_bmvr", init_w=0.3, init_v=0.3, **RATES)
    p = net.parameters()
    W, V = p["W"][:-1], [*p["V"], p["W"][-1]]
    Q, R, mean = p["Q"], p["R"], p["mean"]
    X, Y = samples()
    outputs = net.learn(X, targets=Y).outputs
    eta, eta_2 = 0.02, 0.25 * 0.02
    for x, y, output in zip(X, Y, outputs, strict=True):
        below, answer = x, None
        for s in range(2):
            u = W[s] @ below
            z = np.maximum(u, 0) - mean[s]
            n = R[s] @ z
            answer = V[s] @ z
            dW = np.outer((V[s].T @ y - Q[s] @ n) * (u > 0), below)
            V[s] = V[s] + eta_2 * (np.outer(y, z) - V[s])
            Q[s], R[s] = (Q[s] + eta_2 * (np.outer(z, n) - Q[s]),
                          R[s] + eta_2 * (np.outer(n, z) - R[s]))  # fmt: skip
            W[s] = W[s] + eta * dW
            mean[s] = mean[s] + 0.01 * z
            below = z
        np.testing.assert_allclose(output, answer, rtol=1e-9, atol=1e-12)
    after = net.parameters()
    for name, ours in {"W": [*W, V[-1]], "V": V[:-1], "Q": Q, "R": R, "mean": mean}.items():
        for a, b in zip(ours, after[name], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (NetworkSpec((8, 3), loss="mse"), "one or more hidden layers"),
        (NetworkSpec((8, 4, 3), "tanh", "mse"), "identity or relu"),
        (NetworkSpec((8, 4, 3), "relu", "mse", bias=True), "bias"),
        (NetworkSpec((8, 4, 3), "relu", "mse", output="sigmoid"), "output"),
    ],
)
def test_unsupported_networks_are_refused(spec: NetworkSpec, message: str) -> None:
    with pytest.raises(BadOption, match=message):
        CircuitNetwork(spec, "stacked_bmvr")


def accuracy(hidden: tuple[int, ...], seed: int) -> float:
    digits = open_source("digits", Options(seed=seed))
    learner = OnlineLearner(
        circuit="stacked_bmvr", sizes=(64, *hidden, 10), lr=0.02, seed=seed,
        classes=tuple(range(10)), scale="global",
    )  # fmt: skip
    for epoch in range(20):
        for X, y in digits.chunks(epoch):
            learner.learn_many(X, y)
    return float(held_out(learner, digits.test() or ())["accuracy"])


@pytest.mark.slow
def test_two_layers_are_as_good_as_one_on_digits() -> None:
    """The numbers of docs/circuits.md: 94.0 and 94.4 %, and no significant difference."""
    one, two = (np.array([accuracy(h, s) for s in range(5)]) for h in ((32,), (32, 32)))
    gain = two - one
    assert one.mean() > 0.93
    assert abs(gain.mean()) < 3 * gain.std(ddof=1) / 5**0.5 < 0.03
