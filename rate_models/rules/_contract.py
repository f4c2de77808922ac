"""The declaration of a rule: `Description`, and `Rule`, which adds how it learns."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import Any, NoReturn, Self

import numpy as np
from numpy.typing import NDArray

from rate_models.errors import BadOption
from rate_models.kernels.layers import Work
from rate_models.model.hyperparameters import fixed
from rate_models.model.optimizers import Optimizer
from rate_models.network import NetworkSpec, Parameters
from rate_models.rules import _kernel_params, _plain
from rate_models.rules._own import Own
from rate_models.rules._records import (
    NO_NOISE,
    SAFE,
    Defaults,
    Draws,
    Noise,
    Properties,
    RateWarning,
    Task,
)
from rate_models.support import lookup, own_files

Array = NDArray[Any]
Activity = tuple[list[Any], list[Any]]  # (a, h) of layers 0..L, (batch, n_l) each


def _nothing(*_: Any) -> None:
    """None: no matrix, or no objection."""


def _never(hyper: Any) -> bool:
    return False


def _no_kernel(*_: Any) -> NoReturn:
    """Stands for `teach` and `tasks` of a rule that has only `batch`."""
    got, expected = "a rule with only its textbook form, `batch`", "teach and tasks as well"
    raise BadOption("kernel", got=got, expected=expected)


@dataclass(frozen=True, eq=False)
class Description:
    """A learning method without its implementation: the base class of `Rule`.

    A circuit that follows no rule of `rate_models` has a `Description` alone. The required fields
    are documented in `Rule`. The optional fields are

    hyperparameters: a NamedTuple; by default dropout and the distribution of W. Each field is
    annotated with its range, and with `FIXED` where it determines the initial parameters; its
    default is that of the paper.
    own: the rule's own arrays beside W and b, see `Own`.
    init(spec, hyper, rng): {name: array or list} of W, and of own arrays, whose initial values
    differ from those of the network and of `Own`; the others are drawn after these.
    noise: random numbers for every sample.
    forward_pass(spec, params, hyper, x, masks): textbook: returns (a, h), for learning and for
    predictions, in place of `network.forward`.
    check(spec): raises BadOption for a network that the rule cannot learn.
    check_hyperparameters(spec, hyper): raises BadOption for hyperparameters that are not allowed
    together.
    defaults: default rate, activation and scale, see `rate_models.defaults`.
    suits(spec, labels, power): {name: number} of options that depend on the network; may include lr
    in place of `rate_models.defaults`. power: mean square of the input.
    rate_warnings(spec, hyper, optimizer, x, y): warnings (`RateWarning`) about the rates, for
    samples like x (T, n_0), as the network receives them, and y (T, n_L).
    """

    module: str
    _: KW_ONLY
    losses: tuple[str, ...]
    properties: Properties
    hyperparameters: type[Any] = _plain.Hyperparameters
    own: tuple[Own, ...] = ()
    init: Callable[[NetworkSpec, Any, np.random.Generator], Parameters] | None = None
    noise: Noise = NO_NOISE
    forward_pass: Callable[[NetworkSpec, Parameters, Any, Any, Any], Activity] | None = None
    check: Callable[[NetworkSpec], None] = _nothing
    check_hyperparameters: Callable[[NetworkSpec, Any], None] = _nothing
    defaults: Defaults = SAFE
    suits: Callable[[NetworkSpec, bool, float], dict[str, float]] | None = None
    rate_warnings: Callable[[NetworkSpec, Any, Optimizer, Any, Any], list[RateWarning]] | None = (
        None
    )

    def __post_init__(self) -> None:
        own_files.note(self.module)

    def __reduce__(self) -> tuple[Any, ...]:
        place = own_files.location(self.module, f"copy of rule {self.name}")
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
        """The text that identifies it in runs and checkpoints.

        It is the name, or path and digest of the user's own file. Raises BadOption where that
        would load another rule: this one was changed, or typed at a prompt.
        """
        text = lookup.reference(RULES, self.module, f"rule {self.name}")
        self._check_file(own_files.location(self.module, f"rule {self.name}"))
        return text

    def _check_file(self, place: str) -> None:
        if _stated_in(place) is not self:
            got, expected = "a changed one", "the RULE of its file, as it is"
            raise BadOption(f"copy of rule {self.name}", got=got, expected=expected)

    @property
    def loss(self) -> str:
        """The default loss of a network."""
        return self.losses[0]

    def named(self, changes: str) -> tuple[str, ...]:
        """The names of the own arrays with this value of `Own.changes`."""
        return tuple(one.name for one in self.own if one.changes == changes)

    @property
    def fixed(self) -> tuple[str, ...]:
        """Hyperparameters that determine the initial parameters: not to be changed later."""
        return fixed(self.hyperparameters)


def _stated_in(place: str) -> Any:
    """The `RULE` of a file."""
    return vars(own_files.at(place, "rule")).get("RULE")


@dataclass(frozen=True, eq=False)
class Rule(Description):
    """A learning rule: where the teaching signal and the presynaptic activity of a layer come from.

    Averaging, optimisers, sparsity, noise, scheduling and recording are written once, outside the
    rules. A rule's file ends in ``RULE = Rule(__name__, ...)``. Every function works on arrays
    alone; random numbers are arguments. The required fields are

    module: ``__name__`` of the file; its last part is the name of the rule. The file's docstring
    has a summary line, the equations with every symbol, and a paragraph ``Source:`` with the paper.
    Our own rules also have a paragraph ``Example:`` with a command and its final score. A rule that
    is far below backpropagation has a paragraph ``Gap:`` with the reason.
    losses: the losses that the rule allows; the first is the default.
    properties: what the rule requires of the biology, see `Properties`.
    batch(spec, params, hyper, x, y, draws): textbook: a generator that yields one `Update` per
    optimiser step. After each yield ``params`` holds the weights after that step.

    A rule with `batch` alone learns in batches, and slowly online. The fast online kernel needs

    teach(layer, net, syn, params, hyper, step, work, mask, noise): kernel stage: teaching signal
    and update of one layer. e and δ_L are in ``work``, the own arrays are fields of ``params``.
    Layers may learn in parallel: `teach` accesses only the arrays of its work item, and scratch
    arrays of its own layer.
    tasks(spec, hyper, sample): the work items of a sample, in the order in which a single worker
    executes them, each with the arrays that it reads and writes, see `Task`.

    The optional fields, beside those of `Description`, are

    respond(layer, net, params, a, h, mask): kernel stage of ``forward_pass`` for one layer: fills
    a_l and h_l, given h_{l-1}, or given a_1 for the first layer; changes nothing else. A rule has
    both `respond` and `forward_pass`, or neither.
    input_feedback(params, hyper): K of `input_synapses`: the matrix (n_0, k) through which the
    rule adds a second pattern to the input, or None.
    regime(hyper, sample): a value that determines the work items of a sample; without it all
    samples have those of the first.
    delays(hyper): whether M may come after the standard passes of later samples. This requires
    that `teach` goes through weights only by `layers.current` and `layers.modulated_current`, and
    changes the weights of each layer once, by `updates.update`. Without it, only an M that goes
    through no weights may be delayed.
    batches(hyper): whether the updates of a mini-batch may be applied together at its end. This
    requires that `teach` changes the weights of each layer once, by `updates.update`, and nothing
    else that outlives the sample.
    shares_rows: whether `teach` takes hidden layers by `updates.pass_and_update`, so that several
    threads may share their rows.
    convolves: whether layers may be convolutions, in batches. This requires that `batch` goes
    through weights, and through feedback of their shape, only by the methods of ``spec``.
    activities: (standard name, field of `kernels.layers.Work`) of the activities of a layer in the
    last sample, which the live page shows.
    follows(spec, hyper): whether ``params`` may hold WF = W_1 F for `batch`, in batches. The code
    that steps W_1 then steps WF too, see `textbook.gradients`.
    """

    batch: Callable[[NetworkSpec, Parameters, Any, Any, Any, Draws], Any]
    teach: Callable[..., None] = _no_kernel
    tasks: Callable[[NetworkSpec, Any, int], list[Task]] = _no_kernel
    respond: Callable[..., None] | None = None
    input_feedback: Callable[[Parameters, Any], Array | None] = _nothing
    regime: Callable[[Any, int], Hashable] | None = None
    delays: Callable[[Any], bool] = _never
    batches: Callable[[Any], bool] = _never
    shares_rows: bool = False
    convolves: bool = False
    activities: tuple[tuple[str, str], ...] = (("soma", "h"), ("teaching signal", "delta"))
    follows: Callable[[NetworkSpec, Any], bool] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if odd := [name for _, name in self.activities if name not in Work._fields]:
            expected = f"fields of Work: {', '.join(Work._fields)}"
            raise BadOption(f"activities of rule {self.name}", got=odd[0], expected=expected)
        if (self.teach is _no_kernel) is not (self.tasks is _no_kernel):
            got = "no tasks" if self.tasks is _no_kernel else "no teach"
            raise BadOption(f"rule {self.name}", got=got, expected="teach and tasks, or neither")
        if self.compiled and (self.forward_pass is None) is not (self.respond is None):
            got = "respond alone" if self.forward_pass is None else "forward_pass alone"
            raise BadOption(f"rule {self.name}", got=got, expected="both, or neither")

    @property
    def compiled(self) -> bool:
        """Whether the rule has a kernel as well as `batch`."""
        return self.teach is not _no_kernel

    @cached_property
    def kernel_params(self) -> type[Any]:
        """The named tuple that holds the own arrays in kernels, see `Own.fields`."""
        return _kernel_params.of([name for own in self.own for name in own.fields])

    def multiply_adds(self, sizes: Sequence[int]) -> int:
        """Multiply-adds per sample in the plain form, with the defaults, for sizes n_0, ..., n_L.

        Raises BadOption for a network that the rule cannot learn.
        """
        spec = NetworkSpec(tuple(sizes), loss=self.loss)
        self.check(spec)
        return sum(task.multiply_adds for task in self.tasks(spec, self.hyperparameters(), 0))

    @cached_property
    def ascending(self) -> bool:
        """Whether the kernel teaches the first layer first, in the order of `tasks`."""
        tasks = self.tasks(NetworkSpec((1, 1, 1), loss=self.loss), self.hyperparameters(), 0)
        return next(task.layer for task in tasks if task.kind == "M") == 1


RULES = lookup.Kind(
    "rule", "rate_models.rules", "RULE", Rule, "RULE = Rule(__name__, ...) at its end"
)
