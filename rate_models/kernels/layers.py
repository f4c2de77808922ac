"""Layers of an online network as kernels see them: flat vectors, and stages on one layer.

One vector holds the weights of all layers above the first, one the biases, one each kind of
activity; `Layers` has where each layer begins. So one compiled signature serves every depth.
The first layer's weights are in `input_synapses`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rate_models.compiler.kernel import Array, aligned, inlined, shared, stage
from rate_models.compiler.views import as_matrix, item_of, matrices_of, units_of
from rate_models.kernels import input_passes, input_synapses, vectors
from rate_models.model import activations, losses
from rate_models.network import NetworkSpec


class Layers(NamedTuple):
    """The network above its input synapses. T is the dtype of the network."""

    sizes: NDArray[np.int64]  # n_0..n_L
    unit: NDArray[np.int64]  # (L+1,): place of layer l's first unit in a flat activity, l = 1..L
    weight: NDArray[np.int64]  # (L+1,): place of W_l in W, l = 2..L
    kind: NDArray[np.int64]  # (L+1,): code of layer l's activation
    loss: int
    W: Array  # T: W_2..W_L, row by row
    vW: Array  # T: their velocities, or empty
    b: Array  # T: b_1..b_L, or empty
    vb: Array
    # Updates that are remembered, a row each: with a delay of d samples the last d that each layer
    # has had, in mini-batches of B those that it is to have, at the end; else no rows
    change: Array  # T (rows, units): −η post
    pre: Array  # T (rows, units): pre, at the units of the layer below
    c: Array  # T (rows, n_L): c of the first layer's
    changes: NDArray[np.int64]  # (L+1,): how many layer l has had; in mini-batches: is to have
    accumulate: int  # 1: `update` remembers only
    undo: int  # 1: `current` is to see none of the last updates, as far as they are remembered
    afresh: int  # 1: the second pass takes W_1 x anew, 0: as the standard pass had it


class Work(NamedTuple):
    """Activities of the sample at hand, flat over layers 1..L; T throughout."""

    a: Array  # pre-activation of the standard pass
    h: Array  # soma: activity of the standard pass
    p: Array  # dendrite: activity of the second pass
    q: Array  # activity of a third pass
    delta: Array  # teaching signal
    post: Array  # teaching signal of one pass, where passes teach apart
    c: Array  # (n_L,): what the rule adds to its second pattern
    e: Array  # (n_L,): error h_L - y
    y: Array  # (n_L,): target
    a0: Array  # as a, without dropout, where there is dropout
    h0: Array  # as h, without dropout, where there is dropout
    next_h: Array  # h of the next sample, where `pass_and_update` is to begin its pass; else empty
    next_a: Array  # a of the next sample, still without b
    begun: NDArray[np.int64]  # (1,): the layer whose next_a is there; -1: none is to be
    turn: NDArray[np.int64]  # (1,): which of two scratch memories this is
    team: NDArray[np.int64]  # threads that share the rows of a layer, see `teams`; (0,): none


def allocate(
    spec: NetworkSpec, dtype: str, *, moving: bool, remembered: int = 0, accumulate: bool = False
) -> tuple[Layers, Work]:
    """Zeroed layers and scratch for ``spec``; moving: momentum or weight decay is on; remembered:
    how many updates are."""
    n = np.array(spec.sizes, np.int64)
    unit = np.concatenate([[0, 0], np.cumsum(n[1:-1])]).astype(np.int64)
    size = np.concatenate([[0, 0], n[2:] * n[1:-1]]).astype(np.int64)
    weight = np.concatenate([[0], np.cumsum(size)[:-1]]).astype(np.int64)
    units, weights = int(n[1:].sum()), int(size.sum())
    biases = units if spec.bias else 0
    layers = Layers(
        sizes=n,
        unit=unit,
        weight=weight,
        kind=np.array([0, *map(activations.code, spec.names)], np.int64),
        loss=losses.NAMES.index(spec.loss),
        W=aligned(np.zeros(weights), dtype),
        vW=aligned(np.zeros(weights if moving else 0), dtype),
        b=aligned(np.zeros(biases), dtype),
        vb=aligned(np.zeros(biases if moving else 0), dtype),
        change=aligned(np.zeros((remembered, units)), dtype),
        pre=aligned(np.zeros((remembered, units)), dtype),
        c=aligned(np.zeros((remembered, spec.sizes[-1])), dtype),
        changes=np.zeros(len(n), np.int64),
        accumulate=int(accumulate),
        undo=0,
        afresh=0,
    )
    outputs = dict.fromkeys(("c", "e", "y"), spec.sizes[-1])
    outputs |= dict.fromkeys(("next_h", "next_a"), 0)
    scratch = {n: aligned(np.zeros(outputs.get(n, units)), dtype) for n in Work._fields[:-3]}
    alone = np.zeros(0, np.int64)
    return layers, Work(**scratch, begun=np.full(1, -1), turn=np.zeros(1, np.int64), team=alone)


def in_turn(one: Work, other: Work) -> tuple[Work, Work]:
    """Scratch for samples in turn: the pass of one may begin while the other is learned from."""
    return (
        one._replace(next_h=other.h, next_a=other.a),
        other._replace(next_h=one.h, next_a=one.a, turn=np.ones(1, np.int64)),
    )


units = units_of("unit", "sizes")  # (net, flat, l): layer l's part of a flat activity
matrix = matrices_of("weight", "sizes")  # (net, net.W, l): W_l (n_l, n_{l-1}), l ≥ 2
item = item_of  # (flat, begins, i): array i of a list that lies flat, itself flat; see `rules.Own`


@stage
def current(net: Layers, layer: int, source: Array, out: Array) -> None:
    """out_l = W_l source_{l-1} + b_l for l ≥ 2."""
    current_of(net, layer, source, out, 0, net.sizes[layer])
    _add_past(net, layer, source, out)


@inlined
def current_of(net: Layers, layer: int, source: Array, out: Array, first: int, end: int) -> None:
    """`current` of some units of a layer, through the weights as they are."""
    w, x, a = matrix(net, net.W, layer), units(net, source, layer - 1), units(net, out, layer)
    for i in range(first, end):
        a[i] = vectors.dot(w[i], x)
    if net.b.size > 0:
        b, one = units(net, net.b, layer), a.dtype.type(1)
        vectors.axpy(a[first:end], one, b[first:end])


@stage
def _add_past(net: Layers, layer: int, source: Array, out: Array) -> None:
    """What `current` would be through the weights before the last updates."""
    if net.undo == 0:
        return
    x, a, now = units(net, source, layer - 1), units(net, out, layer), net.changes[layer]
    for k in range(now - min(now, net.change.shape[0]), now):
        # (W + η post preᵀ) x = W x + η post (pre·x), and the bias likewise
        row, one = k % net.change.shape[0], a.dtype.type(1 if net.b.size > 0 else 0)
        was = vectors.dot(units(net, net.pre[row], layer - 1), x) + one
        vectors.axpy(a, -was, units(net, net.change[row], layer))


@inlined
def in_place(net: Layers) -> bool:
    """Whether passes go through the weights as they are, and updates change them at once."""
    return net.accumulate == 0 and net.undo == 0


def lagging(net: Layers, stash: bool) -> Layers:
    """The network for M of a sample with a delay; stash: `current` goes through the weights that
    the standard pass of the sample went through, as far as updates are remembered."""
    return net._replace(undo=int(stash), afresh=int(not stash))


@shared
def input_current(
    net: Layers, syn: input_synapses.InputSynapses, inputs: Array, out: Array
) -> None:
    """out_1 = W_1 x + b_1 for the first of the samples in ``inputs``, see `integrate` there."""
    input_passes.integrate(syn, inputs, units(net, out, 1))
    add_bias(net, 1, out)


@shared
def input_current_again(net: Layers, syn: input_synapses.InputSynapses, out: Array) -> None:
    """out_1 = W_1 x + b_1 for the same sample, with the weights as they are now."""
    input_passes.evaluate(syn, syn.x, units(net, out, 1))
    add_bias(net, 1, out)


@inlined
def add_bias(net: Layers, layer: int, out: Array) -> None:
    """out_l += b_l, where there are biases."""
    if net.b.size > 0:
        a = units(net, out, layer)
        vectors.axpy(a, a.dtype.type(1), units(net, net.b, layer))


@shared
def modulated_current(net: Layers, syn: input_synapses.InputSynapses, work: Work) -> None:
    """p_1 = W_1 (x + K c) + b_1, not yet through the activation."""
    p, a = units(net, work.p, 1), units(net, work.a, 1)
    if net.afresh > 0:
        input_current_again(net, syn, work.p)
        a = p
    input_passes.modulate(syn, work.c, a, p)
    if syn.pattern.size > 0:  # the plain form does not begin with a_1, which has the bias
        add_bias(net, 1, work.p)


@stage
def activity(net: Layers, layer: int, source: Array, out: Array, mask: Array) -> None:
    """out_l = m_l ∘ s_l(source_l); an empty mask stands for no dropout."""
    h = units(net, out, layer)
    activations.activate(net.kind[layer], units(net, source, layer), h)
    if mask.size > 0 and layer < net.sizes.size - 1:
        m = units(net, mask, layer)
        for i in range(h.size):
            h[i] *= m[i]


@stage
def standard_pass(layer: int, net: Layers, a: Array, h: Array, mask: Array) -> None:
    """Fill a_l and h_l, given h_{l-1}, or a_1."""
    if layer > 1:
        current(net, layer, h, a)
    activity(net, layer, a, h, mask)


@stage
def output_delta(net: Layers, work: Work) -> None:
    """δ_L = e, through s'(a_L) for a squared error."""
    last = net.sizes.size - 1
    delta = units(net, work.delta, last)
    vectors.copy(delta, work.e)
    if net.loss == losses.MSE:
        activations.gate(net.kind[last], units(net, work.a, last), delta)


@stage
def back_project(net: Layers, layer: int, work: Work, mask: Array) -> None:
    """δ_{l-1} = m ∘ s'(a_{l-1}) ∘ W_lᵀ δ_l for l ≥ 2."""
    w, delta = matrix(net, net.W, layer), units(net, work.delta, layer)
    out = units(net, work.delta, layer - 1)
    out[:] = 0
    if layer == net.sizes.size - 1:
        vectors.combine(out, delta, w)
    else:  # of units that are silent, whose rows need not be read
        for i in range(delta.size):
            if delta[i] != 0:
                vectors.axpy(out, delta[i], w[i])
    gate(net, layer - 1, work, mask)


@stage
def feed_back(
    net: Layers, layer: int, feedback: Array, signal: Array, work: Work, mask: Array
) -> None:
    """δ_l = m ∘ s'(a_l) ∘ B signal; feedback: B (n_l, width of signal), flat, by columns."""
    delta = units(net, work.delta, layer)
    delta[:] = 0
    vectors.combine(delta, signal, as_matrix(feedback, signal.size, delta.size))
    gate(net, layer, work, mask)


@stage
def gate(net: Layers, layer: int, work: Work, mask: Array) -> None:
    """δ_l ← m_l ∘ s'(a_l) ∘ δ_l."""
    delta = units(net, work.delta, layer)
    activations.gate(net.kind[layer], units(net, work.a, layer), delta)
    if mask.size > 0:
        m = units(net, mask, layer)
        for i in range(delta.size):
            delta[i] *= m[i]
