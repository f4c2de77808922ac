"""Learning rules, one file each; the file name is the rule's public name.

A rule says where the teaching signal and the presynaptic activity of every layer come from.
Averaging, optimisers, sparsity, noise, scheduling and recording are written once, elsewhere.
A rule file holds, in this order:

docstring         one line; the equations and every symbol; a paragraph ``Example:`` with a command
                  and the score it ends with; where the rule lies far below backpropagation a
                  paragraph ``Gap:`` that says why; a paragraph ``Source:`` with the paper
`DEFAULT_LOSS`    the loss of a network when none is asked for; `LOSSES` those the rule allows
`DEFAULTS`        what suits it where nothing is asked for: rate, activation, scale; see
                  `rate_models.defaults`
`Hyperparameters` NamedTuple, each field annotated with its range, with the paper's default
`State`           NamedTuple of the rule's own arrays, flat, as kernels see them; its field names
                  are names of parameters; a parameter that is a list of arrays lies in one flat
                  array, one after another
`PROPERTIES`      what the rule asks of the biology
`FIXED`           hyperparameters that shape the initial parameters: not to be changed later
`init(spec, hyper, rng)`            the rule's own parameters, {name: array or list of arrays}
`noise_widths(spec, hyper)`         how many random numbers each list entry of `noise` has
`noise_of(hyper, u)`                those numbers, from uniform ones
`input_feedback(params, hyper)`     K of `input_synapses`: the matrix (n_0, k) through which the
                                    rule adds a second pattern to the input, or None
`batch(spec, params, hyper, x, y, draws)`   textbook: a generator; yields one `Stage` per optimiser
                                    step; after each yield ``params`` holds the stepped weights
`multiply_adds(sizes)`              multiply-adds per sample in the plain form, for n_0, ..., n_L
`tasks(spec, hyper, sample)`        the work items of a sample in the order in which one worker does
                                    them, each with the arrays it reads and writes: see `Task`
`ASCENDING`       the order in which `teach` visits the layers
`teach(layer, ...)`                 kernel stage: teaching signal and update of one layer; e and
                                    δ_L are there. Layers may learn at the same time: it touches
                                    what its work item says, and scratch of its own layer

What only some rules have:

`check(spec)`     raises BadOption for a network that the rule cannot learn
`check_hyperparameters(spec, hyper)`   the same for hyperparameters that do not go together
`forward_pass(spec, params, hyper, x, masks)`   textbook: the rule's own (a, h) in place of
                  `network.forward`, for learning and predictions alike
`respond(layer, net, state, a, h, mask)`   kernel stage of the same, one layer: fills a_l and h_l,
                  given h_{l-1}, or a_1; changes nothing else. A rule has both or neither
`advise(spec, hyper, optimizer, x, y)`   a list of `Advice` about the rates, for samples like
                  x (T, n_0) as the network gets them and y (T, n_L)
`suits(spec, labels, power)`   {name: number} of options that go with the rate, and perhaps of
                  lr itself in place of `rate_models.defaults`; for inputs of mean square ``power``
`regime(hyper, sample)`   what of the sample's number its work items depend on; without it they are
                  those of the first sample
`delays(hyper)`   whether M may come after the standard passes of later samples: `teach` goes
                  through weights by `layers.current` and `layers.modulated_current` alone, and
                  changes each layer's once, by `layers.update`. Without it only where M goes
                  through none
`batches(hyper)`  whether the updates of a mini-batch may come together at its end: `teach` changes
                  each layer's weights once, by `layers.update`, and nothing else that outlives the
                  sample. Without it not
`CONVOLVES`       True where layers may be convolutions, in batches: `batch` goes through weights,
                  and feedback of their shape, by the methods of ``spec`` alone
`follows(spec, hyper)`   whether ``params`` may hold WF = W_1 F for `batch`, in batches: whoever
                  steps W_1 steps it too, see `textbook.gradients`. Without it not
`COUNTS`          names of its own arrays that count samples: the same in all networks that have
                  seen as many, whatever their seed
`LEARNED`         names of its own arrays (not lists) that the optimiser steps as it does W, by
                  what `Stage.own` says; the field ``vX`` of `State` is the velocity of X, zero
                  at the start

Every function sees arrays only; random numbers are handed in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from types import MappingProxyType, ModuleType
from typing import Any, Literal, NamedTuple

from rate_models import network
from rate_models.errors import BadOption
from rate_models.network import NetworkSpec, Parameters


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
    multiply_adds: what it costs in the plain form; over a sample they sum to the rule's.
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

    own: {name: Δ} of the arrays in `LEARNED`, summed over the samples of the batch.
    """

    terms: list[list[Term] | None]
    own: Mapping[str, Any] = MappingProxyType({})


def forward(
    rule: ModuleType,
    spec: NetworkSpec,
    params: Parameters,
    hyper: Any,
    x: Any,
    masks: Sequence[Any] | None = None,
) -> tuple[list[Any], list[Any]]:
    """(a, h) as the rule has them: its own forward pass, or `network.forward`."""
    if hasattr(rule, "forward_pass"):
        own: tuple[list[Any], list[Any]] = rule.forward_pass(spec, params, hyper, x, masks)
        return own
    return network.forward(spec, params, x, masks)


def check(rule: ModuleType, spec: NetworkSpec, hyper: Any = None) -> None:
    """BadOption where the rule cannot learn such a network, or not with such hyperparameters."""
    if spec.loss not in rule.LOSSES:
        name = rule.__name__.rpartition(".")[2]
        raise BadOption(f"loss of {name}", got=spec.loss, expected=f"{rule.LOSSES}")
    if spec.convolutional and not getattr(rule, "CONVOLVES", False):
        name = rule.__name__.rpartition(".")[2]
        raise BadOption(f"layers of {name}", got="convolutions", expected="dense layers")
    if hasattr(rule, "check"):
        rule.check(spec)
    if hyper is not None and hasattr(rule, "check_hyperparameters"):
        rule.check_hyperparameters(spec, hyper)


def nearest(rule: ModuleType, spec: NetworkSpec) -> NetworkSpec | None:
    """``spec``, or with one hidden layer, or ReLU, or without biases: the first it can learn.

    For comparisons over all rules. None where the rule can learn none of them.
    """
    shallow = (spec.sizes[0], spec.sizes[1], spec.sizes[-1]) if spec.layers > 2 else spec.sizes
    for sizes, relu, bias in product((spec.sizes, shallow), (False, True), (spec.bias, False)):
        activation = "relu" if relu else spec.activation[: len(sizes) - 2]
        near = replace(spec, sizes=sizes, activation=activation, bias=bias)
        try:
            check(rule, near)
        except BadOption:
            continue
        return near
    return None
