"""Stages on vectors and on the rows of matrices, which layers, input synapses and rules share.

A sum over rows adds its terms to each element one after another, each product unrounded. So it is
the same to the last bit however many rows are taken at a time, and terms of zero may be left out.
"""

from __future__ import annotations

from rate_models.compiler.kernel import Array, Scalar, reduction, stage
from rate_models.compiler.lanes import lanewise
from rate_models.compiler.vectors import axpy as axpy
from rate_models.compiler.vectors import copy as copy
from rate_models.compiler.vectors import largest as largest


@lanewise
def axpy_four(
    y: Array, a0: Scalar, a1: Scalar, a2: Scalar, a3: Scalar,
    x0: Array, x1: Array, x2: Array, x3: Array,
) -> None:  # fmt: skip
    """y += a0 x0 + a1 x1 + a2 x2 + a3 x3"""
    y[...] = y[...] + a0 * x0[...] + a1 * x1[...] + a2 * x2[...] + a3 * x3[...]


@lanewise
def axpy_eight(
    y: Array,
    a0: Scalar, a1: Scalar, a2: Scalar, a3: Scalar, a4: Scalar, a5: Scalar, a6: Scalar, a7: Scalar,
    x0: Array, x1: Array, x2: Array, x3: Array, x4: Array, x5: Array, x6: Array, x7: Array,
) -> None:  # fmt: skip
    """y += a0 x0 + ... + a7 x7"""
    four = y[...] + a0 * x0[...] + a1 * x1[...] + a2 * x2[...] + a3 * x3[...]
    y[...] = four + a4 * x4[...] + a5 * x5[...] + a6 * x6[...] + a7 * x7[...]


@lanewise
def scaled(y: Array, alpha: Scalar, x: Array) -> None:
    """y = alpha x"""
    y[...] = alpha * x[...]


@lanewise
def mapped(w: Array, v: Array, a: Scalar, b: Scalar, c: Scalar, d: Scalar) -> None:
    """(v, w) = (a v + b w, c v + d w)"""
    v[...], w[...] = a * v[...] + b * w[...], c * v[...] + d * w[...]


@stage
def combine(y: Array, alpha: Array, x: Array) -> None:
    """y += Σ_n alpha_n x_n over the rows of x, for all of alpha."""
    n = 0
    while n + 8 <= alpha.size:
        axpy_eight(
            y, alpha[n], alpha[n + 1], alpha[n + 2], alpha[n + 3],
            alpha[n + 4], alpha[n + 5], alpha[n + 6], alpha[n + 7],
            x[n], x[n + 1], x[n + 2], x[n + 3], x[n + 4], x[n + 5], x[n + 6], x[n + 7],
        )  # fmt: skip
        n += 8
    if n + 4 <= alpha.size:
        a0, a1, a2, a3 = alpha[n], alpha[n + 1], alpha[n + 2], alpha[n + 3]
        axpy_four(y, a0, a1, a2, a3, x[n], x[n + 1], x[n + 2], x[n + 3])
        n += 4
    for k in range(n, alpha.size):
        axpy(y, alpha[k], x[k])


@reduction
def dot(x: Array, y: Array) -> Scalar:
    """x · y"""
    total = x.dtype.type(0)
    for i in range(x.size):
        total += x[i] * y[i]
    return total


@stage
def add_product(w: Array, k: Array, u: Array) -> None:
    """w += kᵀ u"""
    for row in range(w.shape[0]):
        for c in range(u.shape[0]):
            axpy(w[row], k[c, row], u[c])


@stage
def project(w: Array, k: Array, kw: Array) -> None:
    """kw = k w"""
    kw[:] = 0
    for row in range(w.shape[0]):
        for c in range(kw.shape[0]):
            axpy(kw[c], k[c, row], w[row])


@stage
def dots(out: Array, x: Array, k: Array) -> None:
    """out_tm = k_m · x_t"""
    for m in range(k.shape[0]):
        for t in range(x.shape[0]):
            out[t, m] = dot(k[m], x[t])
