"""Stages on vectors and on rows of weights, which the layers and the input synapses share."""

from __future__ import annotations

from rate_models.compiler.kernel import Array, Scalar, inlined, reduction, stage
from rate_models.compiler.lanes import lanewise
from rate_models.compiler.vectors import axpy as axpy
from rate_models.compiler.vectors import copy as copy
from rate_models.model.optimizers import Step


@lanewise
def axpy_four(
    y: Array, a0: Scalar, a1: Scalar, a2: Scalar, a3: Scalar,
    x0: Array, x1: Array, x2: Array, x3: Array,
) -> None:  # fmt: skip
    """y += a0 x0 + a1 x1 + a2 x2 + a3 x3"""
    y[...] = y[...] + (a0 * x0[...] + a1 * x1[...] + a2 * x2[...] + a3 * x3[...])


@lanewise
def axpy_in_turn(
    y: Array, a0: Scalar, a1: Scalar, a2: Scalar, a3: Scalar,
    x0: Array, x1: Array, x2: Array, x3: Array,
) -> None:  # fmt: skip
    """The same sum, added up as by four `axpy`, to the last bit."""
    y[...] = y[...] + a0 * x0[...] + a1 * x1[...] + a2 * x2[...] + a3 * x3[...]


@inlined
def combine(y: Array, alpha: Array, x: Array) -> None:
    """y += Σ_n alpha_n x_n over the rows of x, four at a time."""
    fours = alpha.size - alpha.size % 4
    for n in range(0, fours, 4):
        a0, a1, a2, a3 = alpha[n], alpha[n + 1], alpha[n + 2], alpha[n + 3]
        axpy_four(y, a0, a1, a2, a3, x[n], x[n + 1], x[n + 2], x[n + 3])
    for n in range(fours, alpha.size):
        axpy(y, alpha[n], x[n])


@reduction
def dot(x: Array, y: Array) -> Scalar:
    """x · y"""
    total = x.dtype.type(0)
    for i in range(x.size):
        total += x[i] * y[i]
    return total


def plain_power(mu: Scalar, decay: Scalar, gap: int) -> tuple[float, float, float, float]:
    """The gap-th power of [[μ, ηλ], [−μ, 1−ηλ]], the map of (v, w) in a step without gradient."""
    ra, rb, rc, rd = 1.0, 0.0, 0.0, 1.0
    a, b, c, d = float(mu), float(decay), -float(mu), 1.0 - float(decay)
    while gap > 0:
        if gap & 1:
            ra, rb, rc, rd = ra * a + rb * c, ra * b + rb * d, rc * a + rd * c, rc * b + rd * d
        a, b, c, d = a * a + b * c, a * b + b * d, c * a + d * c, c * b + d * d
        gap >>= 1
    return ra, rb, rc, rd


power = stage(plain_power)


@stage
def coast(w: Array, v: Array, mu: Scalar, decay: Scalar, gap: int) -> None:
    """``gap`` optimiser steps without gradient for one row of weights w and velocities v."""
    pa, pb, pc, pd = power(mu, decay, gap)
    dtype = w.dtype
    _mapped(w, v, dtype.type(pa), dtype.type(pb), dtype.type(pc), dtype.type(pd))


@lanewise
def _mapped(w: Array, v: Array, a: Scalar, b: Scalar, c: Scalar, d: Scalar) -> None:
    """(v, w) ← (a v + b w, c v + d w)"""
    v[...], w[...] = a * v[...] + b * w[...], c * v[...] + d * w[...]


@stage
def amend(
    w: Array, v: Array, row: int, x1: Scalar, post1: Array, x2: Scalar, post2: Array, step: Step
) -> None:
    """Add the gradient x1 post1 − x2 post2 to the step just taken of a row: v and w move alike."""
    for i in range(post1.size):
        change = step.eta * (x1 * post1[i] - x2 * post2[i])
        w[row, i] -= change
        if v.size > 0:
            v[row, i] += change


@stage
def add_product(w: Array, k: Array, u: Array) -> None:
    """w += k u"""
    for row in range(w.shape[0]):
        for c in range(u.shape[0]):
            axpy(w[row], k[row, c], u[c])


@stage
def project(w: Array, k: Array, wk: Array) -> None:
    """wk = kᵀ w"""
    wk[:] = 0
    for row in range(w.shape[0]):
        for c in range(wk.shape[0]):
            axpy(wk[c], k[row, c], w[row])


@lanewise
def sweep(
    a: Array, w0: Array, w1: Array, w2: Array, w3: Array,
    u0: Scalar, u1: Scalar, u2: Scalar, u3: Scalar,
    p0: Array, p1: Array, p2: Array, p3: Array,
    x0: Scalar, x1: Scalar, x2: Scalar, x3: Scalar,
) -> None:  # fmt: skip
    """w_n -= u_n p_n and a += Σ_n x_n w_n, in one pass."""
    c0, c1 = w0[...] - u0 * p0[...], w1[...] - u1 * p1[...]
    c2, c3 = w2[...] - u2 * p2[...], w3[...] - u3 * p3[...]
    w0[...], w1[...], w2[...], w3[...] = c0, c1, c2, c3
    a[...] = a[...] + (x0 * c0 + x1 * c1 + x2 * c2 + x3 * c3)


@inlined
def sweep_four(
    s: Array, rows: Array, pending: Array, at: Array, post: Array, x: Array, a: Array
) -> None:
    """For four rows w of s: w -= pending post_at; pending = 0; a += x w."""
    r0, r1, r2, r3 = rows[0], rows[1], rows[2], rows[3]
    w0, w1, w2, w3 = s[r0], s[r1], s[r2], s[r3]
    x0, x1, x2, x3 = x[r0], x[r1], x[r2], x[r3]
    u0, u1, u2, u3 = pending[r0], pending[r1], pending[r2], pending[r3]
    p0, p1, p2, p3 = post[at[r0]], post[at[r1]], post[at[r2]], post[at[r3]]
    sweep(a, w0, w1, w2, w3, u0, u1, u2, u3, p0, p1, p2, p3, x0, x1, x2, x3)
    for row in rows:
        pending[row] = 0
