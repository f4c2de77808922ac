"""The textbook forms, against autograd and against plain loops written from SPEC A1."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from rate_models.model.optimizers import Optimizer
from rate_models.network import NetworkSpec, one_hot
from rate_models.rules import Draws
from rate_models.textbook import Textbook, gradients, initial_parameters

RNG = np.random.default_rng(7)
DEPTHS = [(6, 4), (6, 5, 4), (6, 5, 7, 4), (6, 5, 4, 5, 6, 4)]


def textbook_gradients(
    spec: NetworkSpec, rule: str, params: Any, x: Any, y: Any, draws: Draws, **hyper: Any
) -> dict[str, list[Any]]:
    book = Textbook(spec, rule, params, **hyper)
    (stage,) = book.definition.batch(spec, params, book.hyper, x, y, draws)
    return gradients(spec, stage, params, len(x))


def start(spec: NetworkSpec, rule: str, **hyper: Any) -> Any:
    """Parameters with biases that are not zero."""
    params = initial_parameters(spec, rule, seed=3, **hyper)
    params["b"] = [RNG.normal(0, 0.3, b.shape) for b in params["b"]]
    return params


@pytest.mark.parametrize("sizes", DEPTHS, ids=str)
@pytest.mark.parametrize("activation", ["identity", "relu", "tanh", "sigmoid", "erf"])
@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy", "mse", "mse-tanh"])
def test_backprop_is_the_gradient_that_autograd_finds(
    sizes: tuple[int, ...], activation: str, loss: str
) -> None:
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    curves = {
        "identity": lambda a: a,
        "relu": torch.relu,
        "tanh": torch.tanh,
        "sigmoid": torch.sigmoid,
        "erf": lambda a: torch.erf(a / math.sqrt(2)),
    }
    losses = {
        "cross_entropy": lambda a, y: -(y * functional.log_softmax(a, 1)).sum(),
        "binary_cross_entropy": lambda a, y: functional.binary_cross_entropy_with_logits(
            a, y, reduction="sum"
        ),
        "mse": lambda a, y: ((a - y) ** 2).sum() / 2,
        "mse-tanh": lambda a, y: ((torch.tanh(a) - y) ** 2).sum() / 2,
    }
    name, _, output = loss.partition("-")
    for bias, dropout in itertools.product((False, True), repeat=2):
        spec = NetworkSpec(sizes, activation, name, bias, output or None)
        params = start(spec, "backprop")
        x, y = RNG.normal(size=(9, 6)), RNG.dirichlet(np.ones(4), 9)
        masks = [(RNG.random((9, n)) > 0.3) / 0.7 for n in sizes[1:-1]] if dropout else None
        deltas = textbook_gradients(spec, "backprop", params, x, y, Draws(masks))

        weights = [torch.tensor(w, requires_grad=True) for w in params["W"]]
        biases = [torch.tensor(b, requires_grad=True) for b in params["b"]]
        h = torch.tensor(x)
        for i, w in enumerate(weights):
            a = functional.linear(h, w, biases[i] if bias else None)
            h = curves[activation](a) * (torch.tensor(masks[i]) if masks and i < len(masks) else 1)
        (losses[loss](a, torch.tensor(y)) / len(x)).backward()
        for ours, theirs in zip(deltas["W"], weights, strict=True):
            assert_allclose(ours, theirs.grad, rtol=1e-10, atol=1e-12)
        for ours, theirs in zip(deltas.get("b", []), biases, strict=True):
            assert_allclose(ours, theirs.grad, rtol=1e-10, atol=1e-12)


def pepita_loop(
    W: list[Any], b: list[Any], F: Any, x: Any, y: Any, masks: list[Any], noise: Any, v: Any
) -> tuple[list[Any], list[Any]]:
    """SPEC A1 and A5, one sample after another: mean ΔW_l and Δb_l. ReLU hidden, softmax output."""
    last = len(W)
    dW: list[Any] = [np.zeros_like(w) for w in W]
    db: list[Any] = [np.zeros_like(c) for c in b]
    for n in range(len(x)):
        h = [x[n]]
        for i in range(last):
            a = W[i] @ h[i] + b[i]
            h.append(np.maximum(a, 0) * masks[i][n] if i < last - 1 else np.exp(a))
        h[last] = h[last] / h[last].sum()
        e = h[last] - y[n]
        added = {"error": e, "sign": np.sign(e), "random": v["k"] * noise[n]}[v["modulation"]]
        j = v["inject"]
        p = [*h]
        p[j] = h[j] + v["sign"] * F @ added
        for i in range(j, last - 1):
            p[i + 1] = np.maximum(W[i] @ p[i] + b[i], 0) * masks[i][n]
        for i in range(j, last):
            post = h[i + 1] - p[i + 1] if i < last - 1 else e
            pre = p[i] if v["presynaptic"] == "modulated" else h[i]
            dW[i] += np.outer(post, pre) / len(x)
            db[i] += post / len(x)
    return dW, db


VARIANTS: list[dict[str, Any]] = [
    {},
    {"sign": -1},
    {"presynaptic": "standard"},
    {"modulation": "sign", "feedback_scale": 0.5},
    {"modulation": "random", "perturbation": 0.1},
    {"modulation": "random", "range": "positive"},
    {"feedback_scale": 0},
    {"inject": 1},
    {"inject": 2, "presynaptic": "standard", "sign": -1},
    {"init": "he_normal"},
]


@pytest.mark.parametrize(
    ("sizes", "variant"),
    [
        pytest.param(sizes, variant, id=f"{sizes}-{variant}")
        for sizes, variant in itertools.product(DEPTHS, VARIANTS)
        if variant.get("inject", 0) <= max(len(sizes) - 3, 0)
    ],
)
@pytest.mark.parametrize("dropout", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_pepita_is_the_loop_of_the_paper(
    sizes: tuple[int, ...], variant: dict[str, Any], dropout: bool, bias: bool
) -> None:
    spec = NetworkSpec(sizes, bias=bias)
    params = start(spec, "pepita", **variant)
    x, labels = RNG.normal(size=(5, 6)), RNG.integers(0, 4, 5)
    y, noise = one_hot(labels, 4), RNG.uniform(-1, 1, (5, 4))
    masks = [(RNG.random((5, n)) > 0.3) / 0.7 for n in sizes[1:-1]]
    deltas = textbook_gradients(
        spec, "pepita", params, x, y, Draws(masks if dropout else None, [noise]), **variant
    )
    meant = {"sign": 1, "presynaptic": "modulated", "modulation": "error", "inject": 0} | variant
    zeros = [np.zeros(n) for n in sizes[1:]]
    dW, db = pepita_loop(
        params["W"], params["b"] if bias else zeros, params["F"], x, y,
        masks if dropout else [np.ones_like(m) for m in masks], noise,
        meant | {"k": variant.get("perturbation", 1.0)},
    )  # fmt: skip
    frozen = meant["inject"]
    assert deltas["W"][:frozen] == [None] * frozen
    for ours, loop in zip(deltas["W"][frozen:], dW[frozen:], strict=True):
        assert_allclose(ours, loop, rtol=1e-10, atol=1e-14)
    for ours, loop in zip(deltas["b"][frozen:] if bias else [], db[frozen:], strict=False):
        assert_allclose(ours, loop, rtol=1e-10, atol=1e-14)
    if variant.get("feedback_scale") == 0:
        assert not any(w.any() for w in deltas["W"][:-1])


def test_pepita_feedback_is_drawn_as_in_the_program() -> None:
    for sizes, bound in (((784, 8, 10), 0.004374), ((3072, 8, 10), 0.002210)):
        F = initial_parameters(NetworkSpec(sizes), "pepita", seed=0)["F"]
        assert F.shape == (sizes[0], 10)
        assert 0.99 * bound < np.abs(F).max() <= bound * 1.001
        assert F.std() == pytest.approx(bound / math.sqrt(3), rel=0.02)


def test_a_short_batch_is_divided_by_the_nominal_size() -> None:
    spec = NetworkSpec((6, 5, 4))
    params = start(spec, "backprop")
    x, y = RNG.normal(size=(3, 6)), one_hot(np.array([0, 1, 2]), 4)
    whole, short = (Textbook(spec, "backprop", start(spec, "backprop")) for _ in range(2))
    whole.learn(x, y)
    short.learn(x, y, batch_size=6)
    for w, half, full in zip(params["W"], short.params["W"], whole.params["W"], strict=True):
        assert_allclose(2 * (half - w), full - w, rtol=1e-9, atol=1e-15)


def test_the_optimiser_keeps_the_rate_inside_the_velocity() -> None:
    spec = NetworkSpec((6, 5, 4))
    eta, mu, lam = 0.1, 0.9, 0.01
    numbers = Optimizer(eta, mu, lam, decay_at=(2, 3), decay_factor=0.5)
    book = Textbook(spec, "backprop", start(spec, "backprop"), numbers)
    weights = [w.copy() for w in book.params["W"]]
    velocity = [np.zeros_like(w) for w in weights]
    for t in range(5):
        x, y = RNG.normal(size=(1, 6)), one_hot(RNG.integers(0, 4, 1), 4)
        now = {"W": [w.copy() for w in weights], "b": []}
        delta = textbook_gradients(spec, "backprop", now, x, y, Draws())["W"]
        rate = eta * [1, 1, 0.5, 0.25, 0.25][t]
        for i, w in enumerate(weights):
            velocity[i] = mu * velocity[i] + rate * (delta[i] + lam * w)
            weights[i] = w - velocity[i]
        book.learn(x, y)
    for ours, plain in zip(book.params["W"], weights, strict=True):
        assert_allclose(ours, plain, rtol=1e-10)
