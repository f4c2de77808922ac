"""Mini-batches: the updates of their samples are remembered and come together at the end.

    W_l ← W_l + Σ_b change_b pre_bᵀ,    change_b = −η/B post_b,    b = 1..B in the order of samples

post_b (n_l,) teaching signal and pre_b (n_{l-1},) presynaptic activity of sample b, both with the
weights before the mini-batch. With momentum and weight decay they are one step: see `optimizers`.
One sweep through the weights serves all samples.
"""

from __future__ import annotations

from rate_models.compiler.kernel import Array, Scalar, shared, stage
from rate_models.compiler.records import another
from rate_models.compiler.views import as_matrix
from rate_models.kernels import pending, vectors
from rate_models.kernels.input_synapses import InputSynapses
from rate_models.kernels.layers import Layers, matrix, units
from rate_models.model.optimizers import Step


@shared
def keep(net: Layers, syn: InputSynapses, kept: Array) -> None:
    """Keep the input of the sample whose update of the first layer was remembered last.

    kept: addresses of records like ``syn``, one for each sample of a mini-batch.
    """
    mine = another(syn, kept[net.changes[1] - 1])
    vectors.copy(mine.x, syn.x)
    vectors.copy(mine.Kx, syn.Kx)


@shared
def apply(net: Layers, syn: InputSynapses, kept: Array, layer: int, step: Step) -> None:
    """One optimiser step of a layer with all that is remembered of it, which is then forgotten."""
    count = net.changes[layer]
    net.changes[layer] = 0
    if count == 0:
        return
    if layer == 1:
        _apply_to_input(net, syn, kept, count, step)
    else:
        _apply(net, layer, count, step)
    if net.b.size > 0:
        b, v = units(net, net.b, layer), net.vb
        if v.size > 0:
            v = units(net, v, layer)
        for i in range(b.size):
            total = b.dtype.type(0)
            for k in range(count):
                total += units(net, net.change[k], layer)[i]
            if v.size > 0:
                v[i] = step.mu * v[i] + step.eta * step.lam * b[i] - total
                b[i] -= v[i]
            else:
                b[i] += total


@stage
def _apply(net: Layers, layer: int, count: int, step: Step) -> None:
    w, v, at = matrix(net, net.W, layer), as_matrix(net.vW[:0], 0, 0), net.unit[layer]
    if net.vW.size > 0:
        v = matrix(net, net.vW, layer)
    decay = step.eta * step.lam
    for i in range(w.shape[0]):
        row = w[i]
        if v.size > 0:
            for j in range(row.size):
                change = step.mu * v[i, j] + decay * row[j]
                row[j] -= change
                v[i, j] = change
        _add(row, net, layer, at + i, count, row.dtype.type(1))
        if v.size > 0:
            _add(v[i], net, layer, at + i, count, row.dtype.type(-1))


@stage
def _add(row: Array, net: Layers, layer: int, unit: int, count: int, sign: Scalar) -> None:
    """row += sign Σ_b change_b[unit] pre_b, four samples at a time."""
    fours = count - count % 4
    for k in range(0, fours, 4):
        c0, c1 = sign * net.change[k, unit], sign * net.change[k + 1, unit]
        c2, c3 = sign * net.change[k + 2, unit], sign * net.change[k + 3, unit]
        x0, x1 = units(net, net.pre[k], layer - 1), units(net, net.pre[k + 1], layer - 1)
        x2, x3 = units(net, net.pre[k + 2], layer - 1), units(net, net.pre[k + 3], layer - 1)
        vectors.axpy_four(row, c0, c1, c2, c3, x0, x1, x2, x3)
    for k in range(fours, count):
        vectors.axpy(row, sign * net.change[k, unit], units(net, net.pre[k], layer - 1))


@stage
def _apply_to_input(net: Layers, syn: InputSynapses, kept: Array, count: int, step: Step) -> None:
    """Changes stand for gradients at a rate of −1."""
    pending.advance(syn, step)
    for k in range(count):
        sample, change = another(syn, kept[k]), units(net, net.change[k], 1)
        pending.add(sample, change, net.c[k], -net.W.dtype.type(1))
