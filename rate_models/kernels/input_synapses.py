"""The first layer's weights: a block of pending updates, and the inputs of a block taken at once.

A rule may present to the input layer, besides x, a second pattern x + K c: K (n_0, k) fixed, c (k,)
chosen per sample (PEPITA: K = F, c = the error). Every update of W has the form

    ΔW = post (x + K c)ᵀ                    (rules with no second pattern have k = 0)

**A block of pending updates.** Updates are not applied at once. They are kept, and passes see them:

    W_t x = W x + Σ_i β_i post_i (pre_i·x),      pre_i = x_i + K c_i,      β_i = −η_i

with W as it was when the block began. At the end of a block of `BLOCK` samples all are applied in
one pass through memory. This is exact: learning stays sequential. The inputs of a block are known
before its updates are, so W x is computed for all of them in one pass as well (`look_ahead`).

**Momentum and weight decay** move every weight at every step: (v, w) ← (μ v + ηλ w, w − μ v − ηλ w)
and then (v, w) ← (v + η ΔW, w − η ΔW). All of W and V follow the same 2×2 map, so the map since the
beginning of the block is kept as four numbers (v, w of the block's beginning → v, w now), and each
update as its two coefficients (α_i in V, β_i in W), which follow the map too.

**The second pattern.** With W = S + Uᵀ Kᵀ, S changes only where x is not zero: W x = S x + Uᵀ(Kᵀx).
With WK = W K kept, W (x + K c) = W x + (WK) c needs no second pass over the largest matrix. Updates
change S by pre = x, U by c and WK by Kᵀ(x + K c), all three in the same way. In the plain form
x + K c is formed instead, and S is W.

S is stored with a row per input, so that the weights of one input are contiguous.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rate_models.compiler.kernel import Array, Scalar, aligned, inlined, stage
from rate_models.kernels import vectors
from rate_models.model.optimizers import Step

BLOCK = 8  # samples between two applications of updates; part of the trajectory, so not an option
ROOM = 2 * BLOCK  # updates that can be pending; rules with two terms have two per sample
COUNT, DUE = range(2)  # indices in `pending`
AHEAD, TAKEN, WINDOW = range(3)  # indices in `looked`


class InputSynapses(NamedTuple):
    """The arrays of the first layer. T is the dtype of the network; arrays of velocities are empty
    without momentum and weight decay, those of width k in the plain form.
    """

    S: Array  # T (n_0, n_1), as the block began, and so
    V: Array  # T (n_0, n_1): velocity of S
    U: Array  # T (k, n_1)
    VU: Array
    WK: Array  # T (k, n_1): (W K)ᵀ
    VWK: Array
    WKS: Array  # T (k, n_1): (W K)ᵀ as the standard pass of a delayed sample saw it; else empty
    K: Array  # T (k, n_0): Kᵀ; in the plain form too
    G: Array  # T (k, k): KᵀK
    post: Array  # T (ROOM, n_1): of the pending updates, and so
    pre: Array  # T (ROOM, n_0): x, in the plain form x + K c
    c: Array  # T (ROOM, k)
    Kpre: Array  # T (ROOM, k): Kᵀ(x + K c)
    alpha: NDArray[np.float64]  # (ROOM,): what 1 post preᵀ counts in V now
    beta: NDArray[np.float64]  # (ROOM,): and in W
    map: NDArray[np.float64]  # (4,): v now = map_0 v + map_1 w, w now = map_2 v + map_3 w
    ahead: Array  # T (BLOCK, n_1): W x of the next samples, with W as the block began
    ahead_v: Array  # T (BLOCK, n_1): V x
    ahead_Kx: Array  # T (BLOCK, k)
    x: Array  # T (n_0,): this sample's input
    Kx: Array  # T (k,): Kᵀx
    pattern: Array  # T (n_0,): scratch of the plain form
    now: Array  # T (2, n_1): scratch, as `ahead` and `ahead_v` of one sample
    weights: Array  # T (max(k, ROOM),): scratch, coefficients of a sum
    terms: Array  # T (BLOCK, max(n_0, k)): scratch, α_i pre_i or β_i pre_i
    bits: Array  # T (2, max(n_0, k)): scratch, which of these numbers are not 0
    which: NDArray[np.int64]  # (max(n_0, k),): scratch, rows with any
    pending: NDArray[np.int64]  # (2,): COUNT of updates; DUE: 1 where the next pass applies them
    looked: NDArray[np.int64]  # (3,): samples AHEAD, those of them TAKEN, and the WINDOW


STATE = ("S", "V", "U", "VU", "WK", "VWK", "K", "G", "post", "pre", "c", "Kpre", "alpha", "beta",
         "map", "pending")  # fmt: skip
BOUNDS: dict[str, tuple[ArrayLike, ArrayLike]] = {
    "pending": (0, [ROOM, 1])
}  # of numbers in `STATE`
SCRATCH = ("pattern", "now", "weights", "terms", "bits", "which")


def allocate(w: Array, k: Array, *, moving: bool, structured: bool) -> InputSynapses:
    """Input synapses with weights w (n_1, n_0) and second-pattern matrix k (n_0, k).

    moving: whether momentum or weight decay is on. structured: False for the plain form.
    """
    dtype, (n1, n0), extra = w.dtype, w.shape, k.shape[1] if structured else 0

    def zeros(*shape: int) -> Array:
        return aligned(np.zeros(shape), dtype)

    return InputSynapses(
        S=aligned(w.T, dtype),
        V=zeros(n0 if moving else 0, n1),
        U=zeros(extra, n1),
        VU=zeros(extra if moving else 0, n1),
        WK=aligned((w @ k).T[:extra], dtype),
        VWK=zeros(extra if moving else 0, n1),
        WKS=zeros(0, n1),
        K=aligned(k.T, dtype),
        G=aligned((k.T @ k)[:extra, :extra], dtype),
        post=zeros(ROOM, n1),
        pre=zeros(ROOM, n0),
        c=zeros(ROOM, extra),
        Kpre=zeros(ROOM, extra),
        alpha=np.zeros(ROOM),
        beta=np.zeros(ROOM),
        map=np.array([1.0, 0.0, 0.0, 1.0]),
        ahead=zeros(BLOCK, n1),
        ahead_v=zeros(BLOCK if moving else 0, n1),
        ahead_Kx=zeros(BLOCK, extra),
        x=zeros(n0),
        Kx=zeros(extra),
        pattern=zeros(0 if structured else n0),
        now=zeros(2, n1),
        weights=zeros(max(extra, ROOM)),
        terms=zeros(BLOCK, max(n0, extra)),
        bits=zeros(2, max(n0, extra)),
        which=np.zeros(max(n0, extra), np.int64),
        pending=np.zeros(2, np.int64),
        looked=np.array([0, 0, BLOCK]),
    )


def with_own_scratch(s: InputSynapses) -> InputSynapses:
    """The same synapses for a second thread, as far as it changes nothing but scratch."""
    return s._replace(**{name: np.zeros_like(getattr(s, name)) for name in SCRATCH})


def folded(s: InputSynapses) -> Array:
    """W_1 (n_1, n_0) now, with all that is pending; changes nothing."""

    def current(w: Array, v: Array, pre: Array) -> Array:
        now = s.map[3] * w + (s.map[2] * v if v.size else 0)
        return np.asarray(now + (pre[:n] * s.beta[:n, None]).T @ s.post[:n])

    n = s.pending[COUNT]
    w, k = current(s.S, s.V, s.pre), s.K[: len(s.U)]
    return np.ascontiguousarray((w + k.T @ current(s.U, s.VU, s.c)).T.astype(s.S.dtype))


# -- passes


@stage
def begin(s: InputSynapses) -> None:
    """Other samples may follow than those that were looked at ahead."""
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
        _apply(s, s.U, s.VU, s.c)
        _apply(s, s.WK, s.VWK, s.Kpre)
    elif due:
        settle(s)
    n = min(len(inputs), s.looked[WINDOW])
    _transform(s, inputs[:n], s.ahead_Kx[:n], s.ahead[:n], s.ahead_v[:n], fused)
    if fused:
        _begin_block(s)
    s.looked[AHEAD], s.looked[TAKEN], s.looked[WINDOW] = n, 0, min(2 * s.looked[WINDOW], BLOCK)


@stage
def _transform(s: InputSynapses, x: Array, kx: Array, wx: Array, vx: Array, apply: bool) -> None:
    """Kᵀx, W x and V x for the rows of x, with W and V as the block began.

    apply: whether S first takes what is pending, in the same pass through memory.
    """
    n = s.S.shape[0]
    wx[:] = 0
    if apply:
        _terms(s, s.pre, s.beta, 0)
        vectors.sweep(wx, x, s.S, s.bits[0, :n], s.which, s.terms[:, :n], s.post, s.bits[1, :n])
    else:
        vectors.products(wx, x, s.S, s.bits[0, :n], s.which)
    if s.V.size > 0:
        vx[:] = 0
        vectors.products(vx, x, s.V, s.bits[0, :n], s.which)
    if kx.shape[1] > 0:
        k = kx.shape[1]
        vectors.dots(kx, x, s.K)
        vectors.products(wx, kx, s.U, s.bits[0, :k], s.which)
        if s.V.size > 0:
            vectors.products(vx, kx, s.VU, s.bits[0, :k], s.which)


@inlined
def _add_pending(s: InputSynapses, wx: Array, vx: Array, x: Array, kx: Array, out: Array) -> None:
    """out = W x now, from W x and V x of when the block began."""
    _begin(s, wx, vx, out)
    count = s.pending[COUNT]
    for i in range(count):
        overlap = vectors.dot(x, s.pre[i]) + vectors.dot(kx, s.c[i])
        s.weights[i] = out.dtype.type(s.beta[i]) * overlap
    vectors.combine(out, s.weights[:count], s.post)


@inlined
def _begin(s: InputSynapses, w: Array, v: Array, out: Array) -> None:
    """out = map_2 v + map_3 w, the part of a row of weights that comes from before the block."""
    if s.V.size > 0:
        out[:] = 0
        vectors.axpy(out, out.dtype.type(s.map[3]), w)
        vectors.axpy(out, out.dtype.type(s.map[2]), v[0])
    else:
        vectors.copy(out, w)


@stage
def evaluate(s: InputSynapses, x: Array, out: Array) -> None:
    """out = W x, with x as no sample's input; changes nothing but scratch."""
    kx = s.Kx.reshape(1, s.Kx.size)
    _transform(s, x.reshape(1, x.size), kx, s.now[:1], s.now[1:], False)
    _add_pending(s, s.now[0], s.now[1:], x, s.Kx, out)


@stage
def modulate(s: InputSynapses, c: Array, a: Array, out: Array) -> None:
    """out = W (x + K c), given a = W x."""
    if s.pattern.size > 0:
        _second_pattern(s, s.x, c)
        evaluate(s, s.pattern, out)
        return
    vectors.copy(out, a)
    _add_through(s, c, out)


@stage
def through(s: InputSynapses, c: Array, out: Array) -> None:
    """out = W K c: the current of the second pattern alone."""
    out[:] = 0
    if s.pattern.size > 0:
        s.pattern[:] = 0
        _second_pattern(s, s.pattern, c)
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
        _begin(s, s.WK[m], s.VWK[m : m + 1], s.WKS[m])
        for i in range(count):
            s.weights[i] = s.WKS.dtype.type(s.beta[i]) * s.Kpre[i, m]
        vectors.combine(s.WKS[m], s.weights[:count], s.post)


@inlined
def _second_pattern(s: InputSynapses, x: Array, c: Array) -> None:
    """pattern = x + K c"""
    vectors.copy(s.pattern, x)
    vectors.combine(s.pattern, c[: s.K.shape[0]], s.K)


# -- updates


@stage
def update(s: InputSynapses, post: Array, c: Array, step: Step) -> None:
    """One optimiser step with ΔW = post (x + K c)ᵀ; c need not be that of `modulate`."""
    advance(s, step)
    add(s, post, c, step.eta)


@stage
def advance(s: InputSynapses, step: Step) -> None:
    """Let momentum and weight decay act once, before `add` of what the step is to change."""
    if s.V.size == 0:
        return
    mu, decay = np.float64(step.mu), np.float64(step.eta) * np.float64(step.lam)
    for old in range(2):
        v = mu * s.map[old] + decay * s.map[2 + old]
        s.map[old], s.map[2 + old] = v, s.map[2 + old] - v
    for i in range(s.pending[COUNT]):
        v = mu * s.alpha[i] + decay * s.beta[i]
        s.alpha[i], s.beta[i] = v, s.beta[i] - v


@stage
def add(s: InputSynapses, post: Array, c: Array, eta: Scalar) -> None:
    """A pending update by −η post (x + K c)ᵀ, of W and its velocity; an empty c stands for 0."""
    if s.pending[COUNT] == ROOM:
        settle(s)
    i = s.pending[COUNT]
    s.pending[COUNT] += 1
    s.alpha[i], s.beta[i] = eta, -eta
    vectors.copy(s.post[i], post)
    if s.pattern.size > 0 and c.size > 0:
        _second_pattern(s, s.x, c)
        vectors.copy(s.pre[i], s.pattern)
        return
    vectors.copy(s.pre[i], s.x)
    for m in range(s.Kx.size):
        s.c[i, m], s.Kpre[i, m] = 0, s.Kx[m]
        if c.size > 0:
            s.c[i, m], s.Kpre[i, m] = c[m], s.Kx[m] + vectors.dot(c, s.G[m])


@stage
def end_block(s: InputSynapses) -> None:
    """What is pending is to be applied, together with the next pass."""
    if s.pending[COUNT] > 0:
        s.pending[DUE] = 1


@stage
def settle(s: InputSynapses) -> None:
    """Apply all that is pending. A block begins."""
    _apply(s, s.S, s.V, s.pre)
    _apply(s, s.U, s.VU, s.c)
    _apply(s, s.WK, s.VWK, s.Kpre)
    _begin_block(s)


@inlined
def _begin_block(s: InputSynapses) -> None:
    """Nothing is pending."""
    if s.looked[TAKEN] < s.looked[AHEAD]:
        s.looked[WINDOW] = max(s.looked[TAKEN], 1)
    s.looked[AHEAD] = s.looked[TAKEN] = 0
    s.map[0], s.map[1], s.map[2], s.map[3] = 1, 0, 0, 1
    s.pending[COUNT] = s.pending[DUE] = 0


@stage
def _apply(s: InputSynapses, w: Array, v: Array, pre: Array) -> None:
    """(v, w) ← the map of (v, w) + Σ_i (α_i, β_i) pre_i post_iᵀ."""
    of, n = w.dtype.type, w.shape[0]
    if v.size > 0:
        for row in range(n):
            vectors.mapped(
                w[row], v[row], of(s.map[0]), of(s.map[1]), of(s.map[2]), of(s.map[3])
            )  # fmt: skip
    for first in range(0, s.pending[COUNT], BLOCK):
        post = s.post[first : first + BLOCK]
        _terms(s, pre, s.beta, first)
        vectors.add_outer(w, s.terms[:, :n], post, s.bits[0, :n])
        if v.size > 0:
            _terms(s, pre, s.alpha, first)
            vectors.add_outer(v, s.terms[:, :n], post, s.bits[0, :n])


@stage
def _terms(s: InputSynapses, pre: Array, rates: Array, first: int) -> None:
    """terms_i = rate_i pre_i for the pending updates from ``first`` on, at most of a block."""
    n = pre.shape[1]
    for i in range(BLOCK):
        rate = pre.dtype.type(rates[first + i] if first + i < s.pending[COUNT] else 0.0)
        vectors.scaled(s.terms[i, :n], rate, pre[first + i])


@stage
def collect(s: InputSynapses) -> None:
    """S ← S + K U, U ← 0: S alone is the weights. WK stays as it was."""
    settle(s)
    vectors.add_product(s.S, s.K, s.U)
    vectors.add_product(s.V, s.K, s.VU)
    s.U[:] = 0
    s.VU[:] = 0


@stage
def fold(s: InputSynapses) -> None:
    """`collect`, and WK afresh: keeps the rounding of long runs from adding up."""
    collect(s)
    vectors.project(s.S, s.K, s.WK)
    vectors.project(s.V, s.K, s.VWK)


@stage
def replace(s: InputSynapses, k: Array) -> None:
    """K ← k (n_0, k) with the weights as they are; after `collect`, before `modulate`."""
    for row in range(k.shape[0]):
        for m in range(k.shape[1]):
            s.K[m, row] = k[row, m]
    vectors.project(s.S, s.K, s.WK)
    vectors.project(s.V, s.K, s.VWK)
    for m in range(s.G.shape[0]):
        for n in range(s.G.shape[0]):
            s.G[m, n] = vectors.dot(s.K[m], s.K[n])
    for m in range(s.Kx.size):
        s.Kx[m] = vectors.dot(s.K[m], s.x)
