"""Direct feedback alignment: the output's error reaches every hidden layer at once.

    h_0 = x,  a_l = W_l h_{l-1} + b_l,  h_l = m_l ∘ s_l(a_l),  e = h_L - y
    δ_L = ∂L/∂a_L,    δ_l = m_l ∘ s_l'(a_l) ∘ (B_l δ_L),    ΔW_l = δ_l h_{l-1}ᵀ

x (n_0,), y (n_L,), W_l (n_l, n_{l-1}), δ_l (n_l,) teaching signal, m_l (n_l,) dropout mask.
B_l (n_l, n_L) ~ U(-b, b), b = κ √(6/n_l), fixed; ``B`` lists B_1..B_{L-1}. In a linear network with
B_l = (W_L ... W_{l+1})ᵀ it is backpropagation. δ_L = e for cross-entropy with softmax and binary
cross-entropy with sigmoid, e ∘ s'(a_L) for MSE.

Example: `dendrostream run --rule direct_feedback_alignment --seed 0`
ends at 0.97 of held-out digits.

Source: Nøkland, NeurIPS 2016; initialisation as in Dellaferrera & Kreiman 2022.
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

# With one hidden layer it is feedback alignment, whose rates these are.
DEFAULTS = Defaults(rate=1, squared=0.3)
Hyperparameters = _plain.FeedbackHyperparameters


class State(NamedTuple):
    """B: the feedback matrices B_1..B_{L-1}, flat, row by row."""

    B: Array


def init(spec: NetworkSpec, hyper: Hyperparameters, rng: np.random.Generator) -> Parameters:
    """B_l (n_l, n_L) ~ U(±κ √(6/n_l)), l = 1..L-1, κ = feedback_scale."""
    return {
        "B": _plain.random_feedback([(n, spec.sizes[-1]) for n in spec.sizes[1:-1]], hyper, rng)
    }


def batch(
    spec: NetworkSpec, params: Parameters, hyper: Hyperparameters, x: Any, y: Any, draws: Draws
) -> Any:
    """The rule on (batch, n) arrays; yields one `Stage`."""
    last = spec.layers
    a, h = forward(spec, params, x, draws.masks)
    error = losses.output_delta(spec.loss, spec.names[-1], a[last], h[last] - y)
    terms: list[list[Term] | None] = []
    for layer in range(1, last):
        back = error @ params["B"][layer - 1].T
        delta = spec.gate(layer, a[layer], back, draws.mask(layer))
        terms.append([Term(delta, h[layer - 1])])
    yield Stage([*terms, [Term(error, h[last - 1])]])


def tasks(spec: NetworkSpec, hyper: Any, sample: int) -> list[Task]:
    """All layers learn at once when the error is there."""
    learning = [
        _tasks.modulated(
            spec, n, [_tasks.E, ("B", n), ("h", n), ("h", n - 1)],
            more=spec.sizes[n] * spec.sizes[-1],
        )
        for n in range(1, spec.layers)
    ]  # fmt: skip
    return [*_tasks.standard(spec), _tasks.output(spec), *learning]


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
    last = net.sizes.size - 1
    if layer < last:
        at, size = net.unit[layer] * work.e.size, net.sizes[layer] * work.e.size
        error = layers.units(net, work.delta, last)
        layers.feed_back(net, layer, state.B[at : at + size], error, work, mask)
    layers.update(net, syn, layer, layers.units(net, work.delta, layer), work.h, work.c, step)


RULE = Rule(
    __name__,
    hyperparameters=Hyperparameters,
    losses=losses.NAMES,
    properties=Properties(
        passes=1,
        weight_transport=False,
        nonlocal_signals=True,
        frozen_activity=True,
        update_locking="partial",
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
