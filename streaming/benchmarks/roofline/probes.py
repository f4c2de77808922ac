"""Kernels that do nothing but what a machine limits: read, update, multiply and add."""

from __future__ import annotations

from rate_models.compiler.chains import chains_of
from rate_models.compiler.kernel import Array, Scalar, kernel, reduction
from rate_models.compiler.vectors import axpy


@reduction
def _sum(x: Array) -> Scalar:
    total = x.dtype.type(0)
    for i in range(x.size):
        total += x[i]
    return total


@kernel
def read(x: Array, turns: int) -> None:
    """Read x (n,) from its beginning to its end, ``turns`` times."""
    for _ in range(turns):
        x[0] = _sum(x) * x.dtype.type(1e-30)  # so that no turn can be left out


@kernel
def update(x: Array, pre: Array, turns: int) -> None:
    """x (n, m) += small · pre (m,), row by row, ``turns`` times: every number read and written."""
    for _ in range(turns):
        for row in range(x.shape[0]):
            axpy(x[row], x.dtype.type(1e-30), pre)


_four, _eight, _sixteen = map(chains_of, (4, 8, 16))


@kernel
def multiply_adds_4(a: Scalar, b: Scalar, turns: int) -> Scalar:
    """CHAINS vectors of 4 numbers, c ← a c + b, ``turns`` times; the sum of all."""
    return _four(turns, a, b)


@kernel
def multiply_adds_8(a: Scalar, b: Scalar, turns: int) -> Scalar:
    """As `multiply_adds_4`, with vectors of 8."""
    return _eight(turns, a, b)


@kernel
def multiply_adds_16(a: Scalar, b: Scalar, turns: int) -> Scalar:
    """As `multiply_adds_4`, with vectors of 16."""
    return _sixteen(turns, a, b)


MULTIPLY_ADDS = {4: multiply_adds_4, 8: multiply_adds_8, 16: multiply_adds_16}
