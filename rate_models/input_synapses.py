"""The first layer's weights in structured form: exact, and much cheaper than the plain form.

A rule may present to the input layer, besides x, a second pattern x + K c: K (n_0, k) fixed, c (k,)
chosen per sample (PEPITA: K = F, c = the error). Its update there is

    ΔW = post_x xᵀ + post_c (K c)ᵀ              (PEPITA: post_x = post_c = the mismatch)

Two identities keep both cheap. With W = S + Uᵀ Kᵀ, S changes only in the columns where x is not
zero, U (k, n_1) takes post_c cᵀ, and W x = S x + Uᵀ(Kᵀx). With WK = W K kept up to date by rank-1
changes, W(x + K c) = W x + (WK) c needs no second pass over the largest matrix. Rules with no
second pattern have k = 0. With ``U`` empty the plain form runs: x + K c is formed and integrated.

S is stored with a row per input, so that the weights of one input are contiguous.

Pending update. Without momentum and weight decay the change of S is not applied at once but in the
sweep that integrates the next sample: one pass through memory for both. It is part of the state.

Momentum and weight decay move every weight at every step, touched or not. An untouched input's
weights follow the linear map (v, w) ← (μ v + ηλ w, w − μ v − ηλ w), so they are brought up to date
by a power of that map when their input is next active: sparsity is kept. When a rate changes in
between, all are brought up to date first; a rate that changes at every sample makes this dense.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rate_models.kernel import Array, stage
from rate_models.optimizers import Step, outer_step
from rate_models.rows import axpy, coast, dot, four_fresh, four_pending, moving_step, power

STEPS, PENDING = range(2)  # places in `counts`


class InputSynapses(NamedTuple):
    """The arrays of the first layer. T is the dtype of the network; V, VU, VWK are empty without
    momentum and weight decay, U, VU, WK, VWK, G in the plain form.
    """

    S: Array  # T (n_0, n_1)
    V: Array  # T (n_0, n_1): velocity of S
    K: Array  # T (n_0, k)
    G: Array  # T (k, k): KᵀK
    U: Array  # T (k, n_1)
    VU: Array
    WK: Array  # T (k, n_1): (W K)ᵀ
    VWK: Array
    upto: NDArray[np.int64]  # (n_0,): optimiser steps that row j of S and V has seen
    map: Array  # T (2,): μ and ηλ of the steps that untouched rows are behind
    pending_post: Array  # T (n_1,): post of the update not yet swept into S
    pending_x: Array  # T (n_0,): η x of it, zero where nothing is pending
    pending_rows: NDArray[np.int64]  # (n_0,)
    rows: NDArray[np.int64]  # (n_0,): where this sample's x is not zero
    active: NDArray[np.int64]  # (1,): how many they are
    order: NDArray[np.int64]  # (n_0,): scratch
    x: Array  # T (n_0,): this sample's input
    Kx: Array  # T (k,): Kᵀx
    counts: NDArray[np.int64]  # (2,): STEPS taken, rows PENDING


STATE = ("S", "V", "K", "G", "U", "VU", "WK", "VWK", "upto", "map", "pending_post", "pending_x",
         "pending_rows", "counts")  # fmt: skip


def allocate(w: Array, k: Array, *, moving: bool, structured: bool) -> InputSynapses:
    """Input synapses with weights w (n_1, n_0) and second-pattern matrix k (n_0, k).

    moving: whether momentum or weight decay is on. structured: False for the plain form.
    """
    dtype, (n1, n0), extra = w.dtype, w.shape, k.shape[1] if structured else 0
    wide = n0 if moving else 0
    return InputSynapses(
        S=np.ascontiguousarray(w.T),
        V=np.zeros((wide, n1), dtype),
        K=np.ascontiguousarray(k),
        G=np.ascontiguousarray(k.T @ k)[:extra, :extra],
        U=np.zeros((extra, n1), dtype),
        VU=np.zeros((extra if moving else 0, n1), dtype),
        WK=np.ascontiguousarray((w @ k).T)[:extra],
        VWK=np.zeros((extra if moving else 0, n1), dtype),
        upto=np.zeros(wide, np.int64),
        map=np.zeros(2, dtype),
        pending_post=np.zeros(n1, dtype),
        pending_x=np.zeros(n0, dtype),
        pending_rows=np.zeros(n0, np.int64),
        rows=np.zeros(n0, np.int64),
        active=np.zeros(1, np.int64),
        order=np.zeros(n0, np.int64),
        x=np.zeros(n0, dtype),
        Kx=np.zeros(extra, dtype),
        counts=np.zeros(2, np.int64),
    )


def folded(s: InputSynapses) -> Array:
    """W_1 (n_1, n_0) as the plain form would hold it; changes nothing."""
    w = s.S.copy()
    if s.V.size:
        for row, gap in enumerate(s.counts[STEPS] - s.upto):
            _, _, c, d = power(s.map[0], s.map[1], gap)
            w[row] = c * s.V[row] + d * s.S[row]
    active = s.pending_rows[: s.counts[PENDING]]
    w[active] -= s.pending_x[active, None] * s.pending_post
    return np.ascontiguousarray((w + s.K[:, : len(s.U)] @ s.U).T)


@stage
def _catch_up(s: InputSynapses, row: int) -> None:
    """Bring one input's weights and velocities to the current step."""
    gap = s.counts[STEPS] - s.upto[row]
    if gap > 0:
        coast(s.S[row], s.V[row], s.map[0], s.map[1], gap)
        s.upto[row] = s.counts[STEPS]


@stage
def settle(s: InputSynapses) -> None:
    """Sweep in what is pending or behind, for all inputs."""
    for n in range(s.counts[PENDING]):
        row = s.pending_rows[n]
        w, u = s.S[row], s.pending_x[row]
        for i in range(w.size):
            w[i] -= u * s.pending_post[i]
        s.pending_x[row] = 0
    s.counts[PENDING] = 0
    for row in range(s.upto.size):
        _catch_up(s, row)


@stage
def fold(s: InputSynapses) -> None:
    """S ← S + K U, U ← 0, WK afresh: keeps the rounding of long runs from adding up."""
    settle(s)
    k = s.U.shape[0]
    if k > 0:
        _fold_into(s.S, s.U, s.WK, s.K)
        if s.VU.shape[0] > 0:
            _fold_into(s.V, s.VU, s.VWK, s.K)


@stage
def _fold_into(w: Array, u: Array, wk: Array, k: Array) -> None:
    wk[:] = 0
    for row in range(w.shape[0]):
        for c in range(u.shape[0]):
            axpy(w[row], k[row, c], u[c])
        for c in range(u.shape[0]):
            axpy(wk[c], k[row, c], w[row])
    u[:] = 0


@stage
def load(s: InputSynapses, x: Array) -> None:
    """Take in a sample: its values, its active rows, and Kᵀx."""
    active = 0
    for row in range(x.size):
        s.x[row] = x[row]
        s.rows[active] = row
        active += x[row] != 0
    s.active[0] = active
    s.Kx[:] = 0
    for n in range(active):
        row = s.rows[n]
        for c in range(s.Kx.size):
            s.Kx[c] += s.K[row, c] * s.x[row]


@stage
def peek(s: InputSynapses, x: Array, a: Array) -> None:
    """a = W x, changing no state but the scratch; for predictions."""
    load(s, x)
    a[:] = 0
    overlap = a.dtype.type(0)
    for n in range(s.active[0]):
        row = s.rows[n]
        if s.upto.size > 0:
            _, _, pc, pd = power(s.map[0], s.map[1], s.counts[STEPS] - s.upto[row])
            axpy(a, a.dtype.type(pc) * s.x[row], s.V[row])
            axpy(a, a.dtype.type(pd) * s.x[row], s.S[row])
        else:
            axpy(a, s.x[row], s.S[row])
        if s.counts[PENDING] > 0:  # pending_x means nothing, and may be old, when none is
            overlap += s.pending_x[row] * s.x[row]
    if s.counts[PENDING] > 0:
        axpy(a, -overlap, s.pending_post)
    for c in range(s.Kx.size):
        axpy(a, s.Kx[c], s.U[c])


@stage
def integrate(s: InputSynapses, x: Array, a: Array) -> None:
    """a = W x. Readable form: S -= pending_post ⊗ pending_x; a = S x + Uᵀ(Kᵀx)."""
    load(s, x)
    a[:] = 0
    if s.upto.size > 0:
        for n in range(s.active[0]):
            _catch_up(s, s.rows[n])
    _sweep(s, a)
    for c in range(s.Kx.size):
        axpy(a, s.Kx[c], s.U[c])


@stage
def _sweep(s: InputSynapses, a: Array) -> None:
    """Apply the pending update and integrate x in one pass through the rows they touch.

    Rows in both are read and written once, four at a time; rows of x alone are only read.
    """
    both, fresh = 0, s.order.size
    for n in range(s.active[0]):
        row = s.rows[n]
        if s.pending_x[row] != 0:
            s.order[both] = row
            both += 1
        else:
            fresh -= 1
            s.order[fresh] = row
    for n in range(0, both - 3, 4):
        four_pending(s.S, s.order[n : n + 4], s.pending_x, s.pending_post, s.x, a)
    for n in range(both - both % 4, both):
        row = s.order[n]
        axpy(s.S[row], -s.pending_x[row], s.pending_post)
        axpy(a, s.x[row], s.S[row])
    last = s.order.size
    for n in range(fresh, last - 3, 4):
        four_fresh(s.S, s.order[n : n + 4], s.x, a)
    for n in range(last - (last - fresh) % 4, last):
        axpy(a, s.x[s.order[n]], s.S[s.order[n]])
    for n in range(s.counts[PENDING]):
        row = s.pending_rows[n]
        if s.x[row] == 0:
            axpy(s.S[row], -s.pending_x[row], s.pending_post)
        s.pending_x[row] = 0
    s.counts[PENDING] = 0


@stage
def modulate(s: InputSynapses, c: Array, a: Array, out: Array) -> None:
    """out = W(x + K c), given a = W x."""
    if s.U.shape[0] > 0:
        out[:] = a
        for n in range(c.size):
            axpy(out, c[n], s.WK[n])
    else:
        for row in range(s.x.size):  # the plain form: x ← x + K c, all of it active
            s.x[row] += dot(s.K[row], c)
            s.rows[row] = row
        s.active[0] = s.x.size
        if s.upto.size > 0:
            settle(s)
        out[:] = 0
        _sweep(s, out)


@stage
def update(s: InputSynapses, post_x: Array, post_c: Array, c: Array, step: Step) -> None:
    """One optimiser step with ΔW = post_x xᵀ + post_c (K c)ᵀ.

    In the plain form x already holds x + K c where `modulate` was called, so post_c has no part.
    """
    if s.upto.size == 0:
        settle(s)
        s.pending_post[:] = post_x
        for n in range(s.active[0]):
            row = s.rows[n]
            s.pending_rows[n] = row
            s.pending_x[row] = step.eta * s.x[row]
        s.counts[PENDING] = s.active[0]
    else:
        decay = step.eta * step.lam
        if s.map[0] != step.mu or s.map[1] != decay:
            settle(s)
            s.map[0], s.map[1] = step.mu, decay
        s.counts[STEPS] += 1
        for n in range(s.active[0]):
            row = s.rows[n]
            moving_step(s.S[row], s.V[row], s.x[row], post_x, step)
            s.upto[row] = s.counts[STEPS]
    if s.U.shape[0] > 0:
        _update_structure(s, post_x, post_c, c, step)


@stage
def _update_structure(s: InputSynapses, post_x: Array, post_c: Array, c: Array, step: Step) -> None:
    """U takes post_c cᵀ; WK takes ΔW K = post_x (Kᵀx)ᵀ + post_c (G c)ᵀ."""
    outer_step(s.U, s.VU, c, post_c, step)
    if s.VWK.shape[0] > 0:
        # the two parts of ΔW K are one gradient: velocity and decay act once
        for m in range(c.size):
            wk, v, gc = s.WK[m], s.VWK[m], dot(s.G[m], c)
            decay = step.eta * step.lam
            for i in range(wk.size):
                gradient = s.Kx[m] * post_x[i] + gc * post_c[i]
                v[i] = step.mu * v[i] + decay * wk[i] + step.eta * gradient
                wk[i] -= v[i]
    else:
        for m in range(c.size):
            wk, kx, gc = s.WK[m], step.eta * s.Kx[m], step.eta * dot(s.G[m], c)
            for i in range(wk.size):
                wk[i] -= kx * post_x[i] + gc * post_c[i]
