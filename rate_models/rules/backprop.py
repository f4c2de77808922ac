"""Backpropagation of the error, the baseline that needs the forward weights on the way back.

    h_0 = x,  a_l = W_l h_{l-1} + b_l,  h_l = m_l ∘ s_l(a_l),  e = h_L - y
    δ_L = ∂L/∂a_L,    δ_l = m_l ∘ s_l'(a_l) ∘ (W_{l+1}ᵀ δ_{l+1}),    ΔW_l = δ_l h_{l-1}ᵀ

x (n_0,), y (n_L,), W_l (n_l, n_{l-1}), δ_l (n_l,) teaching signal, m_l (n_l,) dropout mask.
δ_L = e for cross-entropy with softmax and binary cross-entropy with sigmoid, e ∘ s'(a_L) for MSE.

Example: `dendrostream run --rule backprop --seed 0`
ends at 0.98 of held-out digits.

Source: Rumelhart, Hinton & Williams, Nature 323, 1986; settings as in Dellaferrera & Kreiman 2022,
table 2.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rate_models import layers, losses
from rate_models.input_synapses import InputSynapses
from rate_models.kernel import Array, stage
from rate_models.layers import Layers, Work
from rate_models.network import NetworkSpec, Parameters, forward
from rate_models.optimizers import Step
from rate_models.rules import Defaults, Draws, Properties, Rule, Stage, Task, Term, _plain, _tasks

# Found with 256 hidden units on parts of the training samples of digits, MNIST, Fashion-MNIST,
# CIFAR-10 and synthetic, scored on other parts; squared: on made-up regressions and autoencoders.
DEFAULTS = Defaults(rate=2, squared=0.3)
Hyperparameters = _plain.Hyperparameters


class State(NamedTuple):
    """Nothing beside the weights; `none` is empty (kernels take no empty tuples)."""

    none: Array


def init(spec: NetworkSpec, hyper: Hyperparameters, rng: np.random.Generator) -> Parameters:
    """No parameters beside W and b."""
    return {}


def batch(
    spec: NetworkSpec, params: Parameters, hyper: Hyperparameters, x: Any, y: Any, draws: Draws
) -> Any:
    """The rule on (batch, n) arrays; yields one `Stage`."""
    last = spec.layers
    a, h = forward(spec, params, x, draws.masks)
    delta = losses.output_delta(spec.loss, spec.names[-1], a[last], h[last] - y)
    terms: list[list[Term] | None] = [None] * last
    for layer in range(last, 0, -1):
        below = layer - 1
        terms[below] = [Term(delta, h[below])]
        if below > 0:
            back = spec.back(layer, params["W"][below], delta, h[below])
            delta = spec.gate(below, a[below], back, draws.mask(below))
    yield Stage(terms)


def tasks(spec: NetworkSpec, hyper: Any, sample: int) -> list[Task]:
    """Layer l sends δ_{l-1} down through W_l before it learns: the first layer is the last."""
    learning = []
    for n in range(spec.layers, 0, -1):
        delta = _tasks.E if n == spec.layers else ("delta", n)
        if n > 1:
            reads, writes = [delta, ("h", n - 1), ("W", n)], [("delta", n - 1)]
            learning.append(_tasks.modulated(spec, n, reads, writes, sweeps=2))
        else:
            learning.append(_tasks.modulated(spec, 1, [delta, _tasks.X]))
    return [*_tasks.standard(spec), *learning]


@stage
def teach(
    layer: int,
    net: Layers,
    syn: InputSynapses,
    state: State,
    hyper: Any,  # Hyperparameters as numbers
    step: Step,
    work: Work,
    mask: Array,
    noise: Array,
) -> None:
    """Teaching signal and update of one layer of one sample. Readable form: `batch`."""
    if layer > 1:
        layers.back_project(net, layer, work, mask)  # with W_l as the standard pass saw it
    layers.update(net, syn, layer, layers.units(net, work.delta, layer), work.h, work.c, step)


RULE = Rule(
    __name__,
    hyperparameters=Hyperparameters,
    losses=losses.NAMES,
    properties=Properties(
        passes=1,
        weight_transport=True,
        nonlocal_signals=True,
        frozen_activity=True,
        update_locking="full",
    ),
    init=init,
    state=State,
    batch=batch,
    teach=teach,
    tasks=tasks,
    batches=lambda hyper: True,
    convolves=True,
    defaults=DEFAULTS,
)
