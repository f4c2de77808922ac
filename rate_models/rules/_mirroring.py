"""Weight mirroring: the feedback F learns, from noise alone, to resemble the forward weights.

F is a product of one factor per layer, F = B_{j+1} ... B_L. While it mirrors, every layer receives
independent noise as input, and its factor learns from the activity at both ends of the synapse:

    z_l = m_l ∘ (s_l(W_l ξ_l + b_l) - s_l(b_l)),   ξ_l = σ (n_l - mean of n_l),   n_l ~ N(0, 1)
    B_l ← B_l + η_wm (ξ_l z_lᵀ - λ_wm B_l)
    B_l ← B_l (κ √(2/n_j) / std F)^(1/(L-j))  for all l: F keeps its standard deviation

B_l (n_{l-1}, n_l), ξ_l (n_{l-1},) noise, σ its size in units of activity, z_l (n_l,) the response
of the layer, m_l (n_l,) dropout mask, j the layer that F reaches (0: the input). In a batch ξ zᵀ is
the mean over the samples, and the mean of n_l is over all its numbers. For a linear layer and one
sample the mean of ξ zᵀ is σ² (I - 11ᵀ/n_{l-1}) W_lᵀ, and half of it for ReLU without biases. So B_l
tends to c W_lᵀ and F to c (W_L ... W_{j+1})ᵀ, with which s = -1 descends the loss. λ_wm only acts
as another η_wm: the last line undoes a decay that all factors have in common, so that only the
ratio η_wm / (1 - η_wm λ_wm) matters.

When: F mirrors in each of the first ``mirror_before`` samples, in which W does not learn, and then
in every ``mirror_every``-th. F mirrors the weights as they are before the sample, and the sample is
learned with the new F. A batch mirrors once, with the noise of all its samples, if it contains a
sample that mirrors. W learns from a batch if it learns from its first sample.

Cost: about 3 n_0 n_1 n_L + 3 Σ n_{l-1} n_l multiply-adds each time, as much as 80 samples in
784-1024-10. Samples in between take twice as long as without mirroring: their noise is drawn too.

Source: Srinivasan et al., ICLR 2024; Akrout et al., NeurIPS 2019.
Deviations: samples are counted, not epochs (there: two epochs of mirroring alone, then one in ten).
s_l(b_l), the response at rest, is subtracted: its product with ξ is zero on average, but noise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from rate_models.compiler.kernel import Array, Scalar, stage
from rate_models.compiler.views import as_matrix
from rate_models.errors import BadOption
from rate_models.kernels import layers, pending, vectors
from rate_models.kernels.input_synapses import InputSynapses
from rate_models.kernels.layers import Layers, Work
from rate_models.model import activations
from rate_models.network import NetworkSpec, Parameters
from rate_models.rules import Draws, Ref, Task, _tasks

LONGEST = 2**23  # samples; float32 represents every integer up to twice this number


def asked(hyper: Any) -> bool:
    """Whether F ever mirrors."""
    return bool(hyper.mirror_before or hyper.mirror_every)


def check(hyper: Any) -> None:
    """Raise BadOption for hyperparameters that mirroring does not allow."""
    if not asked(hyper):
        return
    for name, fits, expected, remedy in (
        ("init", hyper.init == "he_normal", "he_normal", "F must be a product of factors"),
        ("sign", hyper.sign == -1, "-1", "with +1 a mirrored F climbs the loss"),
        ("feedback_scale", hyper.feedback_scale > 0, "above 0", "F = 0 cannot resemble anything"),
        ("modulation", hyper.modulation != "random", "error or sign", "noise carries no error"),
        ("mirror_rate", hyper.mirror_rate * hyper.mirror_decay < 1,
         f"below 1 / mirror_decay = {1 / (hyper.mirror_decay or 1):g}", "factors would flip"),
    ):  # fmt: skip
        if not fits:
            got = repr(hyper._asdict()[name])
            raise BadOption(f"{name} with mirroring", got=got, expected=expected, remedy=remedy)


def factor_layers(spec: NetworkSpec, hyper: Any) -> list[tuple[int, int]] | None:
    """Factor B_l joins layers l - 1 and l, for l = j + 1, ..., L; None without mirroring."""
    return [(n, n + 1) for n in range(hyper.inject, spec.layers)] if asked(hyper) else None


def counted(spec: NetworkSpec, hyper: Any) -> tuple[()] | None:
    """``phase``, a single number, counts samples to decide which mirror; None without mirroring."""
    return () if asked(hyper) else None


def noise_widths(spec: NetworkSpec, hyper: Any) -> list[int]:
    """One number per input unit of each layer l > j."""
    return list(spec.sizes[hyper.inject : -1])


def when(hyper: Any, sample: int) -> tuple[bool, bool]:
    """Whether F mirrors in this sample (0, 1, ...), and whether W learns from it.

    It agrees with `turn`, but is computed ahead from the number of the sample.
    """
    before, every = hyper.mirror_before, hyper.mirror_every
    if sample < before:
        return True, False
    return every > 0 and (sample + 1 - before) % every == 0, True


def mirroring(spec: NetworkSpec, hyper: Any, first: Sequence[Task]) -> Task:
    """The work item of mirroring, merged with the first layer's M if there is one.

    It reads the weights of all layers.
    """
    reads: list[Ref] = [("W", n) for n in range(hyper.inject + 1, spec.layers + 1)]
    n, j = spec.sizes, hyper.inject
    cost = 3 * sum(_tasks.synapses(spec, layer) for layer in range(j + 1, spec.layers + 1))
    cost += n[-1] * sum(_tasks.synapses(spec, layer) for layer in range(j + 1, spec.layers))
    if j == 0:
        cost += 2 * n[0] * n[1] * n[-1]  # the product of W_1 with F, subtracted and added again
    updates: list[Ref] = [("F", 0), ("B", 0)]
    updates += [("W", 1)] if j == 0 and not first else []  # stored differently, same values
    alone = _tasks.modulated(spec, 1, reads, updates=updates, sweeps=0, more=cost)
    for task in first:
        alone = alone._replace(
            multiply_adds=alone.multiply_adds + task.multiply_adds,
            reads=tuple(ref for ref in dict.fromkeys(task.reads + alone.reads) if ref != ("F", 0)),
            writes=task.writes,
            updates=task.updates + alone.updates,
        )
    return alone


def turn(params: Parameters, hyper: Any, n: int) -> tuple[bool, bool]:
    """Count n samples. Returns whether F mirrors in them, and whether W learns from them.

    ``phase`` counts to mirror_before + mirror_every, and then returns to mirror_before.
    """
    before, every, phase = hyper.mirror_before, hyper.mirror_every, params["phase"]
    if every and phase[0] >= before + every:
        phase[0] -= (phase[0] - before) // every * every
    alone = bool(phase[0] < before)
    phase += n
    return alone or bool(every and phase[0] >= before + every), not alone


def mirror(spec: NetworkSpec, params: Parameters, hyper: Any, draws: Draws) -> None:
    """Update F and B with a batch of noise, (batch, n_{l-1}) for each layer l > j."""
    j, B = hyper.inject, params["B"]
    assert draws.noise is not None
    for i, normal in enumerate(draws.noise):
        layer, xp = j + i + 1, array_namespace(normal)
        xi = hyper.mirror_noise * (normal - xp.mean(normal))
        current = xi @ params["W"][layer - 1].T
        rest = xp.zeros_like(current)
        if params["b"]:
            current, rest = current + params["b"][layer - 1], rest + params["b"][layer - 1]
        name = spec.names[layer - 1]
        z = activations.apply(name, current) - activations.apply(name, rest)
        if draws.masks is not None and layer < spec.layers:
            z = z * draws.masks[layer - 1]
        B[i] += hyper.mirror_rate * (xi.T @ z / len(xi) - hyper.mirror_decay * B[i])
    product = reduce(lambda right, left: left @ right, reversed(B))
    wanted = hyper.feedback_scale * math.sqrt(2 / spec.sizes[j])
    size = wanted / array_namespace(product).std(product)
    params["F"][...] = size * product
    for factor in B:
        factor *= size ** (1 / len(B))


@stage
def turn_online(phase: Array, hyper: Any) -> bool:
    """Count a sample and return whether F mirrors in it. Readable form: `turn`."""
    end = hyper.mirror_before + hyper.mirror_every
    if hyper.mirror_every > 0 and phase[0] >= end:
        phase[0] -= hyper.mirror_every
    phase[0] += 1
    return alone(phase, hyper) or (hyper.mirror_every > 0 and phase[0] >= end)


@stage
def alone(phase: Array, hyper: Any) -> bool:
    """Whether F alone learns from this sample, which has been counted already."""
    return bool(phase[0] <= hyper.mirror_before)


@stage
def mirror_online(
    net: Layers, syn: InputSynapses, params: Any, hyper: Any,
    work: Work, mask: Array, noise: Array,
) -> None:  # fmt: skip
    """Update F and B with one sample of noise. Readable form: `mirror`."""
    last, j, B, F = net.sizes.size - 1, int(hyper.inject), params.B, params.F
    keep = B.dtype.type(1) - hyper.mirror_rate * hyper.mirror_decay
    if j == 0:
        pending.collect(syn)
    f = as_matrix(F, net.sizes[j], net.sizes[last])
    first = 0
    for layer in range(j + 1, last + 1):
        n, m = net.sizes[layer - 1], net.sizes[layer]
        # F is about to be overwritten: until then its memory serves as scratch for the input noise
        xi = F[:n] if layer == 1 else layers.units(net, work.q, layer - 1)
        _send(noise[first : first + n], hyper.mirror_noise, xi)
        _respond(net, syn, layer, xi, work, mask)
        z = layers.units(net, work.p, layer)
        b = as_matrix(layers.item(B, params.B_at, layer - 1 - j), n, m)
        for i in range(n):
            change = hyper.mirror_rate * xi[i]
            for k in range(m):
                b[i, k] = keep * b[i, k] + change * z[k]
        first += n
    _product(net, params, j, work, f)
    wanted = np.float64(hyper.feedback_scale) * math.sqrt(2 / net.sizes[j])
    size = wanted / _spread(F)
    factor = B.dtype.type(size ** (1 / (last - j)))
    for i in range(B.size):
        B[i] *= factor
    for i in range(F.size):
        F[i] *= B.dtype.type(size)
    if j == 0:
        pending.replace(syn, f)


@stage
def _send(noise: Array, size: Scalar, xi: Array) -> None:
    """ξ = k (noise − its mean), with k = size."""
    total = noise.dtype.type(0)
    for value in noise:
        total += value
    mean = total / noise.dtype.type(noise.size)
    for i in range(noise.size):
        xi[i] = size * (noise[i] - mean)


@stage
def _respond(
    net: Layers, syn: InputSynapses, layer: int, xi: Array, work: Work, mask: Array
) -> None:
    """z_l, the response of layer l to ξ_{l-1}, written to the scratch array ``work.p``."""
    a, z = layers.units(net, work.post, layer), layers.units(net, work.p, layer)
    rest = layers.units(net, work.q, layer)
    a[:] = 0
    rest[:] = 0
    if layer == 1:
        vectors.combine(a, xi, syn.S)
    else:
        w = layers.matrix(net, net.W, layer)
        for i in range(a.size):
            a[i] = vectors.dot(w[i], xi)
    if net.b.size > 0:
        vectors.copy(rest, layers.units(net, net.b, layer))
    vectors.axpy(a, a.dtype.type(1), rest)
    activations.activate(net.kind[layer], a, z)
    activations.activate(net.kind[layer], rest, a)
    vectors.axpy(z, a.dtype.type(-1), a)
    if mask.size > 0 and layer < net.sizes.size - 1:
        m = layers.units(net, mask, layer)
        for i in range(z.size):
            z[i] *= m[i]


@stage
def _product(net: Layers, params: Any, j: int, work: Work, f: Array) -> None:
    """f (n_j, n_L) = B_{j+1} ... B_L, multiplied from right to left."""
    last = net.sizes.size - 1
    for k in range(f.shape[1]):
        right = layers.units(net, work.p, last)
        right[:] = 0
        right[k] = 1
        for layer in range(last, j, -1):
            n, m = net.sizes[layer - 1], net.sizes[layer]
            b = as_matrix(layers.item(params.B, params.B_at, layer - 1 - j), n, m)
            if layer == j + 1:
                for i in range(n):
                    f[i, k] = vectors.dot(b[i], right)
            else:
                out = layers.units(net, work.p, layer - 1)
                for i in range(n):
                    out[i] = vectors.dot(b[i], right)
                right = out


@stage
def _spread(a: Array) -> float:
    """The standard deviation over all elements, in double precision."""
    mean, total = 0.0, 0.0
    for value in a:
        mean += value
    mean /= a.size
    for value in a:
        total += (value - mean) ** 2
    return math.sqrt(total / a.size)
