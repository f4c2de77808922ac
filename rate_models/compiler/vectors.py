"""Stages on vectors that models and kernels share."""

from __future__ import annotations

from rate_models.compiler.kernel import Array, Scalar, stage
from rate_models.compiler.lanes import lanewise


@stage
def largest(x: Array) -> int:
    """Where the largest of x is, the first of several."""
    best, top = 0, x[0]
    for i in range(1, x.size):  # without a branch, which no processor could predict
        larger = x[i] > top
        best, top = i if larger else best, x[i] if larger else top
    return best


@lanewise
def copy(y: Array, x: Array) -> None:
    """y = x"""
    y[...] = x[...]


@lanewise
def axpy(y: Array, alpha: Scalar, x: Array) -> None:
    """y += alpha x"""
    y[...] = y[...] + alpha * x[...]
