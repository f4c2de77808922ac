"""Node perturbation alone: each hidden unit learns from its own noise and the change of the loss.

The baseline without feedback weights: REINFORCE with Gaussian units. The noise is added to the
activity, so λ̂_l estimates ∂L/∂h_l and replaces backpropagation's W_{l+1}ᵀ δ_{l+1}:

    h_0 = x,  a_l = W_l h_{l-1} + b_l,  h_l = m_l ∘ s_l(a_l),  e = h_L - y        clean pass
    h̃_l = m_l ∘ s_l(W_l h̃_{l-1} + b_l) + c ξ_l,   ξ_l ~ N(0, 1) in hidden layers  noisy pass
    λ̂_l = (L̃ - L) ξ_l / c
    δ_L = ∂L/∂a_L,    δ_l = m_l ∘ s_l'(a_l) ∘ λ̂_l,    ΔW_l = δ_l h_{l-1}ᵀ

x (n_0,), y (n_L,), W_l (n_l, n_{l-1}), δ_l (n_l,) teaching signal, m_l (n_l,) dropout mask, ξ_l
(n_l,) noise of a sample, c its size in units of activity, L and L̃ the losses of the two passes.
δ_L = e for cross-entropy with softmax and binary cross-entropy with sigmoid, e ∘ s'(a_L) for MSE.
As c → 0 the mean over ξ is backpropagation. The variance grows with the number of hidden units, so
rates must be small.

Gap: the noise of the estimate grows with the number n of units that are perturbed at once, because
the change of the loss is due to all of them: E‖λ̂ - λ‖² = (n + 1) ‖λ‖². With 1,024 hidden units,
untrained, on MNIST, the first layer's update of one sample is at 88° from the gradient and its
noise has 970 times the power of the gradient; with 16 units it is at 78°, with 26 times the power.
Learning averages over samples, so the rate must be a tenth of backpropagation's, and five passes do
not compensate for that.

Example: `dendrostream run --rule reinforce --seed 0`
ends at 0.91 of held-out digits.

Source: Williams, Machine Learning 8, 1992; as the estimator in Lansdell, Prakash & Kording, ICLR
2020, section 2.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

from rate_models.compiler.kernel import Array, stage
from rate_models.kernels import layers, updates, vectors
from rate_models.kernels.input_synapses import InputSynapses
from rate_models.kernels.layers import Layers, Work
from rate_models.model import losses
from rate_models.model.hyperparameters import Positive, Share
from rate_models.model.optimizers import Step
from rate_models.network import Init, NetworkSpec, Parameters, forward
from rate_models.rules import (
    FIXED,
    Defaults,
    Draws,
    Noise,
    Properties,
    Rule,
    Task,
    Term,
    Update,
    _perturbation,
    _tasks,
)
from rate_models.rules._perturbation import (
    estimate,
    estimates,
    noise_of,
    noise_widths,
)

# Tuned with 256 hidden units on parts of the training samples of digits, MNIST, Fashion-MNIST,
# CIFAR-10 and synthetic, scored on other parts; squared: on synthetic regressions, autoencoders.
DEFAULTS = Defaults(rate=0.06, squared=0.3, width=1.75, depth=1, squared_depth=1)


class Hyperparameters(NamedTuple):
    """c: size of the noise, in units of activity.
    dropout: probability that a hidden unit is silent for a sample. init: of W.
    """

    c: Positive = 0.01
    dropout: Share = 0.0
    init: Annotated[Init, FIXED] = "he_normal"


def batch(
    spec: NetworkSpec, params: Parameters, hyper: Hyperparameters, x: Any, y: Any, draws: Draws
) -> Any:
    """The rule on (batch, n) arrays; yields one `Update`."""
    last = spec.layers
    a, h = forward(spec, params, x, draws.masks)
    estimated = estimates(spec, params, hyper.c, a, h, y, draws)
    delta = losses.output_delta(spec.loss, spec.names[-1], a[last], h[last] - y)
    terms: list[list[Term] | None] = [None] * last
    terms[last - 1] = [Term(delta, h[last - 1])]
    for layer in range(1, last):
        delta = spec.gate(layer, a[layer], estimated[layer - 1], draws.mask(layer))
        terms[layer - 1] = [Term(delta, h[layer - 1])]
    yield Update(terms)


def tasks(spec: NetworkSpec, hyper: Any, sample: int) -> list[Task]:
    """The output layer comes first: the noisy pass needs all weights from before any update."""
    top = _perturbation.first_task(spec)
    learning = [
        _tasks.modulated(spec, n, [("estimate", n), ("h", n), ("h", n - 1)])
        for n in range(1, spec.layers)
    ]
    return [*_tasks.standard(spec), top, *learning]


@stage
def teach(
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
    """Teaching signal and update of one layer of one sample. Readable form: `batch`."""
    delta = layers.units(net, work.delta, layer)
    if layer == net.sizes.size - 1:
        estimate(net, hyper.c, work, mask, noise)  # with the weights before any update
    else:
        vectors.copy(delta, layers.units(net, work.p, layer))
        layers.gate(net, layer, work, mask)
    updates.update(net, syn, layer, delta, work.h, work.c, step)


RULE = Rule(
    __name__,
    hyperparameters=Hyperparameters,
    losses=losses.NAMES,
    properties=Properties(
        passes=2,
        weight_transport=False,
        nonlocal_signals=True,  # the change of the loss, one number for all
        frozen_activity=True,
        update_locking="partial",
    ),
    own=(),
    batch=batch,
    teach=teach,
    tasks=tasks,
    noise=Noise(noise_widths, noise_of),
    convolves=True,
    defaults=DEFAULTS,
)
