"""The first layer's weights in structured form: exact, and much cheaper than the plain form.

A rule may present to the input layer, besides x, a second pattern x + K c: K (n_0, k) fixed, c (k,)
chosen per sample (PEPITA: K = F, c = the error). Its update there is

    ΔW = post_x xᵀ + post_c (K c)ᵀ              (PEPITA: post_x = post_c = the mismatch)

Two identities keep both cheap. With W = S + Uᵀ Kᵀ, S changes only in the columns where x is not
zero, U (k, n_1) takes post_c cᵀ, and W x = S x + Uᵀ(Kᵀx). With WK = W K kept up to date by rank-1
changes, W(x + K c) = W x + (WK) c needs no second pass over the largest matrix. Rules with no
second pattern have k = 0. With ``U`` empty the plain form runs: x + K c is formed and integrated.

S is stored with a row per input, so that the weights of one input are contiguous.

Pending updates. Without momentum and weight decay the change of S is not applied at once: every
input's change waits until that input is next active, and is applied in the sweep that integrates
then, one pass through memory for both. What waits is post of the last `BLOCK` samples and, for each
input, η x and which sample it belongs to; it is part of the state. All is swept in when a block is
full.

Momentum and weight decay move every weight at every step, touched or not. An untouched input's
weights follow the linear map (v, w) ← (μ v + ηλ w, w − μ v − ηλ w), so they are brought up to date
by a power of that map when their input is next active: sparsity is kept. When a rate changes in
between, all are brought up to date first; a rate that changes at every sample makes this dense.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rate_models.compiler.kernel import Array, Scalar, aligned, inlined, stage
from rate_models.compiler.lanes import lanewise
from rate_models.kernels import rows
from rate_models.model.optimizers import Step, moving_step, outer_step

STEPS, PENDING = range(2)  # places in `counts`
BLOCK = 128  # samples between two sweeps over all inputs; part of the trajectory, so not an option


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
    WKS: Array  # the WK that the second pass goes through: WK itself, or with a delay an older one
    upto: NDArray[np.int64]  # (n_0,): optimiser steps that row j of S and V has seen
    map: Array  # T (2,): μ and ηλ of the steps that untouched rows are behind
    pending_post: Array  # T (BLOCK, n_1): post of the samples of this block
    pending_x: Array  # T (n_0,): η x not yet swept into S, zero where nothing is pending
    pending_at: NDArray[np.int64]  # (n_0,): the row of pending_post that belongs to it
    rows: NDArray[np.int64]  # (n_0,): where this sample's x is not zero
    active: NDArray[np.int64]  # (1,): how many they are
    x: Array  # T (n_0,): this sample's input
    Kx: Array  # T (k,): Kᵀx
    shift: Array  # T (n_0,): K c that the plain form has added to x; else empty
    counts: NDArray[np.int64]  # (2,): STEPS taken, samples PENDING


STATE = ("S", "V", "K", "G", "U", "VU", "WK", "VWK", "upto", "map", "pending_post", "pending_x",
         "pending_at", "counts")  # fmt: skip


def bounds(arrays: dict[str, Array], most: int) -> dict[str, tuple[ArrayLike, ArrayLike]]:
    """The smallest and largest numbers that these arrays of `STATE` may hold; most: of a count."""
    found: dict[str, tuple[ArrayLike, ArrayLike]] = {
        "counts": (0, (most, BLOCK - 1)),
        "upto": (0, arrays["counts"][STEPS]),
        "pending_at": (0, BLOCK - 1),
    }
    if not arrays["pending_post"].size:  # nothing that waits would have a row there
        found["pending_x"] = 0, 0
    return found


def allocate(w: Array, k: Array, *, moving: bool, structured: bool) -> InputSynapses:
    """Input synapses with weights w (n_1, n_0) and second-pattern matrix k (n_0, k).

    moving: whether momentum or weight decay is on. structured: False for the plain form.
    """
    dtype, (n1, n0), extra = w.dtype, w.shape, k.shape[1] if structured else 0
    zeros, wide, tall = np.zeros, n0 if moving else 0, extra if moving else 0
    wk = aligned((w @ k).T[:extra], dtype)
    return InputSynapses(
        S=aligned(w.T, dtype),
        V=aligned(zeros((wide, n1)), dtype),
        K=aligned(k, dtype),
        G=aligned((k.T @ k)[:extra, :extra], dtype),
        U=aligned(zeros((extra, n1)), dtype),
        VU=aligned(zeros((tall, n1)), dtype),
        WK=wk,
        VWK=aligned(zeros((tall, n1)), dtype),
        WKS=wk,
        upto=zeros(wide, np.int64),
        map=zeros(2, dtype),
        pending_post=aligned(zeros((0 if moving else BLOCK, n1)), dtype),
        pending_x=aligned(zeros(n0), dtype),
        pending_at=zeros(n0, np.int64),
        rows=zeros(n0, np.int64),
        active=zeros(1, np.int64),
        x=aligned(zeros(n0), dtype),
        Kx=zeros(extra, dtype),
        shift=zeros(0 if structured or k.shape[1] == 0 else n0, dtype),
        counts=zeros(2, np.int64),
    )


def folded(s: InputSynapses) -> Array:
    """W_1 (n_1, n_0) as the plain form would hold it; changes nothing."""
    w = s.S.copy()
    if s.V.size:
        for row, gap in enumerate(s.counts[STEPS] - s.upto):
            _, _, c, d = rows.plain_power(s.map[0], s.map[1], gap)
            w[row] = c * s.V[row] + d * s.S[row]
    due = np.flatnonzero(s.pending_x)
    w[due] -= s.pending_x[due, None] * s.pending_post[s.pending_at[due]]
    return np.ascontiguousarray((w + s.K[:, : len(s.U)] @ s.U).T)


@stage
def _catch_up(s: InputSynapses, row: int) -> None:
    """Bring one input's weights and velocities to the current step."""
    gap = s.counts[STEPS] - s.upto[row]
    if gap > 0:
        rows.coast(s.S[row], s.V[row], s.map[0], s.map[1], gap)
        s.upto[row] = s.counts[STEPS]


@stage
def settle(s: InputSynapses) -> None:
    """Sweep in what is pending or behind, for all inputs."""
    for row in range(s.pending_x.size):
        _apply(s, row)
    s.counts[PENDING] = 0
    for row in range(s.upto.size):
        _catch_up(s, row)


@inlined
def _apply(s: InputSynapses, row: int) -> None:
    """Sweep in what is pending for one input."""
    if s.pending_x[row] != 0:
        rows.axpy(s.S[row], -s.pending_x[row], s.pending_post[s.pending_at[row]])
        s.pending_x[row] = 0


@stage
def _apply_late(s: InputSynapses, row: int) -> None:
    """`_apply` where it is rarely needed: inlined, its preparations would cost as much as a row."""
    _apply(s, row)


@stage
def collect(s: InputSynapses) -> None:
    """S ← S + K U, U ← 0: S alone is the weights. WK stays as it was."""
    settle(s)
    rows.add_product(s.S, s.K, s.U)
    rows.add_product(s.V, s.K, s.VU)
    s.U[:] = 0
    s.VU[:] = 0


@stage
def fold(s: InputSynapses) -> None:
    """`collect`, and WK afresh: keeps the rounding of long runs from adding up."""
    collect(s)
    rows.project(s.S, s.K, s.WK)
    rows.project(s.V, s.K, s.VWK)


@stage
def replace(s: InputSynapses, k: Array) -> None:
    """K ← k (n_0, k) with the weights as they are; after `collect`, before `modulate`."""
    for row in range(k.shape[0]):
        rows.copy(s.K[row], k[row])
    rows.project(s.S, s.K, s.WK)
    rows.project(s.V, s.K, s.VWK)
    rows.project(s.K, s.K, s.G)
    load(s, s.x)


@stage
def load(s: InputSynapses, x: Array) -> None:
    """Take in a sample: its values, its active rows, and Kᵀx."""
    active = 0
    for row in range(x.size):
        s.x[row] = x[row]
        s.rows[active] = row
        active += x[row] != 0
    s.active[0] = active
    s.shift[:] = 0
    s.Kx[:] = 0
    fours = active - active % 4
    for n in range(0, fours, 4):
        a, b, c, d = s.rows[n], s.rows[n + 1], s.rows[n + 2], s.rows[n + 3]
        rows.axpy_in_turn(s.Kx, s.x[a], s.x[b], s.x[c], s.x[d], s.K[a], s.K[b], s.K[c], s.K[d])
    for n in range(fours, active):
        rows.axpy(s.Kx, s.x[s.rows[n]], s.K[s.rows[n]])


@stage
def peek(s: InputSynapses, x: Array, a: Array) -> None:
    """a = W x, changing no state but the scratch; for predictions."""
    load(s, x)
    a[:] = 0
    for n in range(s.active[0]):
        row = s.rows[n]
        if s.upto.size > 0:
            _, _, pc, pd = rows.power(s.map[0], s.map[1], s.counts[STEPS] - s.upto[row])
            rows.axpy(a, a.dtype.type(pc) * s.x[row], s.V[row])
            rows.axpy(a, a.dtype.type(pd) * s.x[row], s.S[row])
        else:
            rows.axpy(a, s.x[row], s.S[row])
            if s.pending_x[row] != 0:
                rows.axpy(a, -s.pending_x[row] * s.x[row], s.pending_post[s.pending_at[row]])
    rows.combine(a, s.Kx, s.U)


@stage
def integrate(s: InputSynapses, x: Array, a: Array) -> None:
    """a = W x. Readable form: S_j -= pending_x_j pending_post_j; a = S x + Uᵀ(Kᵀx)."""
    load(s, x)
    a[:] = 0
    if s.upto.size > 0:
        for n in range(s.active[0]):
            _catch_up(s, s.rows[n])
    _sweep(s, a)
    rows.combine(a, s.Kx, s.U)


@inlined
def _sweep(s: InputSynapses, a: Array) -> None:
    """Apply what is pending for the active rows and integrate x, in one pass through memory."""
    fours = s.active[0] - s.active[0] % 4 if s.upto.size == 0 else 0
    for n in range(0, fours, 4):
        rows.sweep_four(s.S, s.rows[n : n + 4], s.pending_x, s.pending_at, s.pending_post, s.x, a)
    for n in range(fours, s.active[0]):
        row = s.rows[n]
        _apply(s, row)
        rows.axpy(a, s.x[row], s.S[row])


@stage
def modulate(s: InputSynapses, c: Array, a: Array, out: Array) -> None:
    """out = W(x + K c), given a = W x."""
    if s.U.shape[0] > 0:
        rows.copy(out, a)
        rows.combine(out, c, s.WKS)
    else:
        for row in range(s.x.size):  # the plain form: x ← x + K c, all of it active
            s.shift[row] = rows.dot(s.K[row], c)
            s.x[row] += s.shift[row]
            s.rows[row] = row
        s.active[0] = s.x.size
        if s.upto.size > 0:
            settle(s)
        out[:] = 0
        _sweep(s, out)


@stage
def through(s: InputSynapses, c: Array, out: Array) -> None:
    """out = W K c: what the second pattern alone would bring; x stays as it is."""
    out[:] = 0
    if s.U.shape[0] > 0:
        rows.combine(out, c, s.WKS)
    else:
        settle(s)
        for row in range(s.x.size):
            rows.axpy(out, rows.dot(s.K[row], c), s.S[row])


@stage
def update(s: InputSynapses, post_x: Array, post_c: Array, c: Array, step: Step) -> None:
    """One optimiser step with ΔW = post_x xᵀ + post_c (K c)ᵀ; c need not be that of `modulate`."""
    if s.upto.size == 0:
        now = s.counts[PENDING]
        for row in range(s.pending_at.size):  # whose time is up: its post is to be overwritten
            if s.pending_at[row] == now:
                _apply(s, row)
        rows.copy(s.pending_post[now], post_x)
        for n in range(s.active[0]):
            row = s.rows[n]
            if s.pending_x[row] != 0:  # with a delay, since this sample was integrated
                _apply_late(s, row)
            s.pending_x[row] = step.eta * s.x[row]
            s.pending_at[row] = now
        s.counts[PENDING] = (now + 1) % BLOCK
    else:
        decay = step.eta * step.lam
        if s.map[0] != step.mu or s.map[1] != decay:
            settle(s)
            s.map[0], s.map[1] = step.mu, decay
        for n in range(s.active[0]):
            if s.upto[s.rows[n]] < s.counts[STEPS]:  # with a delay, as above
                _catch_up(s, s.rows[n])
        s.counts[STEPS] += 1
        for n in range(s.active[0]):
            row = s.rows[n]
            moving_step(s.S[row], s.V[row], step.mu, decay, step.eta * s.x[row], post_x)
            s.upto[row] = s.counts[STEPS]
    if s.U.shape[0] > 0:
        _update_structure(s, post_x, post_c, c, step)
    elif s.shift.size > 0:
        _correct(s, post_x, post_c, c, step)


@stage
def extend(s: InputSynapses, post: Array, c: Array, step: Step) -> None:
    """Add post (K c)ᵀ to the ΔW of the step that `update` has just taken: one more pattern."""
    zero = post.dtype.type(0)
    if s.U.shape[0] > 0:
        for m in range(c.size):
            rows.amend(s.U, s.VU, m, c[m], post, zero, post, step)
            rows.amend(s.WK, s.VWK, m, rows.dot(s.G[m], c), post, zero, post, step)
    else:
        for row in range(s.x.size):
            _amend(s, row, rows.dot(s.K[row], c), post, zero, post, step)


@stage
def also(s: InputSynapses, post: Array, c: Array, step: Step) -> None:
    """Add post (x + K c)ᵀ to the ΔW of the step that `update` has just taken: one more sample."""
    zero = post.dtype.type(0)
    for n in range(s.active[0]):
        _catch_up(s, s.rows[n])
        rows.amend(s.S, s.V, s.rows[n], s.x[s.rows[n]], post, zero, post, step)
    if s.U.shape[0] > 0:
        for m in range(c.size):
            rows.amend(s.U, s.VU, m, c[m], post, zero, post, step)
            both = s.Kx[m] + rows.dot(s.G[m], c)
            rows.amend(s.WK, s.VWK, m, both, post, zero, post, step)
    elif s.shift.size > 0:
        _correct(s, post, post, c, step)


@stage
def _correct(s: InputSynapses, post_x: Array, post_c: Array, c: Array, step: Step) -> None:
    """The plain form has stepped by post_x (x + shift)ᵀ: put post_c (K c)ᵀ for post_x shiftᵀ."""
    same = True
    for i in range(post_x.size):
        same = same and post_x[i] == post_c[i]
    for row in range(s.shift.size):
        kc = rows.dot(s.K[row], c)
        if not (same and kc == s.shift[row]):
            _amend(s, row, kc, post_c, s.shift[row], post_x, step)


@stage
def _amend(
    s: InputSynapses, row: int, x1: Scalar, post1: Array, x2: Scalar, post2: Array, step: Step
) -> None:
    """Add x1 post1 − x2 post2 to the ΔW of one input, which may be silent and behind."""
    _apply(s, row)
    if s.upto.size > 0:
        _catch_up(s, row)
    rows.amend(s.S, s.V, row, x1, post1, x2, post2, step)


@stage
def _update_structure(s: InputSynapses, post_x: Array, post_c: Array, c: Array, step: Step) -> None:
    """U takes post_c cᵀ; WK takes ΔW K = post_x (Kᵀx)ᵀ + post_c (G c)ᵀ."""
    if s.VWK.shape[0] > 0:
        outer_step(s.U, s.VU, c, post_c, step)
        # the two parts of ΔW K are one gradient: velocity and decay act once
        for m in range(c.size):
            gc, decay = rows.dot(s.G[m], c), step.eta * step.lam
            _moving_sum(s.WK[m], s.VWK[m], step.mu, decay, step.eta, s.Kx[m], post_x, gc, post_c)
    else:
        for m in range(c.size):
            rows.axpy(s.U[m], -(step.eta * c[m]), post_c)
            kx, gc = step.eta * s.Kx[m], step.eta * rows.dot(s.G[m], c)
            _minus_sum(s.WK[m], kx, post_x, gc, post_c)


@lanewise
def _minus_sum(w: Array, a: Scalar, x: Array, b: Scalar, y: Array) -> None:
    """w -= a x + b y"""
    w[...] = w[...] - (a * x[...] + b * y[...])


@lanewise
def _moving_sum(
    w: Array, v: Array, mu: Scalar, decay: Scalar, eta: Scalar,
    a: Scalar, x: Array, b: Scalar, y: Array,
) -> None:  # fmt: skip
    """One step with momentum and decay and the gradient a x + b y."""
    v[...] = mu * v[...] + decay * w[...] + eta * (a * x[...] + b * y[...])
    w[...] = w[...] - v[...]
