"""Losses L(a, y) of the output pre-activation a, and their common error e = h_L - y.

| name | output | L per sample | output teaching signal δ_L = ∂L/∂a |
|---|---|---|---|
| cross_entropy | softmax | log Σ_k e^a_k - a·y | e |
| binary_cross_entropy | sigmoid | Σ_k [max(a,0) - a y + log(1 + e^-abs(a))] | e |
| mse | identity, or any elementwise | ½ Σ_k (h - y)² | e ∘ s'(a) |

For one-hot y these are the usual losses; e has the sign "prediction minus target", so a weight
update subtracts.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from rate_models.compiler import vectors
from rate_models.compiler.kernel import Array, Scalar, stage
from rate_models.errors import BadOption, UnknownName
from rate_models.model import activations

OUTPUTS = {"cross_entropy": "softmax", "binary_cross_entropy": "sigmoid", "mse": "identity"}
NAMES = tuple(OUTPUTS)
CROSS_ENTROPY, BINARY_CROSS_ENTROPY, MSE = range(len(NAMES))


def output_for(loss: str, output: str | None) -> str:
    """The output activation of ``loss``, or ``output`` where that matches the loss.

    Raises UnknownName for an unknown loss, BadOption for an output that does not match it.
    """
    if loss not in NAMES:
        raise UnknownName("loss", got=repr(loss), expected=f"one of {', '.join(NAMES)}")
    if output is None:
        return OUTPUTS[loss]
    activations.code(output)
    if (loss != "mse" and output != OUTPUTS[loss]) or (loss == "mse" and output == "softmax"):
        expected = OUTPUTS[loss] if loss != "mse" else "an elementwise activation"
        raise BadOption(f"output of loss {loss}", got=output, expected=expected)
    return output


def loss_of(loss: str, a: Any, h: Any, y: Any) -> Any:
    """L per sample, shape (batch,), from pre-activation a, output h and target y (batch, n_L)."""
    xp = array_namespace(a)
    if loss == "mse":
        return xp.sum((h - y) ** 2, axis=1) / 2
    if loss == "cross_entropy":
        top = xp.max(a, axis=1, keepdims=True)
        total = xp.log(xp.sum(xp.exp(a - top), axis=1)) + top[:, 0]
        return total - xp.sum(a * y, axis=1)
    positive = xp.where(a > 0, a, xp.zeros_like(a))
    return xp.sum(positive - a * y + xp.log(1 + xp.exp(-xp.abs(a))), axis=1)


def output_delta(loss: str, output: str, a: Any, e: Any) -> Any:
    """δ_L (batch, n_L), the derivative of L by the output pre-activation."""
    return e * activations.slope(output, a) if loss == "mse" else e


@stage
def sample_loss(kind: int, a: Array, h: Array, y: Array) -> Scalar:
    """L of one sample; textbook: `loss_of`."""
    total = 0.0
    if kind == CROSS_ENTROPY:
        # h = exp(a − top) / Σ exp(a − top), so the largest h has the sum
        largest = vectors.largest(a)
        for i in range(a.size):
            total += a[i] * y[i]
        return a[largest] - total - math.log(np.float64(h[largest]))
    for i in range(a.size):
        if kind == MSE:
            total += 0.5 * (h[i] - y[i]) ** 2
        else:
            total += max(a[i], 0.0) - a[i] * y[i] + math.log(1.0 + math.exp(-abs(a[i])))
    return total
