"""Passes through the first layer's weights, see `input_synapses`; what is pending is included."""

from __future__ import annotations

from rate_models.compiler.kernel import Array, inlined, shared, stage
from rate_models.compiler.views import as_matrix
from rate_models.kernels import pending, sweeps, vectors
from rate_models.kernels.input_synapses import (
    AHEAD,
    BLOCK,
    COUNT,
    DUE,
    TAKEN,
    WINDOW,
    InputSynapses,
)


@stage
def begin(s: InputSynapses) -> None:
    """Discard W x computed in advance: the next samples may be different ones."""
    s.looked[AHEAD] = s.looked[TAKEN] = 0


@stage
def integrate(s: InputSynapses, inputs: Array, a: Array) -> None:
    """a = W x for the first row of ``inputs``, which becomes this sample's input.

    inputs (N, n_0): the samples from this one to the end of the block, as far as they are known.
    """
    if s.pending[DUE] > 0 or s.looked[TAKEN] == s.looked[AHEAD]:
        _look_ahead(s, inputs)
    at = s.looked[TAKEN]
    s.looked[TAKEN] += 1
    vectors.copy(s.x, inputs[0])
    vectors.copy(s.Kx, s.ahead_Kx[at])
    _add_pending(s, s.ahead[at], s.ahead_v[at : at + 1], s.x, s.Kx, a)


@stage
def _look_ahead(s: InputSynapses, inputs: Array) -> None:
    """W x and V x of the next samples, at most of a window; first what is due is applied.

    Where updates are applied before the window ends, it shrinks to what was used of it.
    """
    due = s.pending[DUE] > 0
    fused = due and s.V.size == 0 and s.pending[COUNT] <= BLOCK
    if fused:
        pending.apply(s, s.U, s.VU, s.c)
        pending.apply(s, s.WK, s.VWK, s.Kpre)
    elif due:
        pending.settle(s)
    n = min(len(inputs), s.looked[WINDOW])
    before = s.bits[1, : s.S.shape[0] if fused else 0]
    _transform(s, inputs[:n], s.ahead_Kx[:n], s.ahead[:n], s.ahead_v[:n], before)
    if fused:
        pending.begin_block(s)
    s.looked[AHEAD], s.looked[TAKEN], s.looked[WINDOW] = n, 0, min(2 * s.looked[WINDOW], BLOCK)


@stage
def _transform(s: InputSynapses, x: Array, kx: Array, wx: Array, vx: Array, before: Array) -> None:
    """Kᵀx, W x and V x for the rows of x, with W and V as the block began.

    before (n_0,): scratch; S then takes what is pending first, in the same pass through memory.
    (0,): it does not.
    """
    n = s.S.shape[0]
    wx[:] = 0
    if before.size > 0:
        pending.terms(s, s.pre[:BLOCK], s.beta[:BLOCK], s.pending[COUNT])
    sweeps.sweep(wx, x, s.S, s.bits[0, :n], s.which, s.terms, s.post, before)
    if s.V.size > 0:
        vx[:] = 0
        sweeps.products(vx, x, s.V, s.bits[0, :n], s.which)
    if kx.shape[1] > 0:
        k = kx.shape[1]
        vectors.dots(kx, x, s.K)
        sweeps.products(wx, kx, s.U, s.bits[0, :k], s.which)
        if s.V.size > 0:
            sweeps.products(vx, kx, s.VU, s.bits[0, :k], s.which)


@inlined
def _add_pending(s: InputSynapses, wx: Array, vx: Array, x: Array, kx: Array, out: Array) -> None:
    """out = W x now, from W x and V x of when the block began."""
    _from_before(s, wx, vx, out)
    count = s.pending[COUNT]
    for i in range(count):
        overlap = vectors.dot(x, s.pre[i]) + vectors.dot(kx, s.c[i])
        s.weights[i] = out.dtype.type(s.beta[i]) * overlap
    vectors.combine(out, s.weights[:count], s.post)


@inlined
def _from_before(s: InputSynapses, w: Array, v: Array, out: Array) -> None:
    """out = map_2 v + map_3 w, the part of a row of weights that comes from before the block."""
    if s.V.size > 0:
        out[:] = 0
        vectors.axpy(out, out.dtype.type(s.map[3]), w)
        vectors.axpy(out, out.dtype.type(s.map[2]), v[0])
    else:
        vectors.copy(out, w)


@shared
def evaluate(s: InputSynapses, x: Array, out: Array) -> None:
    """out = W x, with x as no sample's input; changes nothing but scratch."""
    kx = as_matrix(s.Kx, 1, s.Kx.size)
    _transform(s, as_matrix(x, 1, x.size), kx, s.now[:1], s.now[1:], s.bits[1, :0])
    _add_pending(s, s.now[0], s.now[1:], x, s.Kx, out)


@stage
def modulate(s: InputSynapses, c: Array, a: Array, out: Array) -> None:
    """out = W (x + K c), given a = W x."""
    if s.pattern.size > 0:
        pending.second_pattern(s, s.x, c)
        evaluate(s, s.pattern, out)
        return
    vectors.copy(out, a)
    _add_through(s, c, out)


@shared
def through(s: InputSynapses, c: Array, out: Array) -> None:
    """out = W K c: the current of the second pattern alone."""
    out[:] = 0
    if s.pattern.size > 0:
        s.pattern[:] = 0
        pending.second_pattern(s, s.pattern, c)
        evaluate(s, s.pattern, out)
        return
    _add_through(s, c, out)


@inlined
def _add_through(s: InputSynapses, c: Array, out: Array) -> None:
    """out += W K c, through WK."""
    if s.WKS.size > 0:
        vectors.combine(out, c, s.WKS)
        return
    count = s.pending[COUNT]
    if s.VWK.size > 0:
        for m in range(c.size):
            s.weights[m] = out.dtype.type(s.map[2]) * c[m]
        vectors.combine(out, s.weights[: c.size], s.VWK)
        for m in range(c.size):
            s.weights[m] = out.dtype.type(s.map[3]) * c[m]
        vectors.combine(out, s.weights[: c.size], s.WK)
    else:
        vectors.combine(out, c, s.WK)
    for i in range(count):
        s.weights[i] = out.dtype.type(s.beta[i]) * vectors.dot(c, s.Kpre[i])
    vectors.combine(out, s.weights[:count], s.post)


@stage
def snapshot(s: InputSynapses) -> None:
    """WKS ← (W K)ᵀ now, where WKS exists: with a delay a later pass goes through it."""
    count = s.pending[COUNT]
    for m in range(s.WKS.shape[0]):
        _from_before(s, s.WK[m], s.VWK[m : m + 1], s.WKS[m])
        for i in range(count):
            s.weights[i] = s.WKS.dtype.type(s.beta[i]) * s.Kpre[i, m]
        vectors.combine(s.WKS[m], s.weights[:count], s.post)
