"""Updates of the first layer's weights, see `input_synapses`: pending, and their application."""

from __future__ import annotations

import numpy as np

from rate_models.compiler.kernel import Array, Scalar, inlined, shared, stage
from rate_models.kernels import sweeps, vectors
from rate_models.kernels.input_synapses import (
    AHEAD,
    BLOCK,
    COUNT,
    DUE,
    ROOM,
    TAKEN,
    WINDOW,
    InputSynapses,
)
from rate_models.model.optimizers import Step


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
        second_pattern(s, s.x, c)
        vectors.copy(s.pre[i], s.pattern)
        return
    vectors.copy(s.pre[i], s.x)
    for m in range(s.Kx.size):
        s.c[i, m], s.Kpre[i, m] = 0, s.Kx[m]
        if c.size > 0:
            s.c[i, m], s.Kpre[i, m] = c[m], s.Kx[m] + vectors.dot(c, s.G[m])


@inlined
def second_pattern(s: InputSynapses, x: Array, c: Array) -> None:
    """pattern = x + K c"""
    vectors.copy(s.pattern, x)
    vectors.combine(s.pattern, c[: s.K.shape[0]], s.K)


@stage
def end_block(s: InputSynapses) -> None:
    """What is pending is to be applied, together with the next pass."""
    if s.pending[COUNT] > 0:
        s.pending[DUE] = 1


@shared
def settle(s: InputSynapses) -> None:
    """Apply all that is pending. A block begins."""
    apply(s, s.S, s.V, s.pre)
    apply(s, s.U, s.VU, s.c)
    apply(s, s.WK, s.VWK, s.Kpre)
    begin_block(s)


@inlined
def begin_block(s: InputSynapses) -> None:
    """Nothing is pending."""
    if s.looked[TAKEN] < s.looked[AHEAD]:
        s.looked[WINDOW] = max(s.looked[TAKEN], 1)
    s.looked[AHEAD] = s.looked[TAKEN] = 0
    s.map[0], s.map[1], s.map[2], s.map[3] = 1, 0, 0, 1
    s.pending[COUNT] = s.pending[DUE] = 0


@stage
def apply(s: InputSynapses, w: Array, v: Array, pre: Array) -> None:
    """(v, w) ← the map of (v, w) + Σ_i (α_i, β_i) pre_i post_iᵀ."""
    of, n = w.dtype.type, w.shape[0]
    if v.size > 0:
        for row in range(n):
            vectors.mapped(
                w[row], v[row], of(s.map[0]), of(s.map[1]), of(s.map[2]), of(s.map[3])
            )  # fmt: skip
    for first in range(0, s.pending[COUNT], BLOCK):
        end, count = first + BLOCK, s.pending[COUNT] - first
        terms(s, pre[first:end], s.beta[first:end], count)
        sweeps.add_outer(w, s.terms, s.post[first:end], s.bits[0, :n])
        if v.size > 0:
            terms(s, pre[first:end], s.alpha[first:end], count)
            sweeps.add_outer(v, s.terms, s.post[first:end], s.bits[0, :n])


@stage
def terms(s: InputSynapses, pre: Array, rates: Array, count: int) -> None:
    """terms_i = rate_i pre_i for the first ``count`` updates of a block, 0 for the others."""
    for i in range(BLOCK):
        rate = pre.dtype.type(rates[i] if i < count else 0.0)
        vectors.scaled(s.terms[i, : pre.shape[1]], rate, pre[i])


@shared
def collect(s: InputSynapses) -> None:
    """S ← S + K U, U ← 0: S alone is the weights. WK stays as it was."""
    settle(s)
    vectors.add_product(s.S, s.K, s.U)
    vectors.add_product(s.V, s.K, s.VU)
    s.U[:] = 0
    s.VU[:] = 0


@shared
def fold(s: InputSynapses) -> None:
    """`collect`, and WK afresh: keeps the rounding of long runs from adding up."""
    collect(s)
    vectors.project(s.S, s.K, s.WK)
    vectors.project(s.V, s.K, s.VWK)


@shared
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
