"""Feedback alignment and related rules against backpropagation, by theory, and plain loops."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from rate_models import rules
from rate_models.network import NetworkSpec, one_hot
from rate_models.rules import Draws
from rate_models.textbook import gradients, initial_parameters

SIZES = (6, 5, 7, 4)
LOSSES = ["cross_entropy", "binary_cross_entropy", "mse"]


def samples(n: int = 9) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.normal(size=(n, SIZES[0])), one_hot(rng.integers(0, SIZES[-1], n), SIZES[-1])


def steps(spec: NetworkSpec, rule: str, params: Any, masks: Any = None) -> dict[str, list[Any]]:
    definition = rules.get(rule)
    (stage,) = definition.batch(
        spec, params, definition.hyperparameters(), *samples(), Draws(masks)
    )
    return gradients(spec, stage, params, 9)


def assert_equal(ours: dict[str, list[Any]], theirs: dict[str, list[Any]]) -> None:
    assert ours.keys() == theirs.keys()
    for name, arrays in theirs.items():
        for a, b in zip(ours[name], arrays, strict=True):
            assert_allclose(a, b, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
def test_feedback_through_the_forward_weights_is_backpropagation(
    loss: str, activation: str
) -> None:
    output = "sigmoid" if loss == "mse" else None
    spec = NetworkSpec(SIZES, activation, loss, bias=True, output=output)
    params = initial_parameters(spec, "feedback_alignment", seed=2)
    params["B"] = [w.T for w in params["W"][1:]]
    rng = np.random.default_rng(3)
    masks = [(rng.random((9, n)) > 0.3) / 0.7 for n in SIZES[1:-1]]
    ours = steps(spec, "feedback_alignment", params, masks)
    assert_equal(ours, steps(spec, "backprop", params, masks))
    params["B"][0] = -params["B"][0]  # and the feedback matters
    theirs = steps(spec, "feedback_alignment", params, masks)
    assert_allclose(theirs["W"][0], -ours["W"][0])
    assert_allclose(theirs["W"][1], ours["W"][1])


@pytest.mark.parametrize("loss", LOSSES)
def test_direct_feedback_through_the_product_is_backpropagation_in_a_linear_network(
    loss: str,
) -> None:
    spec = NetworkSpec(SIZES, "identity", loss, bias=True)
    params = initial_parameters(spec, "direct_feedback_alignment", seed=2)
    _, W2, W3 = params["W"]
    params["B"] = [(W3 @ W2).T, W3.T]
    ours = steps(spec, "direct_feedback_alignment", params)
    assert_equal(ours, steps(spec, "backprop", params))


def test_drtp_by_a_loop_over_its_equations() -> None:
    spec = NetworkSpec(SIZES, "tanh", "binary_cross_entropy", bias=True)
    params = initial_parameters(spec, "drtp", seed=2)
    X, Y = samples()
    want = [np.zeros_like(w) for w in params["W"]]
    for x, y in zip(X, Y, strict=True):
        h1 = np.tanh(params["W"][0] @ x)
        h2 = np.tanh(params["W"][1] @ h1)
        out = 1 / (1 + np.exp(-params["W"][2] @ h2))
        want[0] += np.outer((params["B"][0] @ y) * (1 - h1**2), x) / len(X)
        want[1] += np.outer((params["B"][1] @ y) * (1 - h2**2), h1) / len(X)
        want[2] += np.outer(out - y, h2) / len(X)
    for ours, theirs in zip(steps(spec, "drtp", params)["W"], want, strict=True):
        assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    ("rule", "widths"),
    [
        ("feedback_alignment", [*pairwise((500, 300, 40))]),
        ("direct_feedback_alignment", [(500, 40), (300, 40)]),
        ("drtp", [(500, 40), (300, 40)]),
    ],
)
def test_feedback_is_drawn_by_the_size_of_the_layer_that_receives_it(
    rule: str, widths: list[tuple[int, int]]
) -> None:
    loss = rules.get(rule).loss
    B = initial_parameters(NetworkSpec((9, 500, 300, 40), loss=loss), rule, seed=0)["B"]
    assert [b.shape for b in B] == widths
    for b in B:
        bound = np.sqrt(6 / b.shape[0])
        assert 0.99 * bound < abs(b).max() <= bound
        assert b.std() == pytest.approx(bound / np.sqrt(3), rel=0.02)


def test_drtp_refuses_regression() -> None:
    from rate_models.errors import BadOption
    from rate_models.online.network import OnlineNetwork

    with pytest.raises(BadOption, match="loss"):
        OnlineNetwork(NetworkSpec(SIZES, loss="mse"), "drtp")
