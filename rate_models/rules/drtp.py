"""Direct random target projection: the target, not the error, teaches the hidden layers.

    h_0 = x,  a_l = W_l h_{l-1} + b_l,  h_l = m_l ∘ s_l(a_l),  e = h_L - y
    δ_L = e,    δ_l = m_l ∘ s_l'(a_l) ∘ (B_l y),    ΔW_l = δ_l h_{l-1}ᵀ

x (n_0,), y (n_L,) one-hot, W_l (n_l, n_{l-1}), δ_l (n_l,) teaching signal, m_l (n_l,) dropout mask.
B_l (n_l, n_L) ~ U(-b, b), b = κ √(6/n_l), fixed; ``B`` lists B_1..B_{L-1}. A hidden layer waits for
nothing above it. For a one-hot target B_l y has the sign that reduces the error, up to the random
projection; for regression targets it means nothing, so MSE is refused. The paper has tanh hidden
layers and sigmoid outputs.

Example: `dendrostream run --rule drtp --seed 0`
ends at 0.97 of held-out digits.

Source: Frenkel, Lefebvre & Bol, Frontiers in Neuroscience 15, 2021; settings as in Dellaferrera &
Kreiman 2022, table 2.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rate_models import layers
from rate_models.input_synapses import InputSynapses
from rate_models.kernel import Array, stage
from rate_models.layers import Layers, Work
from rate_models.network import NetworkSpec, Parameters, forward
from rate_models.optimizers import Step
from rate_models.rules import Defaults, Draws, Properties, Rule, Stage, Task, Term, _plain, _tasks

# Found with 256 hidden units on parts of the training samples of digits, MNIST, Fashion-MNIST,
# CIFAR-10 and synthetic, scored on other parts.
DEFAULTS = Defaults(rate=4, activation="tanh")
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
    terms: list[list[Term] | None] = []
    for layer in range(1, last):
        back = y @ params["B"][layer - 1].T
        delta = spec.gate(layer, a[layer], back, draws.mask(layer))
        terms.append([Term(delta, h[layer - 1])])
    yield Stage([*terms, [Term(h[last] - y, h[last - 1])]])


def tasks(spec: NetworkSpec, hyper: Any, sample: int) -> list[Task]:
    """A hidden layer learns once its own standard pass is done."""
    learning = [
        _tasks.modulated(
            spec, n, [_tasks.Y, ("B", n), ("h", n), ("h", n - 1)],
            more=spec.sizes[n] * spec.sizes[-1],
        )
        for n in range(1, spec.layers)
    ]  # fmt: skip
    return [*_tasks.standard(spec), *learning, _tasks.output(spec)]


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
    if layer < net.sizes.size - 1:
        at, size = net.unit[layer] * work.y.size, net.sizes[layer] * work.y.size
        layers.feed_back(net, layer, state.B[at : at + size], work.y, work, mask)
    layers.update(net, syn, layer, layers.units(net, work.delta, layer), work.h, work.c, step)


RULE = Rule(
    __name__,
    hyperparameters=Hyperparameters,
    losses=("binary_cross_entropy", "cross_entropy"),
    properties=Properties(
        passes=1,
        weight_transport=False,
        nonlocal_signals=True,
        frozen_activity=True,  # while the target travels, as Dellaferrera & Kreiman count it
        update_locking="none",
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
