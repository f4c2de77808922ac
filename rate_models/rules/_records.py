"""The records that the functions of a rule take and return."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from rate_models.network import NetworkSpec


class Properties(NamedTuple):
    """What a rule requires of the biology, and how many forward passes it takes.

    passes: forward passes per sample.
    weight_transport: feedback uses the forward weights.
    nonlocal_signals: an update uses signals that are not available at the synapse.
    frozen_activity: forward activity must be kept while errors travel.
    update_locking: what the update of the first layer waits for. full: a backward pass; partial:
    the error of the output; none: nothing.
    """

    passes: int
    weight_transport: bool
    nonlocal_signals: bool
    frozen_activity: bool
    update_locking: Literal["full", "partial", "none"]


Ref = tuple[str, int]  # an array: its name in the rule's equations, and its layer


class Task(NamedTuple):
    """A work item of one sample, and the arrays that it reads and writes.

    kind, layer: S standard pass of a layer, E error at the output (layer 0), M teaching signal and
    update of a layer.
    multiply_adds: its cost in the plain form.
    reads: arrays that it reads. writes: arrays of this sample alone, which no other item writes.
    updates: arrays that outlive the sample, read and changed in place. Weights that a pass or a
    signal goes through belong to the reads too: with a delay these may be older weights.

    ("W", l) stands for all that layer l stores: weights, biases, velocities. ("h", l) is a_l and
    h_l, ("h", 0) the input, ("y", -1) the target, ("e", -1) the error and δ_L = ∂L/∂a_L. What
    depends on the number of the sample alone (learning rate, masks, noise, whether it mirrors) is
    not listed.
    """

    kind: Literal["S", "E", "M"]
    layer: int
    multiply_adds: int
    reads: tuple[Ref, ...]
    writes: tuple[Ref, ...] = ()
    updates: tuple[Ref, ...] = ()


class RateWarning(NamedTuple):
    """A warning about the rates of a rule.

    text: the message. serious: whether learning will fail; otherwise it may only be improved.
    """

    text: str
    serious: bool


class Draws(NamedTuple):
    """Random numbers of a batch: masks of the hidden layers and the rule's noise, or None."""

    masks: Sequence[Any] | None = None
    noise: Sequence[Any] | None = None

    def mask(self, layer: int) -> Any:
        """m_l of a hidden layer, or None."""
        return None if self.masks is None else self.masks[layer - 1]


class Term(NamedTuple):
    """A part of ΔW: coefficient · post ⊗ pre, with post (batch, n_l), pre (batch, n_{l-1})."""

    post: Any
    pre: Any
    coefficient: float = 1.0


class Update(NamedTuple):
    """One optimiser step.

    terms: for every layer the terms whose sum is ΔW_l, or None for a frozen layer. own: {name: Δ}
    of the rule's own arrays that the optimiser steps, summed over the samples of the batch.
    """

    terms: list[list[Term] | None]
    own: Mapping[str, Any] = MappingProxyType({})


class Defaults(NamedTuple):
    """The default options of a rule. The rule's file states how the numbers were determined.

    rate: η̂ for labels, with a cross-entropy or the rule's own loss, see `rate_models.defaults`.
    squared: η̂ for the squared error in all other cases, with targets of variance 1 or below.
    width: the exponent w, see `rate_models.defaults`. depth, squared_depth: the exponents d that go
    with ``rate`` and ``squared``. activation: of the hidden layers. scale: input scaling; None:
    that of the source. slower: entries (option, choice, factor); the rate is multiplied by the
    factor where the option has that choice.
    """

    rate: float = 1.0
    squared: float = 0.1
    width: float = 1.0
    depth: float = 0.0
    squared_depth: float = 0.0
    activation: str = "relu"
    scale: str | None = None
    slower: tuple[tuple[str, str, float], ...] = ()


class Noise(NamedTuple):
    """Random numbers that a rule needs for every sample.

    widths(spec, hyper): the size of each array of the noise.
    transform(hyper, u): the noise from uniform numbers u in [0, 1), NumPy or torch.
    """

    widths: Callable[[NetworkSpec, Any], list[int]]
    transform: Callable[[Any, Any], Any]


SAFE = Defaults()
NO_NOISE = Noise(lambda spec, hyper: [], lambda hyper, u: u)
