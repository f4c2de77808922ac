"""What a rule's file states: `Rule`, and the records that its functions take and give."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, NoReturn, Self

import numpy as np
from numpy.typing import NDArray

from rate_models.errors import BadOption
from rate_models.model.hyperparameters import fixed
from rate_models.model.optimizers import Optimizer
from rate_models.network import NetworkSpec, Parameters
from rate_models.rules import _plain, _state
from rate_models.support import lookup, own_files

Array = NDArray[Any]
Activity = tuple[list[Any], list[Any]]  # (a, h) of layers 0..L, (batch, n_l) each


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


def _nothing(*_: Any) -> None:
    """No matrix; nothing to object to."""


def _none(*_: Any) -> Parameters:
    """No parameters beside W and b."""
    return {}


def _never(hyper: Any) -> bool:
    return False


def _no_kernel(*_: Any) -> NoReturn:
    """In place of `teach` and `tasks` of a rule that has `batch` alone."""
    got, expected = "a rule that has its textbook form, `batch`, alone", "teach and tasks as well"
    raise BadOption("kernel", got=got, expected=expected)


Ends = tuple[int, int]  # the layers below and above that a feedback matrix joins; 0: the input


class Own(NamedTuple):
    """An array of the rule's own beside W and b, or a list of arrays; drawn by the rule's ``init``.

    name: of the parameter, in checkpoints and on torch too. In kernels it lies flat, row by row,
    a list one array after another; empty where ``init`` has none of that name.
    changes: fixed: never. learned: by the rule itself. stepped: by the optimiser as W is, by what
    `Stage.own` has; the kernel's velocity of X is ``vX``, zero at the start. counts: the rule
    counts samples with it, alike in all networks that have seen as many, whatever their seed.
    joins(layers, hyper): of feedback, the layers that it joins, of a list those of each.
    forward: whether feedback has the shape of forward weights, (n_above, n_below).
    """

    name: str
    changes: Literal["fixed", "learned", "stepped", "counts"] = "fixed"
    joins: Callable[[int, Any], Ends | list[Ends]] | None = None
    forward: bool = False


@dataclass(frozen=True, eq=False)
class Description:
    """What is stated of a way to learn, whatever carries it out: the first half of a `Rule`.

    A circuit that follows no rule of `rate_models` describes itself so.

    module: ``__name__`` of the file; its last part is the name of the rule. The file's docstring
    has one line; the equations and every symbol; a paragraph ``Source:`` with the paper. Of our own
    rules also a paragraph ``Example:`` with a command and the score it ends with, and where the
    rule lies far below backpropagation a paragraph ``Gap:`` that says why.
    losses: those the rule allows; the first is the loss of a network when none is asked for.
    properties: what the rule asks of the biology.

    What only some have:

    hyperparameters: a NamedTuple; without it dropout and the distribution of W. Each field is
    annotated with its range, and with `FIXED` where it shapes the initial parameters; its default
    is the paper's.
    init(spec, hyper, rng): the rule's own parameters, {name: array or list of arrays}.
    noise: random numbers for every sample.
    forward_pass(spec, params, hyper, x, masks): textbook: the (a, h) of the rule in place of
    `network.forward`, for learning and predictions alike.
    check(spec): raises BadOption for a network that the rule cannot learn.
    check_hyperparameters(spec, hyper): the same for hyperparameters that do not go together.
    defaults: rate, activation and scale that suit the rule, see `rate_models.defaults`.
    suits(spec, labels, power): {name: number} of options that go with the rate, and perhaps of
    lr itself in place of `rate_models.defaults`; for inputs of mean square ``power``.
    advise(spec, hyper, optimizer, x, y): a list of `Advice` about the rates, for samples like
    x (T, n_0) as the network gets them and y (T, n_L).
    """

    module: str
    _: KW_ONLY
    losses: tuple[str, ...]
    properties: Properties
    hyperparameters: type[Any] = _plain.Hyperparameters
    init: Callable[[NetworkSpec, Any, np.random.Generator], Parameters] = _none
    noise: Noise = NO_NOISE
    forward_pass: Callable[[NetworkSpec, Parameters, Any, Any, Any], Activity] | None = None
    check: Callable[[NetworkSpec], None] = _nothing
    check_hyperparameters: Callable[[NetworkSpec, Any], None] = _nothing
    defaults: Defaults = SAFE
    suits: Callable[[NetworkSpec, bool, float], dict[str, float]] | None = None
    advise: Callable[[NetworkSpec, Any, Optimizer, Any, Any], list[Advice]] | None = None

    def __post_init__(self) -> None:
        own_files.note(self.module)

    def __reduce__(self) -> tuple[Any, ...]:
        place = own_files.place(self.module, f"copy of rule {self.name}")
        self._check_file(place)
        return _stated_in, (place,)

    def __deepcopy__(self, _: Any) -> Self:
        return self

    @property
    def name(self) -> str:
        """The public name: that of the file."""
        return self.module.rpartition(".")[2]

    @property
    def reference(self) -> str:
        """What runs and checkpoints name it by: its name, or path and digest of a file of one's
        own.

        Raises BadOption where that would be another one: it was changed, or typed at a prompt.
        """
        found = lookup.reference(RULES, self.module, f"rule {self.name}")
        self._check_file(own_files.place(self.module, f"rule {self.name}"))
        return found

    def _check_file(self, place: str) -> None:
        if _stated_in(place) is not self:
            got, expected = "a changed one", "the RULE of its file, as it is"
            raise BadOption(f"copy of rule {self.name}", got=got, expected=expected)

    @property
    def loss(self) -> str:
        """The loss of a network when none is asked for."""
        return self.losses[0]

    @property
    def fixed(self) -> tuple[str, ...]:
        """Hyperparameters that shape the initial parameters: not to be changed later."""
        return fixed(self.hyperparameters)


def _stated_in(place: str) -> Any:
    """The `RULE` of a file."""
    return vars(own_files.at(place, "rule")).get("RULE")


@dataclass(frozen=True, eq=False)
class Rule(Description):
    """A learning rule: where the teaching signal and the presynaptic activity of a layer come from.

    Averaging, optimisers, sparsity, noise, scheduling and recording are written once, elsewhere. A
    rule's file ends in ``RULE = Rule(__name__, ...)``. Required are, of `Description`, its
    docstring, losses and properties, and

    batch(spec, params, hyper, x, y, draws): textbook: a generator; yields one `Stage` per
    optimiser step; after each yield ``params`` holds the stepped weights.

    With `batch` alone a rule learns in batches, and online slowly; its kernel are

    teach(layer, net, syn, state, hyper, step, work, mask, noise): kernel stage: teaching signal
    and update of one layer; e and δ_L are there. Layers may learn at the same time: it touches
    what its work item names, and scratch of its own layer.
    tasks(spec, hyper, sample): the work items of a sample in the order in which one worker does
    them, each with the arrays that it reads and writes, see `Task`.

    Every function sees arrays only; random numbers are handed in. What only some rules have:

    own: the rule's own arrays, see `Own`; `teach` finds them as fields of ``state``.
    respond(layer, net, state, a, h, mask): kernel stage of ``forward_pass``, one layer: fills a_l
    and h_l, given h_{l-1}, or a_1; changes nothing else. A rule has both or neither.
    input_feedback(params, hyper): K of `input_synapses`: the matrix (n_0, k) through which the
    rule adds a second pattern to the input, or None.
    regime(hyper, sample): what of the sample's number its work items depend on; without it they
    are those of the first sample.
    delays(hyper): whether M may come after the standard passes of later samples: `teach` goes
    through weights by `layers.current` and `layers.modulated_current` alone, and changes each
    layer's once, by `layers.update`. Else only where M goes through none.
    batches(hyper): whether the updates of a mini-batch may come together at its end: `teach`
    changes each layer's weights once, by `layers.update`, and nothing else that outlives the
    sample.
    convolves: whether layers may be convolutions, in batches: `batch` goes through weights, and
    feedback of their shape, by the methods of ``spec`` alone.
    follows(spec, hyper): whether ``params`` may hold WF = W_1 F for `batch`, in batches: whoever
    steps W_1 steps it too, see `textbook.gradients`.
    """

    batch: Callable[[NetworkSpec, Parameters, Any, Any, Any, Draws], Any]
    teach: Callable[..., None] = _no_kernel
    tasks: Callable[[NetworkSpec, Any, int], list[Task]] = _no_kernel
    own: tuple[Own, ...] = ()
    respond: Callable[..., None] | None = None
    input_feedback: Callable[[Parameters, Any], Array | None] = _nothing
    regime: Callable[[Any, int], Hashable] | None = None
    delays: Callable[[Any], bool] = _never
    batches: Callable[[Any], bool] = _never
    convolves: bool = False
    follows: Callable[[NetworkSpec, Any], bool] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.teach is _no_kernel) is not (self.tasks is _no_kernel):
            got = "no tasks" if self.tasks is _no_kernel else "no teach"
            raise BadOption(f"rule {self.name}", got=got, expected="teach and tasks, or neither")
        if self.compiled and (self.forward_pass is None) is not (self.respond is None):
            got = "respond alone" if self.forward_pass is None else "forward_pass alone"
            raise BadOption(f"rule {self.name}", got=got, expected="both, or neither")

    @property
    def compiled(self) -> bool:
        """Whether it has a kernel, not `batch` alone."""
        return self.teach is not _no_kernel

    def named(self, changes: str) -> tuple[str, ...]:
        """The names of the own arrays that change so, see `Own`."""
        return tuple(one.name for one in self.own if one.changes == changes)

    @cached_property
    def state(self) -> type[Any]:
        """The named tuple of the own arrays, and of velocities, that kernels take."""
        velocities = [f"v{name}" for name in self.named("stepped")]
        return _state.of([*(one.name for one in self.own), *velocities])

    def multiply_adds(self, sizes: Sequence[int]) -> int:
        """Per sample in the plain form, with the defaults, for sizes n_0, ..., n_L.

        Raises BadOption for a network that the rule cannot learn.
        """
        spec = NetworkSpec(tuple(sizes), loss=self.loss)
        self.check(spec)
        return sum(task.multiply_adds for task in self.tasks(spec, self.hyperparameters(), 0))

    @cached_property
    def ascending(self) -> bool:
        """Whether the kernel teaches the first layer first, as one worker does by `tasks`."""
        tasks = self.tasks(NetworkSpec((1, 1, 1), loss=self.loss), self.hyperparameters(), 0)
        return next(task.layer for task in tasks if task.kind == "M") == 1


RULES = lookup.Kind(
    "rule", "rate_models.rules", "RULE", Rule, "RULE = Rule(__name__, ...) at its end"
)
