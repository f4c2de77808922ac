"""The records that the functions of a rule take and give."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from rate_models.network import NetworkSpec


class Properties(NamedTuple):
    """What a rule asks of the biology, and how many forward passes it takes.

    passes: forward passes per sample.
    weight_transport: feedback uses the forward weights.
    nonlocal_signals: an update uses signals that are not at the synapse.
    frozen_activity: forward activity must be held while errors travel.
    update_locking: full: the first layer waits for a backward pass; partial: for the output's
    error; none.
    """

    passes: int
    weight_transport: bool
    nonlocal_signals: bool
    frozen_activity: bool
    update_locking: Literal["full", "partial", "none"]


Ref = tuple[str, int]  # an array by the name it has in the rule's equations, and its layer


class Task(NamedTuple):
    """A work item of one sample, and the arrays that it touches.

    kind, layer: S standard pass of a layer, E error at the output (layer 0), M teaching signal and
    update of a layer.
    multiply_adds: what it costs in the plain form.
    reads: arrays that it reads. writes: arrays of this sample alone, which no other item writes.
    updates: arrays that outlive the sample, read and changed in place. Weights that a pass or a
    signal goes through are among the reads too: with a delay these may be older ones.

    ("W", l) is all that layer l keeps: weights, biases, velocities. ("h", l) is a_l and h_l,
    ("h", 0) the input, ("y", -1) the target, ("e", -1) the error and δ_L = ∂L/∂a_L. What follows
    from the number of the sample alone (learning rate, masks, noise, which samples mirror) is no
    array.
    """

    kind: Literal["S", "E", "M"]
    layer: int
    multiply_adds: int
    reads: tuple[Ref, ...]
    writes: tuple[Ref, ...] = ()
    updates: tuple[Ref, ...] = ()


class Advice(NamedTuple):
    """A line about the rates of a rule. serious: learning will fail; else it may be better."""

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


class Stage(NamedTuple):
    """One optimiser step: for every layer the terms whose sum is ΔW_l, or None if it is frozen.

    own: {name: Δ} of the rule's own arrays that the optimiser steps, summed over the samples of
    the batch.
    """

    terms: list[list[Term] | None]
    own: Mapping[str, Any] = MappingProxyType({})


class Defaults(NamedTuple):
    """What suits a rule where nothing is asked for; its own file says how the numbers were found.

    rate: η̂ for labels, with a cross-entropy or the rule's own loss, see `rate_models.defaults`.
    squared: η̂ for the squared error in all other cases, with targets of variance 1 or below.
    width: w. activation: of the hidden layers. scale: input scaling, None: the source's own.
    slower: (option, choice, factor), the factor of the rate with that choice of an option.
    """

    rate: float = 1.0
    squared: float = 0.1
    width: float = 1.0
    activation: str = "relu"
    scale: str | None = None
    slower: tuple[tuple[str, str, float], ...] = ()


class Noise(NamedTuple):
    """Random numbers that a rule needs for every sample.

    widths(spec, hyper): how many numbers each array of the noise has.
    transform(hyper, u): the numbers, from uniform ones u in [0, 1), NumPy or torch.
    """

    widths: Callable[[NetworkSpec, Any], list[int]]
    transform: Callable[[Any, Any], Any]


SAFE = Defaults()
NO_NOISE = Noise(lambda spec, hyper: [], lambda hyper, u: u)
