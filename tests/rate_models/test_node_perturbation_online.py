"""Node perturbation in all implementations: kernels and torch against the textbook."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from networks import EVERYTHING, PLAIN, Case, deviation, state_bytes
from numpy.testing import assert_allclose

from rate_models.model.optimizers import Optimizer
from rate_models.network import NetworkSpec
from rate_models.textbook import Textbook, initial_parameters

RNG = np.random.default_rng(11)
DEEP = (20, 16, 12, 9, 5)
CHOICES = [{"solver": s, "feedback": f} for s in ("gradient", "ridge") for f in ("fa", "dfa")]


VARIANTS = [
    *(
        Case("node_perturbation", DEEP[-4:], spec=spec, hyper={**choice, **hyper}, optimizer=step)
        for choice in CHOICES
        for spec, hyper, step in (
            ({"activation": "sigmoid", "loss": "mse"}, {}, PLAIN),
            ({"activation": "tanh", "bias": True}, {"dropout": 0.2, "gamma": 1.0}, EVERYTHING),
        )
    ),
    *(
        Case(rule, DEEP, rate, {"activation": activation, **loss})
        for rule, rate in (("node_perturbation", PLAIN), ("reinforce", Optimizer(lr=0.003)))
        for activation in ("tanh", "sigmoid", "erf", "identity")
        for loss in (
            {"loss": "binary_cross_entropy"},
            {"loss": "mse", "output": "sigmoid", "bias": True},
        )
    ),
    Case("node_perturbation", DEEP, hyper={"eta_b": 0, "feedback": "dfa"}),
    Case("node_perturbation", DEEP, hyper={"c": 1e-6}),  # single precision suffices
    Case("node_perturbation", (20, 5), hyper={"solver": "ridge", "warmup": 7}),
    Case("node_perturbation", DEEP, EVERYTHING, {"bias": True}, {"warmup": 50, "dropout": 0.1}),
    Case("node_perturbation", (20, 16, 5), hyper={"solver": "ridge", "feedback": "dfa"}),
]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", VARIANTS, ids=str)
def test_online_equals_textbook_after_every_sample(case: Case, dtype: str) -> None:
    net, book = case.online(dtype), case.textbook()
    tolerance = {"float64": 1e-10, "float32": 1e-4}[dtype]
    x, labels, y = case.samples(200)
    start = case.textbook().params.get("B", [])
    for t in range(len(x)):
        case.learn(net, x[t : t + 1], labels[t : t + 1], y[t : t + 1])
        book.learn(x[t : t + 1], y[t : t + 1], *case.draws(t))
        assert deviation(net.parameters(), book.params) < tolerance, f"sample {t}"
    for a, b in zip(net.parameters().get("B", []), start, strict=True):
        assert (np.abs(a - b).max() > 1e-4) == (case.hyper.get("eta_b") != 0)


def test_while_warming_up_only_the_feedback_learns() -> None:
    hyper = {"warmup": 40, "solver": "ridge"}
    case = Case("node_perturbation", (20, 16, 5), EVERYTHING, {"bias": True}, hyper)
    net, (x, labels, y) = case.online(), case.samples(41)
    start = net.parameters()
    case.learn(net, x[:40], labels[:40], y[:40])
    for name in ("W", "b"):
        pairs = zip(net.parameters()[name], start[name], strict=True)
        assert all((a == b).all() for a, b in pairs)
    assert np.abs(net.parameters()["B"][0]).max() > 0.01
    case.learn(net, x[40:], labels[40:], y[40:])
    pairs = zip(net.parameters()["W"], start["W"], strict=True)
    assert all((a != b).any() for a, b in pairs)


@pytest.mark.parametrize("choice", CHOICES, ids=str)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_any_chunking_gives_the_same_bits(choice: dict[str, Any], dtype: str) -> None:
    case = Case("node_perturbation", (20, 16, 12, 5), spec={"activation": "tanh"},
                hyper={**choice, "warmup": 20})  # fmt: skip
    x, labels, y = case.samples(60)
    whole, net = case.online(dtype), case.online(dtype)
    case.learn(whole, x, labels, y)
    for at in range(0, 60, 7):
        case.learn(net, x[at : at + 7], labels[at : at + 7], y[at : at + 7])
        fresh = case.online(dtype)
        fresh.load_state(net.state())
        net = fresh
    assert state_bytes(net) == state_bytes(whole)


def test_the_solver_stays_exact_where_the_penalty_is_tiny() -> None:
    """V spans ten orders of magnitude; single precision holds its factor."""
    case = Case("node_perturbation", (20, 16, 5), hyper={"solver": "ridge", "gamma": 1e-6})
    net, (x, labels, y) = case.online("float32"), case.samples(300)
    V = 1e-6 * np.eye(5)
    for t in range(300):
        h = net.predict(x[t : t + 1]).astype(float)
        case.learn(net, x[t : t + 1], labels[t : t + 1], y[t : t + 1])
        V += (h - y[t]).T @ (h - y[t])
    R = net.parameters()["R"][0].astype(float)
    assert_allclose(R, np.linalg.cholesky(V).T, atol=1e-5 * np.abs(R).max())


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_torch_gives_the_same(choice: dict[str, Any]) -> None:
    pytest.importorskip("torch")
    from rate_models.batch import BatchNetwork, Sgd

    spec = NetworkSpec((6, 5, 7, 4), "tanh", bias=True)
    choice = {**choice, "warmup": 30}
    net = BatchNetwork(spec, "node_perturbation", 0, "float64", **choice)
    params = initial_parameters(spec, "node_perturbation", 0, **choice)
    book = Textbook(spec, "node_perturbation", params, PLAIN, **choice)
    sgd = Sgd(net.parameters(), PLAIN.lr)
    for _ in range(20):
        x, y, xi = (
            RNG.normal(size=(8, 6)),
            RNG.dirichlet(np.ones(4), 8),
            [RNG.normal(size=(8, n)) for n in (5, 7)],
        )
        net.fill_grad(x, y, noise=xi)
        sgd.step()
        book.learn(x, y, noise=xi)
    assert deviation(net.numpy(), book.params) < 1e-10
    assert all(b.any() for b in net.numpy()["B"])
    net.fill_grad(x, y)  # with noise of its own
    assert all(bool(b.isfinite().all()) for b in net.arrays()["B"])
