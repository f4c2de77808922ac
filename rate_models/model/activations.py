"""Activation functions s(a) and their slopes s'(a), for arrays and for kernels.

| name | s(a) | s'(a) |
|---|---|---|
| identity | a | 1 |
| relu | max(a, 0) | 1 where a > 0, else 0 |
| tanh | tanh a | 1 - tanh² a |
| sigmoid | 1 / (1 + e^-a) | s (1 - s) |
| erf | erf(a / √2), as in the teacher-student literature | √(2/π) e^(-a²/2) |
| softmax | e^a_i / Σ_k e^a_k, output layers with cross-entropy only | none elementwise |

Kernels take the integer code of a name, its index in `NAMES`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_torch_array

from rate_models.compiler import vectors
from rate_models.compiler.kernel import Array, stage
from rate_models.errors import UnknownName

NAMES = ("identity", "relu", "tanh", "sigmoid", "erf", "softmax")
IDENTITY, RELU, TANH, SIGMOID, ERF, SOFTMAX = range(len(NAMES))
_ROOT_HALF = math.sqrt(0.5)
_ROOT_2_PI = math.sqrt(2.0 / math.pi)


def code(name: str) -> int:
    """The integer code of an activation in kernels. Raises UnknownName for another name."""
    if name not in NAMES:
        raise UnknownName("activation", got=repr(name), expected=f"one of {', '.join(NAMES)}")
    return NAMES.index(name)


def apply(name: str, a: Any) -> Any:
    """s(a) for an array (batch, n) of any array-API namespace."""
    xp = array_namespace(a)
    if name == "identity":
        return a
    if name == "relu":
        return a.relu() if is_torch_array(a) else xp.clip(a, 0, None)  # NaN stays NaN
    if name == "tanh":
        return xp.tanh(a)
    if name == "sigmoid":
        return 1 / (1 + xp.exp(-a))
    if name == "erf":
        return _erf(xp, a * _ROOT_HALF)
    if is_torch_array(a):
        return a.softmax(1)
    z = xp.exp(a - xp.max(a, axis=1, keepdims=True))
    return z / xp.sum(z, axis=1, keepdims=True)


def slope(name: str, a: Any) -> Any:
    """s'(a) for an array (batch, n) of any array-API namespace."""
    xp = array_namespace(a)
    if name == "identity":
        return xp.ones_like(a)
    if name == "relu":
        # torch compares slowly
        return a.sign().clamp(0) if is_torch_array(a) else xp.astype(a > 0, a.dtype)
    if name == "erf":
        return _ROOT_2_PI * xp.exp(-a * a / 2)
    s = apply(name, a)
    if name == "tanh":
        return 1 - s * s
    if name == "sigmoid":
        return s * (1 - s)
    raise UnknownName("slope", got=name, expected="an elementwise activation")


def _erf(xp: Any, z: Any) -> Any:
    if hasattr(xp, "erf"):
        return xp.erf(z)
    from scipy.special import erf

    return xp.asarray(erf(np.asarray(z)))


@stage
def activate(kind: int, a: Array, h: Array) -> None:
    """h = s(a) for one layer of one sample."""
    one = a.dtype.type(1)
    if kind == RELU:
        zero = a.dtype.type(0)
        for i in range(a.size):
            h[i] = zero if a[i] < zero else a[i]
    elif kind == IDENTITY:
        for i in range(a.size):
            h[i] = a[i]
    elif kind == TANH:
        for i in range(a.size):
            h[i] = math.tanh(a[i])
    elif kind == SIGMOID:
        for i in range(a.size):
            h[i] = one / (one + math.exp(-a[i]))
    elif kind == ERF:
        for i in range(a.size):
            h[i] = math.erf(a[i] * a.dtype.type(_ROOT_HALF))
    else:
        total = one - one
        top = a[vectors.largest(a)]
        for i in range(a.size):
            h[i] = math.exp(a[i] - top)
            total += h[i]
        for i in range(a.size):
            h[i] /= total


@stage
def gate(kind: int, a: Array, delta: Array) -> None:
    """delta *= s'(a) for one layer of one sample."""
    one = a.dtype.type(1)
    if kind == RELU:
        zero = one - one
        for i in range(a.size):
            delta[i] = delta[i] if a[i] > zero else zero
    elif kind == TANH:
        for i in range(a.size):
            s = math.tanh(a[i])
            delta[i] *= one - s * s
    elif kind == SIGMOID:
        for i in range(a.size):
            s = one / (one + math.exp(-a[i]))
            delta[i] *= s * (one - s)
    elif kind == ERF:
        for i in range(a.size):
            delta[i] *= a.dtype.type(_ROOT_2_PI) * math.exp(-a[i] * a[i] / (one + one))
