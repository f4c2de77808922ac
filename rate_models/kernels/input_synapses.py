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

from rate_models.compiler.kernel import Array, aligned

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
