"""Adaptive feedback alignment: PEPITA to first order in its feedback matrix.

The modulated pass of PEPITA, linearised around the standard pass, carries the error through the
forward weights. Each hidden layer learns as in direct feedback alignment, with a feedback matrix
that depends on the current weights:

    h_0 = x,  a_l = W_l h_{l-1} + b_l,  h_l = m_l ∘ s_l(a_l),  e = h_L - y,  D_l = diag(m_l ∘ s_l')
    δ_l = D_l B_l e,   B_1 = -s W_1 F,   B_l = W_l D_{l-1} B_{l-1}   (l < L)
    ΔW_l = δ_l h_{l-1}ᵀ,   ΔW_L = e h_{L-1}ᵀ

that is δ_1 = -s D_1 W_1 F e, δ_l = D_l W_l δ_{l-1}: the matrices B_l are never computed.
x (n_0,), y (n_L,), W_l (n_l, n_{l-1}), F (n_0, n_L) fixed and random, B_l (n_l, n_L),
m_l (n_l,) dropout mask, s = ±1.

Example: `dendrostream run --rule adaptive_feedback_alignment --seed 0`
ends at 0.98 of held-out digits.

Source: Srinivasan et al., ICLR 2024; its theory has one hidden layer.
Deviations: any depth. With a squared error and a non-linear output, ΔW_L uses e ∘ s'(a_L).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

from rate_models.compiler.kernel import Array, stage
from rate_models.kernels import input_passes, layers, updates, vectors
from rate_models.kernels.input_synapses import InputSynapses
from rate_models.kernels.layers import Layers, Work
from rate_models.model import activations, losses
from rate_models.model.hyperparameters import NotNegative, Share
from rate_models.model.optimizers import Step
from rate_models.network import Init, NetworkSpec, Parameters, forward
from rate_models.rules import (
    FIXED,
    Defaults,
    Draws,
    Own,
    Properties,
    Rule,
    Task,
    Term,
    Update,
    _tasks,
)
from rate_models.rules._feedback import feedback

# Tuned with 256 hidden units on parts of the training samples of digits, MNIST, Fashion-MNIST,
# CIFAR-10 and synthetic, scored on other parts; squared: on synthetic regressions, autoencoders.
DEFAULTS = Defaults(rate=5, squared=0.3, depth=3)


class Hyperparameters(NamedTuple):
    """sign: s of the modulation that is approximated; -1 makes B_1 = W_1 F.
    feedback_scale: κ of F, no unit. dropout: probability that a hidden unit is silent for a sample.
    init: of W and F.
    """

    sign: Literal[1, -1] = -1
    feedback_scale: Annotated[NotNegative, FIXED] = 0.05
    dropout: Share = 0.0
    init: Annotated[Init, FIXED] = "he_uniform"


def input_feedback(params: Parameters, hyper: Hyperparameters) -> Array | None:
    """F: kernels then keep W_1 F up to date."""
    return params["F"]  # type: ignore[no-any-return]


def batch(
    spec: NetworkSpec, params: Parameters, hyper: Hyperparameters, x: Any, y: Any, draws: Draws
) -> Any:
    """The rule on (batch, n) arrays; yields one `Update`."""
    last = spec.layers
    a, h = forward(spec, params, x, draws.masks)
    e = h[last] - y
    terms: list[list[Term] | None] = []
    delta = -hyper.sign * (e @ params["F"].T)
    for layer in range(1, last):
        delta = (delta @ params["W"][layer - 1].T) * activations.slope(
            spec.names[layer - 1], a[layer]
        )
        if draws.masks is not None:
            delta = delta * draws.masks[layer - 1]
        terms.append([Term(delta, h[layer - 1])])
    error = losses.output_delta(spec.loss, spec.names[-1], a[last], e)
    yield Update([*terms, [Term(error, h[last - 1])]])


def tasks(spec: NetworkSpec, hyper: Any, sample: int) -> list[Task]:
    """Errors travel up: layer l sends δ_l through W_{l+1}."""
    learning = []
    for n in range(1, spec.layers):
        reads = [("W", n), ("h", n), ("h", n - 1), ("delta", n - 1)]
        through = 0
        if n == 1:
            reads, through = [("W", 1), ("h", 1), _tasks.X, _tasks.E, ("F", 0)], spec.sizes[0]
        learning.append(
            _tasks.modulated(
                spec, n, reads, [("delta", n)], sweeps=2, more=through * spec.sizes[-1]
            )
        )
    return [*_tasks.standard(spec), *learning, _tasks.output(spec)]


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
    last = net.sizes.size - 1
    if layer == 1 < last:
        for i in range(work.c.size):
            work.c[i] = -hyper.sign * work.e[i]
        input_passes.through(syn, work.c, delta)
        layers.gate(net, layer, work, mask)
    elif layer < last:
        w, below = layers.matrix(net, net.W, layer), layers.units(net, work.delta, layer - 1)
        for i in range(delta.size):
            delta[i] = vectors.dot(w[i], below)
        layers.gate(net, layer, work, mask)
    if layer == 1:
        work.c[:] = 0  # the presynaptic activity of the update is x alone
    updates.update(net, syn, layer, delta, work.h, work.c, step)


RULE = Rule(
    __name__,
    hyperparameters=Hyperparameters,
    losses=losses.NAMES,
    properties=Properties(
        passes=1,
        weight_transport=True,
        nonlocal_signals=True,
        frozen_activity=True,
        update_locking="partial",
    ),
    own=(Own("F", lambda spec, hyper: (0, spec.layers), drawn=feedback, feedback=True),),
    batch=batch,
    teach=teach,
    tasks=tasks,
    input_feedback=input_feedback,
    batches=lambda hyper: True,
    defaults=DEFAULTS,
)
