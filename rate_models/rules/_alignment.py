"""A family of rules that differ only in the signal that teaches the hidden layers.

    h_0 = x,  a_l = W_l h_{l-1} + b_l,  h_l = m_l ∘ s_l(a_l),  e = h_L - y
    δ_L = ∂L/∂a_L,    δ_l = m_l ∘ s_l'(a_l) ∘ signal_l,    ΔW_l = δ_l h_{l-1}ᵀ

                       signal_l
    `layer_to_layer`   W_{l+1}ᵀ δ_{l+1}   through the forward weights
                       c_{l+1} sign(W_{l+1})ᵀ δ_{l+1}   through their signs, c_l = √(1.5 / n_{l-1})
                       B_{l+1} δ_{l+1}    through feedback matrices, (n_l, n_{l+1})
    `from_output`      B_l δ_L            the error of the output, B_l (n_l, n_L)
                       B_l y              the target

x (n_0,), y (n_L,), W_l (n_l, n_{l-1}), δ_l (n_l,) teaching signal, m_l (n_l,) dropout mask.
B is fixed, U(-b, b) with b = κ √(6/n_l), κ = feedback_scale; in kernels flat, column after column.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, Literal

import numpy as np
from array_api_compat import array_namespace

from rate_models.compiler.kernel import Array, stage
from rate_models.kernels import layers, updates
from rate_models.kernels.input_synapses import InputSynapses
from rate_models.kernels.layers import Layers, Work
from rate_models.model import losses
from rate_models.model.optimizers import Step
from rate_models.network import NetworkSpec, Parameters, forward
from rate_models.rules import (
    Defaults,
    Draws,
    Own,
    Properties,
    Rule,
    Task,
    Term,
    Update,
    _plain,
    _tasks,
    uniform_feedback,
)


def layer_to_layer(
    module: str,
    *,
    through: Literal["W", "signs", "B"],
    losses: tuple[str, ...],
    properties: Properties,
    defaults: Defaults,
) -> Rule:
    """A rule whose errors travel down layer by layer: through W, its signs, or feedback B."""
    own = through == "B"
    return Rule(
        module,
        hyperparameters=_plain.FeedbackHyperparameters if own else _plain.Hyperparameters,
        losses=losses,
        properties=properties,
        own=(BETWEEN,) if own else (),
        batch=partial(_batch_down, through),
        teach=_TEACH_DOWN[through],
        tasks=partial(_tasks_down, "B" if own else "W"),
        batches=_always,
        convolves=through != "signs",
        defaults=defaults,
    )


def from_output(
    module: str,
    *,
    signal: Literal["error", "target"],
    losses: tuple[str, ...],
    properties: Properties,
    defaults: Defaults,
) -> Rule:
    """A rule whose hidden layers all receive the output's error, or the target."""
    return Rule(
        module,
        hyperparameters=_plain.FeedbackHyperparameters,
        losses=losses,
        properties=properties,
        own=(FROM_LAST,),
        batch=partial(_batch_direct, signal),
        teach=_teach_from_error if signal == "error" else _teach_from_target,
        tasks=partial(_tasks_direct, signal),
        batches=_always,
        convolves=True,
        defaults=defaults,
    )


def _always(hyper: Any) -> bool:
    return True


def _between(spec: NetworkSpec, hyper: Any) -> list[tuple[int, int]]:
    """B_2..B_L, each of which joins a hidden layer with the one above."""
    return [(n, n + 1) for n in range(1, spec.layers)]


def _swapped(spec: NetworkSpec, layers: tuple[int, ...]) -> tuple[int, ...]:
    """(n_l, n_{l+1}); for a convolution the shape of W with channels and filters swapped."""
    n, below, *rest = spec.shapes[layers[1] - 1]
    return (below, n, *rest)


def _from_last(spec: NetworkSpec, hyper: Any) -> list[tuple[int, int]]:
    """B_1..B_{L-1}, each of which joins a hidden layer with the output."""
    return [(n, spec.layers) for n in range(1, spec.layers)]


BETWEEN = Own(
    "B", each=_between, drawn=uniform_feedback, feedback=True, shape=_swapped, by_columns=True
)
FROM_LAST = Own("B", each=_from_last, drawn=uniform_feedback, feedback=True, by_columns=True)


# -- from layer to layer


def _batch_down(
    through: str, spec: NetworkSpec, params: Parameters, hyper: Any, x: Any, y: Any, draws: Draws
) -> Any:
    """The rules on (batch, n) arrays; yields one `Update`."""
    last = spec.layers
    a, h = forward(spec, params, x, draws.masks)
    delta = losses.output_delta(spec.loss, spec.names[-1], a[last], h[last] - y)
    terms: list[list[Term] | None] = [None] * last
    for layer in range(last, 0, -1):
        below = layer - 1
        terms[below] = [Term(delta, h[below])]
        if below > 0:
            w = params["B"][below - 1].swapaxes(0, 1) if through == "B" else params["W"][below]
            if through == "signs":  # c, the mean |W| of a new network
                w = math.sqrt(1.5 / spec.sizes[below]) * _signs(w)
            back = spec.back(layer, w, delta, h[below])
            delta = spec.gate(below, a[below], back, draws.mask(below))
    yield Update(terms)


def _signs(w: Any) -> Any:
    """-1, 0 or 1 for each weight; as torch's vmap takes it, which takes no ``sign`` of the array
    API."""
    xp = array_namespace(w)
    return xp.astype(w > 0, w.dtype) - xp.astype(w < 0, w.dtype)


def _tasks_down(through: str, spec: NetworkSpec, hyper: Any, sample: int) -> list[Task]:
    """Layer l sends δ_{l-1} down before it learns, so the first layer learns last."""
    return _tasks.passed_down(spec, through)


@stage
def _teach_through_w(
    layer: int,
    net: Layers,
    syn: InputSynapses,
    params: Any,
    hyper: Any,  # Hyperparameters as numbers
    step: Step,
    work: Work,
    mask: Array,
    noise: Array,
) -> None:
    """Teaching signal and update of one layer of one sample. Readable form: `_batch_down`."""
    if layer > 1:
        layers.back_project(net, layer, work, mask)  # with W_l as the standard pass saw it
    updates.update(net, syn, layer, layers.units(net, work.delta, layer), work.h, work.c, step)


@stage
def _teach_through_signs(
    layer: int,
    net: Layers,
    syn: InputSynapses,
    params: Any,
    hyper: Any,
    step: Step,
    work: Work,
    mask: Array,
    noise: Array,
) -> None:
    """The same through the signs of W_l."""
    delta = layers.units(net, work.delta, layer)
    if layer > 1:
        w, below = layers.matrix(net, net.W, layer), layers.units(net, work.delta, layer - 1)
        mean = below.dtype.type(math.sqrt(1.5 / below.size))
        below[:] = 0
        for i in range(delta.size):
            for j in range(below.size):
                below[j] += np.sign(w[i, j]) * (mean * delta[i])
        layers.gate(net, layer - 1, work, mask)
    updates.update(net, syn, layer, delta, work.h, work.c, step)


@stage
def _teach_through_b(
    layer: int,
    net: Layers,
    syn: InputSynapses,
    params: Any,
    hyper: Any,
    step: Step,
    work: Work,
    mask: Array,
    noise: Array,
) -> None:
    """Teaching signal and update of one layer, through B. Readable form: `_batch_down`."""
    delta = layers.units(net, work.delta, layer)
    if layer > 1:
        B = layers.item(params.B, params.B_at, layer - 2)
        layers.feed_back(net, layer - 1, B, delta, work, mask)
    updates.update(net, syn, layer, delta, work.h, work.c, step)


_TEACH_DOWN = {"W": _teach_through_w, "signs": _teach_through_signs, "B": _teach_through_b}


# -- from the output


def _batch_direct(
    signal: str, spec: NetworkSpec, params: Parameters, hyper: Any, x: Any, y: Any, draws: Draws
) -> Any:
    """The rules on (batch, n) arrays; yields one `Update`."""
    last = spec.layers
    a, h = forward(spec, params, x, draws.masks)
    error = losses.output_delta(spec.loss, spec.names[-1], a[last], h[last] - y)
    terms: list[list[Term] | None] = []
    for layer in range(1, last):
        back = (error if signal == "error" else y) @ params["B"][layer - 1].T
        delta = spec.gate(layer, a[layer], back, draws.mask(layer))
        terms.append([Term(delta, h[layer - 1])])
    yield Update([*terms, [Term(error, h[last - 1])]])


def _tasks_direct(signal: str, spec: NetworkSpec, hyper: Any, sample: int) -> list[Task]:
    """Layers learn after the error is computed; from the target, after their own standard pass."""
    sent = _tasks.E if signal == "error" else _tasks.Y
    hidden = [
        _tasks.modulated(
            spec, n, [sent, ("B", n), ("h", n), ("h", n - 1)], more=spec.sizes[n] * spec.sizes[-1]
        )
        for n in range(1, spec.layers)
    ]
    output = _tasks.output(spec)
    learning = [output, *hidden] if signal == "error" else [*hidden, output]
    return [*_tasks.standard(spec), *learning]


@stage
def _teach_from_error(
    layer: int,
    net: Layers,
    syn: InputSynapses,
    params: Any,
    hyper: Any,
    step: Step,
    work: Work,
    mask: Array,
    noise: Array,
) -> None:
    """Teaching signal and update of one layer of one sample. Readable form: `_batch_direct`."""
    last = net.sizes.size - 1
    if layer < last:
        B = layers.item(params.B, params.B_at, layer - 1)
        layers.feed_back(net, layer, B, layers.units(net, work.delta, last), work, mask)
    updates.update(net, syn, layer, layers.units(net, work.delta, layer), work.h, work.c, step)


@stage
def _teach_from_target(
    layer: int,
    net: Layers,
    syn: InputSynapses,
    params: Any,
    hyper: Any,
    step: Step,
    work: Work,
    mask: Array,
    noise: Array,
) -> None:
    """Teaching signal and update of one layer, from y. Readable form: `_batch_direct`."""
    if layer < net.sizes.size - 1:
        B = layers.item(params.B, params.B_at, layer - 1)
        layers.feed_back(net, layer, B, work.y, work, mask)
    updates.update(net, syn, layer, layers.units(net, work.delta, layer), work.h, work.c, step)
