"""The optimiser: from a gradient-like ΔW to a change of weights, for all implementations.

With momentum μ, weight decay λ, and η_t the learning rate at sample t. η is inside the velocity,
so that a decay of η does not change the velocity:

    v ← μ v + η_t (ΔW + λ W),   W ← W − v          (v = 0 at the start)

η_t = lr · decay_factor^(number of entries of decay_at that are ≤ t) / (1 + t / decay_time).
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from rate_models.compiler.kernel import Array, Scalar, stage
from rate_models.compiler.lanes import lanewise
from rate_models.compiler.vectors import axpy
from rate_models.model.hyperparameters import NotNegative, Positive, Share


class Optimizer(NamedTuple):
    """Stochastic gradient descent with momentum, weight decay and step decay of the rate.

    lr: learning rate η. momentum: μ in [0, 1). weight_decay: λ ≥ 0 (L2).
    decay_at: sample counts; at each of them the rate is multiplied by decay_factor.
    decay_time: number of samples after which the rate has halved, see the module; 0 for no decay.

    >>> Optimizer(lr=0.1, decay_at=(100,)).rate(100)
    0.010000000000000002
    """

    lr: Positive = 0.03
    momentum: Share = 0.0
    weight_decay: NotNegative = 0.0
    decay_at: tuple[Annotated[int, Field(ge=0, lt=2**63)], ...] = ()
    decay_factor: Annotated[float, Field(gt=0, le=1)] = 0.1
    decay_time: NotNegative = 0.0

    def rate(self, sample: int) -> float:
        """η at the sample with this number (the first is 0)."""
        eta = self.lr * self.decay_factor ** sum(at <= sample for at in self.decay_at)
        return eta / (1 + sample / self.decay_time) if self.decay_time else eta


def moves(optimizer: Optimizer) -> bool:
    """Whether weights change without a gradient too, so that kernels store velocities."""
    return optimizer.momentum > 0 or optimizer.weight_decay > 0


class Sgd:
    """Steps arrays of any namespace in place; stores one velocity per array where needed."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.velocity: dict[tuple[str, int], Any] = {}

    def step(self, params: dict[str, Any], gradients: dict[str, Any], sample: int) -> None:
        """One step: ``gradients[name][i]`` is ΔW of ``params[name][i]``; None: no change.

        Where ``params[name]`` is an array and not a list, ``gradients[name]`` is its ΔW.
        """
        eta = self.optimizer.rate(sample)
        _, mu, lam = self.optimizer[:3]
        for name, value in gradients.items():
            single = not isinstance(value, list)
            for i, gradient in enumerate([value] if single else value):
                if gradient is None:
                    continue
                weight = params[name] if single else params[name][i]
                change = eta * (gradient + lam * weight if lam else gradient)
                if mu:
                    change = change + mu * self.velocity.get((name, i), 0.0)
                    self.velocity[name, i] = change
                weight -= change


class Rates(NamedTuple):
    """The optimiser in kernels: `Optimizer` in machine types."""

    lr: float
    momentum: float
    weight_decay: float
    decay_at: NDArray[np.int64]
    decay_factor: float
    decay_time: float


class Step(NamedTuple):
    """The optimiser at one sample, in the dtype of the weights: η, μ, λ."""

    eta: float
    mu: float
    lam: float


def rates(optimizer: Optimizer) -> Rates:
    """``optimizer`` in the machine types of kernels."""
    lr, momentum, decay, at, factor, time = optimizer
    counts = np.array(at, np.int64)
    return Rates(float(lr), float(momentum), float(decay), counts, float(factor), float(time))


@stage
def step_at(r: Rates, sample: int, like: Array) -> Step:
    """η, μ and λ at this sample, in the dtype of ``like``; textbook: `Optimizer.rate`."""
    dtype = like.dtype
    eta = r.lr
    for at in r.decay_at:
        if at <= sample:
            eta *= r.decay_factor
    if r.decay_time > 0:
        eta /= 1.0 + sample / r.decay_time
    return Step(dtype.type(eta), dtype.type(r.momentum), dtype.type(r.weight_decay))


@lanewise
def moving_step(
    w: Array, v: Array, mu: Scalar, decay: Scalar, change: Scalar, gradient: Array
) -> None:
    """One step of a row with momentum and decay: v = μ v + ηλ w + change gradient; w -= v."""
    v[...] = mu * v[...] + decay * w[...] + change * gradient[...]
    w[...] = w[...] - v[...]


@lanewise
def minus_contrast(
    w: Array, plus: Scalar, gradient: Array, minus: Scalar, minus_gradient: Array
) -> None:
    """w -= plus gradient − minus minus_gradient"""
    w[...] = w[...] - (plus * gradient[...] - minus * minus_gradient[...])


@lanewise
def moving_contrast(
    w: Array, v: Array, mu: Scalar, decay: Scalar,
    plus: Scalar, gradient: Array, minus: Scalar, minus_gradient: Array,
) -> None:  # fmt: skip
    """`moving_step` by the difference of two gradients."""
    v[...] = mu * v[...] + decay * w[...] + (plus * gradient[...] - minus * minus_gradient[...])
    w[...] = w[...] - v[...]


@stage
def outer_step(w: Array, v: Array, post: Array, pre: Array, step: Step) -> None:
    """One optimiser step of W (n, m) with ΔW = post preᵀ; v is empty where not needed."""
    n, zero = w.shape[0], w.dtype.type(0)
    if v.size == 0:
        for i in range(n):
            if post[i] != zero:  # a row whose post_i is zero stays exactly as it is
                axpy(w[i], -(step.eta * post[i]), pre)
    else:
        decay = step.eta * step.lam
        for i in range(n):
            moving_step(w[i], v[i], step.mu, decay, step.eta * post[i], pre)


@stage
def contrast_step(
    w: Array, v: Array, post: Array, pre: Array, minus_post: Array, minus_pre: Array, step: Step
) -> None:
    """One optimiser step of W (n, m) with ΔW = post preᵀ − minus_post minus_preᵀ."""
    zero = w.dtype.type(0)
    decay = step.eta * step.lam
    for i in range(w.shape[0]):
        plus, minus = step.eta * post[i], step.eta * minus_post[i]
        if v.size > 0:
            moving_contrast(w[i], v[i], step.mu, decay, plus, pre, minus, minus_pre)
        elif plus != zero or minus != zero:
            minus_contrast(w[i], plus, pre, minus, minus_pre)


@stage
def vector_step(w: Array, v: Array, gradient: Array, step: Step) -> None:
    """One optimiser step of a vector (a bias)."""
    decay = step.eta * step.lam
    if v.size == 0:
        axpy(w, -step.eta, gradient)
    else:
        moving_step(w, v, step.mu, decay, step.eta, gradient)
