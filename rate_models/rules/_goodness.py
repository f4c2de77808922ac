"""Goodness of a layer's activity, and labels as part of the input.

    G(v) = ‖v‖² / n,    N(v) = v / (√G(v) + 10⁻⁴)

v (n,) activity of a layer, G its goodness, the mean square; N(v) has a goodness of about one.

Source: Hinton, arXiv 2212.13345, 2022, sections 2 and 3.3.
"""

from __future__ import annotations

import math
from typing import Any

from array_api_compat import array_namespace

from rate_models.compiler.kernel import Array, Scalar, stage
from rate_models.kernels import vectors

SMALL = 1e-4  # added to √G in N
UNLIKELY = 1e-6  # added to every prediction, so that a wrong label can be drawn in any case


def goodness(v: Any) -> Any:
    """G (batch, 1) of activities v (batch, n)."""
    xp = array_namespace(v)
    return xp.mean(v * v, axis=1, keepdims=True)


def normalised(v: Any) -> Any:
    """N (batch, n) of activities v (batch, n)."""
    return v / (goodness(v) ** 0.5 + SMALL)


def wrong_label(h: Any, y: Any, u: Any, uniform: bool) -> Any:
    """ȳ (batch, n_L) one-hot: k with a probability in proportion to h_k (1 - y_k), or
    to 1 - y_k where ``uniform``.

    h: outputs of the neutral pass. u (batch, 1): uniform in [0, 1).
    """
    xp = array_namespace(h)
    weight = 1 - y
    if not uniform:
        weight = weight * (h + UNLIKELY)
    upto = xp.cumulative_sum(weight, axis=1)
    reached = xp.astype(upto >= (1 - u) * upto[:, -1:], h.dtype)
    return xp.concat([reached[:, :1], reached[:, 1:] - reached[:, :-1]], axis=1)


def sigmoid(z: Any) -> Any:
    """1 / (1 + e^-z), without a power of e too large for a float."""
    return (1 + array_namespace(z).tanh(z / 2)) / 2


@stage
def label_codes(y: Array, h: Array, u: Scalar, uniform: bool, right: Array, wrong: Array) -> None:
    """right = y − 1/n_L, wrong = ȳ − 1/n_L. Readable form: `wrong_label`."""
    one = h.dtype.type(1)
    neutral, upto = one / h.dtype.type(y.size), one - one
    for k in range(y.size):
        right[k] = y[k] - neutral
        wrong[k] = one - y[k]
        if not uniform:
            wrong[k] *= h[k] + h.dtype.type(UNLIKELY)
        upto += wrong[k]
    wanted, upto, reached = (one - u) * upto, one - one, False
    for k in range(y.size):
        upto += wrong[k]
        wrong[k] = -neutral if reached or upto < wanted else one - neutral
        reached = upto >= wanted


@stage
def goodness_of(v: Array) -> Scalar:
    """G(v)"""
    return vectors.dot(v, v) / v.dtype.type(v.size)


@stage
def normalise(v: Array) -> None:
    """v ← N(v)"""
    length = math.sqrt(goodness_of(v)) + v.dtype.type(SMALL)
    for i in range(v.size):
        v[i] /= length


@stage
def sigmoid_of(z: Scalar) -> float:
    """1 / (1 + e^-z) of one number; textbook: `sigmoid`."""
    return 0.5 * (1.0 + math.tanh(0.5 * z))
