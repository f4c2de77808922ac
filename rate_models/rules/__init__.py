"""Learning rules, one file each; the file name is the rule's public name.

A rule says where the teaching signal and the presynaptic activity of every layer come from.
Averaging, optimisers, sparsity, noise, scheduling and recording are written once, elsewhere.
A rule file holds, in this order:

docstring         one line; the equations and every symbol; a paragraph ``Example:`` with a command
                  and the score it ends with; a paragraph ``Source:`` with the paper
`DEFAULT_LOSS`    the loss of a network when none is asked for; `LOSSES` those the rule allows
`TUNED`           options for 784-1024-10 on MNIST, five passes one sample at a time, the rate cut
                  to a tenth after three
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
`ASCENDING`       the order in which `teach` visits the layers
`teach(layer, ...)`                 kernel stage: teaching signal and update of one layer

Every function sees arrays only; random numbers are handed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple


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


class Draws(NamedTuple):
    """Random numbers of a batch: masks of the hidden layers and the rule's noise, or None."""

    masks: Sequence[Any] | None = None
    noise: Sequence[Any] | None = None


class Term(NamedTuple):
    """A part of ΔW: coefficient · post ⊗ pre, with post (batch, n_l), pre (batch, n_{l-1})."""

    post: Any
    pre: Any
    coefficient: float = 1.0


class Stage(NamedTuple):
    """One optimiser step: for every layer the terms whose sum is ΔW_l, or None if it is frozen."""

    terms: list[list[Term] | None]
