"""Feedback alignment: errors travel back through fixed random weights of their own.

    h_0 = x,  a_l = W_l h_{l-1} + b_l,  h_l = m_l ∘ s_l(a_l),  e = h_L - y
    δ_L = ∂L/∂a_L,    δ_l = m_l ∘ s_l'(a_l) ∘ (B_{l+1} δ_{l+1}),    ΔW_l = δ_l h_{l-1}ᵀ

x (n_0,), y (n_L,), W_l (n_l, n_{l-1}), δ_l (n_l,) teaching signal, m_l (n_l,) dropout mask.
B_{l+1} (n_l, n_{l+1}) ~ U(-b, b), b = κ √(6/n_l), fixed; ``B`` lists B_2..B_L. With
B_{l+1} = W_{l+1}ᵀ it is backpropagation. δ_L = e for cross-entropy with softmax and binary
cross-entropy with sigmoid, e ∘ s'(a_L) for MSE.

Example: `dendrostream run --rule feedback_alignment --seed 0`
ends at 0.97 of held-out digits.

Source: Lillicrap, Cownden, Tweed & Akerman, Nature Communications 7, 2016; settings as in
Dellaferrera & Kreiman 2022, table 2.
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
DEFAULTS = Defaults(rate=1, squared=0.3)
Hyperparameters = _plain.FeedbackHyperparameters


class State(NamedTuple):
    """B: the feedback matrices B_2..B_L, flat, row by row; B_l lies where W_l does."""

    B: Array


def init(spec: NetworkSpec, hyper: Hyperparameters, rng: np.random.Generator) -> Parameters:
    """B_{l+1} (n_l, n_{l+1}) ~ U(±κ √(6/n_l)), l = 1..L-1, κ = feedback_scale."""
    swapped = [(below, n, *rest) for n, below, *rest in spec.shapes[1:]]
    return {"B": _plain.random_feedback(swapped, hyper, rng)}


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
            feedback = params["B"][below - 1].swapaxes(0, 1)
            back = spec.back(layer, feedback, delta, h[below])
            delta = spec.gate(below, a[below], back, draws.mask(below))
    yield Stage(terms)


def tasks(spec: NetworkSpec, hyper: Any, sample: int) -> list[Task]:
    """Layer l sends δ_{l-1} down through B_l before it learns: the first layer is the last."""
    learning = []
    for n in range(spec.layers, 0, -1):
        delta = _tasks.E if n == spec.layers else ("delta", n)
        if n > 1:
            reads, writes = [delta, ("h", n - 1), ("B", n)], [("delta", n - 1)]
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
    delta = layers.units(net, work.delta, layer)
    if layer > 1:
        at, size = net.weight[layer], net.sizes[layer - 1] * net.sizes[layer]
        layers.feed_back(net, layer - 1, state.B[at : at + size], delta, work, mask)
    layers.update(net, syn, layer, delta, work.h, work.c, step)


RULE = Rule(
    __name__,
    hyperparameters=Hyperparameters,
    losses=losses.NAMES,
    properties=Properties(
        passes=1,
        weight_transport=False,
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
