"""Shared by rules that perturb the hidden units and measure the change of the loss.

Besides the clean pass h_l there is a noisy pass. In it all hidden units are perturbed at once, and
the perturbations propagate through the network:

    h̃_l = m_l ∘ s_l(W_l h̃_{l-1} + b_l) + c ξ_l,   ξ_l ~ N(0, 1),   none at input and output
    λ̂_l = (L̃ - L) ξ_l / c

ξ_l (n_l,) noise of a sample, c its size, m_l (n_l,) dropout mask, the same in both passes, L and L̃
the losses of the two passes. λ̂_l (n_l,) is an estimate of ∂L/∂h_l, unbiased as c → 0.

Source: Lansdell, Prakash & Kording, ICLR 2020, section 2.

The kernel carries d_l = h̃_l - h_l instead of h̃_l:

    d_1 = c ξ_1,    d_l = m_l ∘ (s_l(a_l + D_l) - s_l(a_l)) + c ξ_l,    D_l = W_l d_{l-1}

The numbers are the same, but L̃ - L keeps its digits in single precision: small terms are summed
before they are added to large ones, and nearly equal numbers are subtracted in double precision.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_torch_array

from rate_models.compiler.kernel import Array, Scalar, stage
from rate_models.kernels import layers, vectors
from rate_models.kernels.layers import Layers, Work
from rate_models.model import activations, losses, normal
from rate_models.network import NetworkSpec, Parameters, forward
from rate_models.rules import Draws, Ref, Task, _tasks


def noise_widths(spec: NetworkSpec, hyper: Any) -> list[int]:
    """One number per hidden unit."""
    return list(spec.sizes[1:-1])


def noise_of(hyper: Any, u: Any) -> Any:
    """N(0, 1) from uniform numbers in [0, 1), NumPy or torch, by the inverse normal distribution.

    The inverse at 0 is -∞, so 0 is replaced by half the gap to the next possible number.

    >>> noise_of(None, np.array([0.0, 0.5]))
    array([-8.29236108,  0.        ])
    """
    xp = array_namespace(u)
    u = xp.clip(u, xp.finfo(u.dtype).eps / 4, None)
    if is_torch_array(u):
        return xp.special.ndtri(u)
    return normal.inverse(u)


def estimates(
    spec: NetworkSpec, params: Parameters, c: float, a: Any, h: Any, y: Any, draws: Draws
) -> list[Any]:
    """λ̂_1..λ̂_{L-1}, (batch, n_l) each; a, h: the clean pass, from `forward`."""
    assert draws.noise is not None
    if spec.layers == 1:
        return []
    xp = array_namespace(h[0])

    def double(t: Any) -> Any:  # L̃ - L is the difference of two near numbers
        return xp.astype(t, xp.float64)

    masks = None if draws.masks is None else [double(m) for m in draws.masks]
    wide = {name: [double(t) for t in params[name]] for name in ("W", "b")}
    noisy, last = double(h[0]), spec.layers
    a, h = forward(spec, wide, noisy, masks)
    for layer in range(1, last + 1):
        # the input is not perturbed
        pre = a[1] if layer == 1 else spec.current(wide, layer, noisy)
        noisy = spec.activity(layer, pre, masks[layer - 1] if masks and layer < last else None)
        if layer < last:
            noisy = noisy + c * double(draws.noise[layer - 1])
    y = double(y)
    change = losses.loss_of(spec.loss, pre, noisy, y)
    change = change - losses.loss_of(spec.loss, a[last], h[last], y)
    return [xp.astype(change[:, None] / c, xi.dtype) * xi for xi in draws.noise]


@stage
def estimate(net: Layers, c: Scalar, work: Work, mask: Array, noise: Array) -> None:
    """p_l = λ̂_l for all hidden layers. Readable form: `estimates`."""
    last = net.sizes.size - 1
    for layer in range(1, last + 1):
        d = layers.units(net, work.p, layer)
        if layer == 1 and layer < last:  # the input is not perturbed: W_1 x as before
            d[:] = 0
        elif layer > 1:
            _differ(net, layer, work)
        if layer < last:
            xi = layers.units(net, noise, layer)
            for i in range(d.size):
                kept = mask[net.unit[layer] + i] if mask.size > 0 else d.dtype.type(1)
                d[i] = kept * d[i] + c * xi[i]
    if last > 1:
        rise = _loss_change(net, work) / c
        for i in range(noise.size):
            work.p[i] = rise * noise[i]


@stage
def _differ(net: Layers, layer: int, work: Work) -> None:
    """p_l = s(a_l + D_l) - s(a_l) for a hidden layer; p_l = D_l for the output layer."""
    w, a = layers.matrix(net, net.W, layer), layers.units(net, work.a, layer)
    below, d = layers.units(net, work.p, layer - 1), layers.units(net, work.p, layer)
    kind, hidden = net.kind[layer], layer < net.sizes.size - 1
    for i in range(d.size):
        d[i] = vectors.dot(w[i], below)
        if hidden:
            clean = np.float64(a[i])  # float() would leave it in single precision
            d[i] = _value(kind, clean + d[i]) - _value(kind, clean)


@stage
def _value(kind: int, a: float) -> float:
    """s(a) of one unit, in double precision; an elementwise activation."""
    if kind == activations.RELU:
        return max(a, 0.0)
    if kind == activations.TANH:
        return math.tanh(a)
    if kind == activations.SIGMOID:
        return 1.0 / (1.0 + math.exp(-a))
    if kind == activations.ERF:
        return math.erf(a * math.sqrt(0.5))
    return a


@stage
def _loss_change(net: Layers, work: Work) -> float:
    """L̃ - L from a_L and D_L, in double precision."""
    last = net.sizes.size - 1
    a, d, y = layers.units(net, work.a, last), layers.units(net, work.p, last), work.y
    change, top, before, after = 0.0, np.float64(a[vectors.largest(a)]), 0.0, 0.0
    for i in range(d.size):
        clean, step, wanted = np.float64(a[i]), np.float64(d[i]), np.float64(y[i])
        moved = clean + step
        if net.loss == losses.MSE:
            h, noisy = _value(net.kind[last], clean), _value(net.kind[last], moved)
            change += (noisy - h) * (0.5 * (noisy + h) - wanted)
        else:
            change -= step * wanted
            if net.loss == losses.CROSS_ENTROPY:
                before += math.exp(clean - top)
                after += math.exp(moved - top)
            else:
                change += max(moved, 0.0) - max(clean, 0.0)
                change += math.log(1.0 + math.exp(-abs(moved)))
                change -= math.log(1.0 + math.exp(-abs(clean)))
    if net.loss == losses.CROSS_ENTROPY:
        change += math.log(after) - math.log(before)
    return change


def first_task(spec: NetworkSpec, *, learns: bool = True) -> Task:
    """M of the output layer: the noisy pass through all layers, then its own update."""
    last = spec.layers
    hidden = range(1, last)
    reads: list[Ref] = [_tasks.E, _tasks.Y, *(("h", n) for n in range(last + 1))]
    reads += [("W", n) for n in range(2, last + 1)]
    noisy = sum(_tasks.synapses(spec, n) for n in range(2, last + 1))
    writes: list[Ref] = [("estimate", n) for n in hidden]
    updates = None if learns else ()
    return _tasks.modulated(spec, last, reads, writes, updates=updates, more=noisy)
