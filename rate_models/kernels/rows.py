"""Stages on vectors and on rows of weights, which the layers and the input synapses share."""

from __future__ import annotations

from rate_models.compiler.kernel import Array, Scalar, inlined, reduction, stage
from rate_models.model.optimizers import Step


@inlined
def copy(y: Array, x: Array) -> None:
    """y = x"""
    for i in range(y.size):
        y[i] = x[i]


@inlined
def axpy(y: Array, alpha: Scalar, x: Array) -> None:
    """y += alpha x"""
    for i in range(y.size):
        y[i] += alpha * x[i]


@inlined
def combine(y: Array, alpha: Array, x: Array) -> None:
    """y += Σ_n alpha_n x_n over the rows of x, four at a time."""
    fours = alpha.size - alpha.size % 4
    for n in range(0, fours, 4):
        a0, a1, a2, a3 = alpha[n], alpha[n + 1], alpha[n + 2], alpha[n + 3]
        x0, x1, x2, x3 = x[n], x[n + 1], x[n + 2], x[n + 3]
        for i in range(y.size):
            y[i] += a0 * x0[i] + a1 * x1[i] + a2 * x2[i] + a3 * x3[i]
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
    a, b, c, d = dtype.type(pa), dtype.type(pb), dtype.type(pc), dtype.type(pd)
    for i in range(w.size):
        old = v[i]
        v[i] = a * old + b * w[i]
        w[i] = c * old + d * w[i]


@stage
def moving_step(w: Array, v: Array, x: Scalar, post: Array, step: Step) -> None:
    """One step of a row with momentum and decay: v = μ v + η (λ w + x post); w -= v."""
    decay, change = step.eta * step.lam, step.eta * x
    for i in range(w.size):
        v[i] = step.mu * v[i] + decay * w[i] + change * post[i]
        w[i] -= v[i]


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
    for i in range(a.size):
        c0, c1, c2, c3 = (
            w0[i] - u0 * p0[i],
            w1[i] - u1 * p1[i],
            w2[i] - u2 * p2[i],
            w3[i] - u3 * p3[i],
        )
        w0[i], w1[i], w2[i], w3[i] = c0, c1, c2, c3
        a[i] += x0 * c0 + x1 * c1 + x2 * c2 + x3 * c3
    for row in rows:
        pending[row] = 0
