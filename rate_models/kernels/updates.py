"""Updates of layers: one optimiser step with ΔW_l = post preᵀ, at once, pending or accumulated."""

from __future__ import annotations

from rate_models.compiler.kernel import Array, inlined, shared, stage
from rate_models.compiler.views import as_matrix
from rate_models.kernels import pending, teams, vectors
from rate_models.kernels.input_synapses import InputSynapses
from rate_models.kernels.layers import Layers, Work, current_of, matrix, units
from rate_models.model import activations
from rate_models.model.optimizers import Step, contrast_step, outer_step, vector_step

FETCHED = 16  # rows of weights that are used again at once, while they are in the nearest cache


@shared
def update(
    net: Layers,
    syn: InputSynapses,
    layer: int,
    post: Array,
    pre: Array,
    c: Array,
    step: Step,
) -> None:
    """One optimiser step of layer ``layer`` with ΔW_l = post pre_{l-1}ᵀ, Δb_l = post.

    pre: flat activity; for the first layer the presynaptic activity is x + K c.
    """
    if net.change.shape[0] > 0:
        remember(net, layer, post, pre, c, step)
    if net.accumulate > 0:
        return
    if layer == 1:
        pending.update(syn, post, c, step)
    else:
        w, v = matrix(net, net.W, layer), as_matrix(net.vW[:0], 0, 0)
        if net.vW.size > 0:
            v = matrix(net, net.vW, layer)
        outer_step(w, v, post, units(net, pre, layer - 1), step)
    _bias_step(net, layer, post, step)


@shared
def contrast(
    net: Layers,
    syn: InputSynapses,
    layer: int,
    post: Array,
    pre: Array,
    c: Array,
    minus_post: Array,
    minus_pre: Array,
    work: Work,
    step: Step,
) -> None:
    """One optimiser step, ΔW_l = post pre_{l-1}ᵀ − minus_post minus_pre_{l-1}ᵀ, Δb_l = δ_l.

    δ_l = post − minus_post is given. pre, minus_pre: flat activities; for the first layer x + K c
    (x alone where c is empty) and x + K work.c.
    """
    delta = units(net, work.delta, layer)
    if layer == 1:
        pending.update(syn, post, c, step)
        pending.add(syn, minus_post, work.c, -step.eta)
    else:
        w, v = matrix(net, net.W, layer), as_matrix(net.vW[:0], 0, 0)
        if net.vW.size > 0:
            v = matrix(net, net.vW, layer)
        below, minus_below = units(net, pre, layer - 1), units(net, minus_pre, layer - 1)
        contrast_step(w, v, post, below, minus_post, minus_below, step)
    _bias_step(net, layer, delta, step)


@shared
def pass_and_update(
    net: Layers, layer: int, standard: bool, work: Work, mask: Array, step: Step
) -> None:
    """p_l = m ∘ s(W_l p_{l-1} + b_l), δ_l = h_l − p_l and the step with ΔW_l = δ_l pre_{l-1}ᵀ, for
    1 < l < L: `current`, `activity` and `update`, with each row of W_l fetched once. Where the pass
    goes through the weights that the step changes, which `in_place` tells. standard: pre is h, else
    p.

    The standard pass of the next sample, if its h_{l-1} is there, takes each row while it is in the
    cache: it depends on this update of W_l alone. Threads of a team share the rows, see `teams`.
    """
    delta, members = units(net, work.delta, layer), teams.members(work.team)
    if members > 1:
        teams.post(work.team, layer, work.turn[0], standard)
    rows_of_pass(net, layer, standard, work, mask, step, 0, members)
    if members > 1:
        teams.join(work.team)
    if work.next_h.size > 0 and work.begun[0] >= 0:
        work.begun[0] = layer
    _bias_step(net, layer, delta, step)
    if net.change.shape[0] > 0:
        remember(net, layer, delta, work.h if standard else work.p, delta[:0], step)


@stage
def rows_of_pass(
    net: Layers, layer: int, standard: bool, work: Work, mask: Array, step: Step,
    member: int, members: int,
) -> None:  # fmt: skip
    """The rows of `pass_and_update` of one member of a team."""
    h, p, following = work.h, work.p, work.next_h.size > 0 and work.begun[0] >= 0
    w, v, at = matrix(net, net.W, layer), as_matrix(net.vW[:0], 0, 0), units(net, work.delta, layer)
    if net.vW.size > 0:
        v = matrix(net, net.vW, layer)
    stored, dendrite = units(net, h, layer), units(net, p, layer)
    pre = units(net, h if standard else p, layer - 1)
    upto = _share(at.size, member + 1, members)
    for first in range(_share(at.size, member, members), upto, FETCHED):
        end = min(first + FETCHED, upto)
        current_of(net, layer, p, p, first, end)
        activations.activate(net.kind[layer], dendrite[first:end], dendrite[first:end])
        if mask.size > 0:
            m = units(net, mask, layer)
            for i in range(first, end):
                dendrite[i] *= m[i]
        for i in range(first, end):
            at[i] = stored[i] - dendrite[i]
        some = slice(first, end)
        outer_step(w[some], v[first:end], at[some], pre, step)
        if following:
            below, a = units(net, work.next_h, layer - 1), units(net, work.next_a, layer)
            for i in range(first, end):
                a[i] = vectors.dot(w[i], below)


@inlined
def _share(rows: int, member: int, members: int) -> int:
    """The first row of a member of a team; for the one after the last, their number."""
    if member == members:
        return rows
    return rows * member // members // FETCHED * FETCHED


@stage
def remember(net: Layers, layer: int, post: Array, pre: Array, c: Array, step: Step) -> None:
    """Write down an update of a layer: W_l changes by −η post pre_{l-1}ᵀ."""
    row = net.changes[layer] % net.change.shape[0]
    change = units(net, net.change[row], layer)
    for i in range(post.size):
        change[i] = -step.eta * post[i]
    if layer > 1:
        vectors.copy(units(net, net.pre[row], layer - 1), units(net, pre, layer - 1))
    elif c.size > 0:
        vectors.copy(net.c[row], c)
    net.changes[layer] += 1


@inlined
def _bias_step(net: Layers, layer: int, post: Array, step: Step) -> None:
    """One optimiser step of b_l with Δb_l = post, where there are biases."""
    if net.b.size > 0:
        v_b = net.vb
        if net.vb.size > 0:
            v_b = units(net, net.vb, layer)
        vector_step(units(net, net.b, layer), v_b, post, step)
