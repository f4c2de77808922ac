"""Node perturbation: feedback weights learn from noise to predict each unit's effect on the loss.

Besides the clean pass h_l there is a noisy pass, in which all hidden units are perturbed at once:

    h_0 = x,  a_l = W_l h_{l-1} + b_l,  h_l = m_l ∘ s_l(a_l)                      clean pass
    h̃_l = m_l ∘ s_l(W_l h̃_{l-1} + b_l) + c ξ_l,   ξ_l ~ N(0, 1) in hidden layers  noisy pass
    λ̂_l = (L̃ - L) ξ_l / c                                 noisy estimate of ∂L/∂h_l
    λ_l = B_{l+1}ᵀ ẽ_{l+1}                                the synthetic gradient, its prediction
    ẽ_L = ∂L/∂a_L,    ẽ_l = m_l ∘ s_l'(a_l) ∘ λ_l,        ΔW_l = ẽ_l h_{l-1}ᵀ

    gradient:  B_{l+1} ← B_{l+1} - η_B Σ ẽ_{l+1} (λ_l - λ̂_l)ᵀ
    ridge:     V_{l+1} ← V_{l+1} + Σ ẽ_{l+1} ẽ_{l+1}ᵀ,   V = γ I at first
               B_{l+1} ← B_{l+1} - V_{l+1}⁻¹ Σ ẽ_{l+1} (λ_l - λ̂_l)ᵀ

Sums are over the samples of a batch; W learns from B as it was before the batch. The ridge form is
the recursion of B = V⁻¹ Σ ẽ λ̂ᵀ over all samples so far, and starts from B = 0. With few samples B
varies strongly: deep networks diverge unless B learns alone first (``warmup``; one epoch in the
paper's programs) or γ is large.

x (n_0,), y (n_L,), W_l (n_l, n_{l-1}), ẽ_l (n_l,) teaching signal, ξ_l and λ̂_l (n_l,), m_l (n_l,)
dropout mask, c size of the noise in units of activity, L and L̃ the losses of the two passes.
fa: layer to layer, as above, B_{l+1} (n_{l+1}, n_l) has the shape of W_{l+1}; ``B`` lists B_2..B_L.
dfa: straight from the output, λ_l = B_lᵀ ẽ_L with B_l (n_L, n_l); ``B`` lists B_1..B_{L-1}.
Instead of V the upper triangular ``R`` with V = Rᵀ R is stored: one sample updates it in O(n²), and
single precision suffices for R where it does not for V or V⁻¹. For dfa there is one R.

Example: `dendrostream run --rule node_perturbation --seed 0`
ends at 0.97 of held-out digits.

Source: Lansdell, Prakash & Kording, ICLR 2020, section 2 and appendix; ridge: their programs.
Deviations: biases have no feedback (in one program the feedback has a row for them). The paper's
networks have a linear output and L = ½‖h_L - y‖² (``loss="mse"``); our default is cross-entropy.
Dropout is ours.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from array_api_compat import array_namespace
from pydantic import Field

from rate_models.compiler.kernel import Array, Scalar, stage
from rate_models.compiler.views import as_matrix
from rate_models.errors import BadOption
from rate_models.kernels import layers, updates, vectors
from rate_models.kernels.input_synapses import InputSynapses
from rate_models.kernels.layers import Layers, Work
from rate_models.model import losses
from rate_models.model.hyperparameters import NotNegative, Positive, Share
from rate_models.model.optimizers import Step
from rate_models.network import Init, NetworkSpec, Parameters, draw, forward
from rate_models.rules import (
    FIXED,
    Defaults,
    Draws,
    Noise,
    Own,
    Properties,
    Ref,
    Rule,
    Start,
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
DEFAULTS = Defaults(rate=1, squared=0.3, depth=1)


class Hyperparameters(NamedTuple):
    """c: size of the noise, in units of activity.
    solver: how B learns. feedback: from the layer above (fa) or from the output (dfa).
    eta_b: η_B, rate of the gradient solver. gamma: γ, penalty of the ridge solver.
    warmup: number of samples at the start during which B learns and W does not.
    dropout: probability that a hidden unit is silent for a sample. init: of W.
    """

    c: Positive = 0.01
    solver: Annotated[Literal["gradient", "ridge"], FIXED] = "gradient"
    feedback: Annotated[Literal["fa", "dfa"], FIXED] = "fa"
    eta_b: NotNegative = 5e-4
    gamma: Annotated[Positive, FIXED] = 0.1
    warmup: Annotated[int, Field(ge=0, le=2**24), FIXED] = 0  # float32 counts no further
    dropout: Share = 0.0
    init: Annotated[Init, FIXED] = "he_normal"


RIDGE, DIRECT = 1, 1  # indices of these choices in their Literals


def suits(spec: NetworkSpec, labels: bool, power: float) -> dict[str, float]:
    """η_B = min(5·10⁻⁴, 8 / n_L²) for a squared error: the second from 127 outputs on.

    ẽ_L and the noise of λ̂ both grow with the number of outputs. With 784-256-784 on 8,000 digits of
    MNIST, η_B = 10⁻⁵ explains 0.66 of the variance, 0 explains 0.62, 4·10⁻⁵ explains 0.61, and 10⁻⁴
    diverges.
    """
    return {"eta_b": min(5e-4, 8 / spec.sizes[-1] ** 2)} if spec.loss == "mse" else {}


def check_hyperparameters(spec: NetworkSpec, hyper: Hyperparameters) -> None:
    """Raise BadOption for feedback from layer to layer in a network with convolutions."""
    if spec.convolutional and hyper.feedback != "dfa":
        expected = "dfa, from the output, with convolutions"
        raise BadOption("feedback", got=hyper.feedback, expected=expected)


def feedback_layers(spec: NetworkSpec, hyper: Hyperparameters) -> list[tuple[int, int]]:
    """B_2..B_L join hidden layers with the layer above (fa), B_1..B_{L-1} with the output (dfa)."""
    last = spec.layers
    return [(last if hyper.feedback == "dfa" else n + 1, n) for n in range(1, last)]


def feedback(start: Start) -> Array:
    """gradient: B ~ N(0, 2/n_l), n_l units of the receiving layer; ridge: B = 0."""
    if start.hyper.solver == "ridge":
        return np.zeros(start.shape)
    return draw("he_normal", start.rng, start.shape, fan_in=start.shape[1])


def signal_layers(spec: NetworkSpec, hyper: Hyperparameters) -> list[tuple[int, int]] | None:
    """The layer of each R: every layer whose signal teaches B; None for the gradient solver."""
    if hyper.solver == "gradient":
        return None
    return [(above, above) for above in dict.fromkeys(n for n, _ in feedback_layers(spec, hyper))]


def factor(start: Start) -> Array:
    """R = √γ I"""
    return math.sqrt(start.hyper.gamma) * np.eye(start.shape[0])


def batch(
    spec: NetworkSpec, params: Parameters, hyper: Hyperparameters, x: Any, y: Any, draws: Draws
) -> Any:
    """The rule on (batch, n) arrays; yields one `Update`."""
    last, direct = spec.layers, hyper.feedback == "dfa"
    a, h = forward(spec, params, x, draws.masks)
    estimated = estimates(spec, params, hyper.c, a, h, y, draws)
    delta = losses.output_delta(spec.loss, spec.names[-1], a[last], h[last] - y)
    terms: list[list[Term] | None] = [None] * last
    terms[last - 1] = [Term(delta, h[last - 1])]
    signal = delta
    for layer in range(last - 1, 0, -1):
        if not direct:
            signal = delta
        predicted = signal @ params["B"][layer - 1]
        change = signal.T @ (predicted - estimated[layer - 1])
        if hyper.solver == "gradient":
            change = hyper.eta_b * change
        else:
            R = params["R"][0 if direct else layer - 1]
            if not direct or layer == last - 1:
                R[...] = _grown(R, signal)
            solve = array_namespace(x).linalg.solve
            change = solve(R, solve(R.T, change))
        params["B"][layer - 1] -= change
        delta = spec.gate(layer, a[layer], predicted, draws.mask(layer))
        terms[layer - 1] = [Term(delta, h[layer - 1])]
    if hyper.warmup > 0:
        warming = bool(params["seen"][0] < hyper.warmup)
        params["seen"] += len(x)
        terms = [None] * last if warming else terms
    yield Update(terms)


def _grown(R: Any, signal: Any) -> Any:
    """The upper triangular factor of V + Σ ẽ ẽᵀ; signal: ẽ (batch, n).

    It does not compute V, for which single precision is too coarse after a million batches.
    """
    xp = array_namespace(signal)
    _, grown = xp.linalg.qr(xp.concat([R, signal]))
    diagonal = xp.linalg.diagonal(grown)
    one = xp.ones_like(diagonal)
    return xp.where(diagonal < 0, -one, one)[:, None] * grown


def tasks(spec: NetworkSpec, hyper: Hyperparameters, sample: int) -> list[Task]:
    """The output layer comes first: the noisy pass needs all weights from before any update."""
    last, direct, ridge = spec.layers, hyper.feedback == "dfa", hyper.solver == "ridge"
    warming = sample < hyper.warmup
    learning = [_perturbation.first_task(spec, learns=not warming)]
    for n in range(last - 1, 0, -1):
        above = last if direct else n + 1
        signal = _tasks.E if above == last else ("delta", above)
        reads: list[Ref] = [signal, ("estimate", n), ("h", n), ("h", n - 1)]
        writes: list[Ref] = [("delta", n)]
        updates: list[Ref] = [("B", n)] if warming else [("W", n), ("B", n)]
        if ridge and (not direct or n == last - 1):
            updates.append(("R", above))
            writes += [("gain", last)] if direct else []
        elif ridge:
            reads.append(("gain", last))
        feedback = 2 * spec.sizes[n] * spec.sizes[above]
        learning.append(
            _tasks.modulated(spec, n, reads, writes, updates=updates, sweeps=1, more=feedback)
        )
    return [*_tasks.standard(spec), *learning]


def regime(hyper: Hyperparameters, sample: int) -> bool:
    """Whether B alone learns from this sample."""
    return sample < hyper.warmup


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
    last, direct = net.sizes.size - 1, hyper.feedback == DIRECT
    delta = layers.units(net, work.delta, layer)
    if layer == last:
        for i in range(params.seen.size):
            params.seen[i] += 1
        estimate(net, hyper.c, work, mask, noise)  # with the weights before any update
    else:
        above = last if direct else layer + 1
        signal = layers.units(net, work.delta, above)
        n = delta.size
        b = as_matrix(layers.item(params.B, params.B_at, layer - 1), signal.size, n)
        surprise = layers.units(net, work.p, layer)  # λ̂ - λ
        delta[:] = 0
        vectors.combine(delta, signal, b)
        for i in range(n):
            surprise[i] -= delta[i]
        if hyper.solver == RIDGE:
            gain = layers.units(net, work.p, above)  # scratch: its content is no longer needed
            if not direct or layer == last - 1:
                R = layers.item(params.R, params.R_at, 0 if direct else layer - 1)
                _absorb(as_matrix(R, signal.size, signal.size), signal, gain)
            _correct(b, gain, surprise, surprise.dtype.type(1))
        else:
            _correct(b, signal, surprise, hyper.eta_b)
        layers.gate(net, layer, work, mask)
    if params.seen.size == 0 or params.seen[0] > hyper.warmup:
        updates.update(net, syn, layer, delta, work.h, work.c, step)


@stage
def _correct(b: Array, gain: Array, surprise: Array, rate: Scalar) -> None:
    """B += rate gain surpriseᵀ"""
    for i in range(gain.size):
        vectors.axpy(b[i], rate * gain[i], surprise)


@stage
def _absorb(R: Array, signal: Array, gain: Array) -> None:
    """RᵀR += ẽẽᵀ by Givens rotations of (R; ẽᵀ), then gain = (RᵀR)⁻¹ ẽ by two substitutions."""
    n, x = gain.size, gain
    vectors.copy(x, signal)
    for k in range(n):
        if x[k] != 0:
            length = math.hypot(R[k, k], x[k])
            cos, sin = R[k, k] / length, x[k] / length
            R[k, k] = length
            for j in range(k + 1, n):
                old = R[k, j]
                R[k, j] = cos * old + sin * x[j]
                x[j] = cos * x[j] - sin * old
    vectors.copy(x, signal)
    for k in range(n):  # Rᵀ z = ẽ
        x[k] /= R[k, k]
        vectors.axpy(x[k + 1 :], -x[k], R[k, k + 1 :])
    for k in range(n - 1, -1, -1):  # R gain = z
        x[k] = (x[k] - vectors.dot(R[k, k + 1 :], x[k + 1 :])) / R[k, k]


RULE = Rule(
    __name__,
    hyperparameters=Hyperparameters,
    losses=losses.NAMES,
    properties=Properties(
        passes=2,
        weight_transport=False,
        nonlocal_signals=True,
        frozen_activity=True,
        update_locking="full",
    ),
    own=(
        Own("B", each=feedback_layers, drawn=feedback, changes="learned", feedback=True),
        Own("R", each=signal_layers, drawn=factor, changes="learned"),
        Own("seen", lambda spec, hyper: () if hyper.warmup else None, changes="counts"),
    ),
    batch=batch,
    teach=teach,
    tasks=tasks,
    noise=Noise(noise_widths, noise_of),
    check_hyperparameters=check_hyperparameters,
    suits=suits,
    regime=regime,
    convolves=True,
    defaults=DEFAULTS,
)
