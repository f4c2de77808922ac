"""Signal steps between a source and the learner: one file per step, named as the step.

``--signal standardise --signal window:50,hop=10`` applies both, in this order, to the samples as
they arrive. A step may give fewer samples than it takes (windows, decimation); the label of a
sample that it gives is that of the last sample taken. What a step carries on is its state, a part
of the checkpoint. Results do not depend on how the stream is cut into chunks.

The file of a step ends in ``STEP = StepFile(__name__, open=...)``, where ``open`` returns a `Step`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rate_models.errors import BadOption, quoted
from rate_models.support import bounds, lookup, own_files

Array = NDArray[Any]
Floats = NDArray[np.float64]


class Given(NamedTuple):
    """Samples that a step gives: X (m, n_outputs), and at (m,): for each the index of the last of
    the samples taken that it is made of."""

    X: Floats
    at: NDArray[np.int64]


class Step(ABC):
    """A step on a stream of samples. n_outputs: numbers per sample that it gives."""

    n_outputs: int
    rate: float | None = None  # samples per second that it gives, if that of the source is known

    @abstractmethod
    def __call__(self, X: Floats) -> Given:
        """Take the next samples X (n, n_inputs) of the stream."""

    @abstractmethod
    def state(self) -> dict[str, Array]:
        """The arrays that it carries on, of fixed shapes; they may be the arrays themselves."""

    def load_state(self, arrays: Mapping[str, Array]) -> None:
        """Restore what `state` returned.

        Raises BadOption for arrays of other names or shapes, or impossible numbers.
        """
        own = self.state()
        if arrays.keys() != own.keys():
            raise BadOption("signal state", got=sorted(arrays), expected=f"{sorted(own)}")
        fit = bounds.fitting({name: np.array(array) for name, array in arrays.items()}, own)
        bounds.check(fit, {n: (0, bounds.MOST) for n, a in fit.items() if a.dtype.kind in "iu"})
        if odd := bounds.finite(fit):
            raise BadOption(f"signal state {odd}", got="NaN or infinite numbers")
        for name, array in fit.items():
            own[name][...] = array


@dataclass(frozen=True)
class StepFile:
    """The entry point of a step's file: ``STEP = StepFile(__name__, open=open)``.

    open(arguments, n_inputs, rate): returns the step; see `Arguments`. rate: samples per second
    that it takes, None if that is not known. Raises BadOption.
    """

    module: str
    open: Callable[[Arguments, int, float | None], Step]


KIND = lookup.Kind(
    "signal", "streaming.signals", "STEP", StepFile, "STEP = StepFile(__name__, open=...)"
)


class Arguments:
    """The arguments of a step, from a text such as ``window:50,hop=10``.

    >>> given = Arguments("window:50,hop=10")
    >>> given.whole("length", None, least=1), given.whole("hop", 1, least=1)
    (50, 10)
    >>> given.all_used("length")
    """

    def __init__(self, text: str) -> None:
        self.name, rest = own_files.split(text)
        self._text, self._values, self._used = text, dict[str, str](), set[str]()
        for i, item in enumerate(rest.split(",") if rest else ()):
            key, equals, value = item.partition("=")
            if not equals and i:
                raise self.bad(quoted(item), "KEY=VALUE")
            key, value = (key.strip(), value.strip()) if equals else ("", item.strip())
            if key in self._values:
                raise self.bad(f"{key} twice", "each once")
            self._values[key] = value

    def text(self, key: str, default: str | None) -> str:
        """The value of a key; the first argument needs no key. None as default: it is required."""
        first = "" if not self._used and "" in self._values else key
        value = self._values.get(key, self._values.get(first, default))
        self._used |= {first if key not in self._values else key}
        if value is None:
            raise self.bad(f"no {key}", f"{self.name}:{key}=...")
        return value

    def whole(self, key: str, default: int | None, least: int) -> int:
        """A whole number of at least ``least``."""
        value = self.number(key, default, least)
        if not float(value).is_integer():
            raise self.bad(f"{key}={value}", "a whole number")
        return int(value)

    def number(self, key: str, default: float | None, least: float) -> float:
        """A number of at least ``least``, at most a million."""
        text = self.text(key, None if default is None else str(default))
        try:
            value = float(text)
        except ValueError:
            value = np.nan
        if not least <= value <= 1e6:
            raise self.bad(f"{key}={text}", f"a number of at least {least:g}, at most 1e6")
        return value

    def all_used(self, first: str) -> None:
        """Raise BadOption if an argument was given that nothing asked for."""
        if odd := [key for key in self._values if key and key not in self._used]:
            known = ", ".join(sorted(key for key in self._used if key))
            raise self.bad(odd[0], f"{first or 'nothing'}, {known}" if known else first)

    def bad(self, got: str, expected: str) -> BadOption:
        """The error for an argument."""
        return BadOption(f"--signal {self._text}", got=got, expected=expected)


def references(texts: Iterable[str]) -> tuple[str, ...]:
    """The texts of ``--signal`` for another process: files of one's own by path and digest."""
    found = []
    for text in texts:
        name, argument = own_files.split(text)
        name = lookup.reference(KIND, lookup.get(KIND, name).module, f"signal {name}")
        found.append(name if argument is None else f"{name}:{argument}")
    return tuple(found)


class Steps:
    """Several steps in a row, from the texts of ``--signal``. Empty: it gives what it takes.

    rate: samples per second of the source, None if that is not known.
    Raises UnknownName and BadOption.

    >>> steps = Steps(["window:2"], 1, None)
    >>> X, at = steps(np.array([[1.0], [2.0], [3.0]]))
    >>> X.tolist(), at.tolist()
    ([[1.0, 2.0], [2.0, 3.0]], [1, 2])
    """

    def __init__(self, texts: Iterable[str], n_inputs: int, rate: float | None) -> None:
        self._steps = list[Step]()
        self.n_outputs = n_inputs
        for text in texts:
            file = lookup.get(KIND, own_files.split(text)[0])
            step = file.open(Arguments(text), self.n_outputs, rate)
            self._steps.append(step)
            self.n_outputs, rate = step.n_outputs, step.rate

    def __bool__(self) -> bool:
        return bool(self._steps)

    def __call__(self, X: Floats) -> Given:
        """Take the next samples X (n, n_inputs)."""
        at = np.arange(len(X))
        for step in self._steps:
            X, some = step(X)
            at = at[some]
        return Given(X, at)

    def state(self) -> dict[str, Array]:
        """Copies of the states of all steps, for a checkpoint."""
        return {
            f"{i}.{name}": np.array(array)
            for i, step in enumerate(self._steps)
            for name, array in step.state().items()
        }

    def load_state(self, arrays: Mapping[str, Array]) -> None:
        """Restore what `state` returned. Raises BadOption for an invalid state."""
        for i, step in enumerate(self._steps):
            own = f"{i}."
            step.load_state(
                {k.removeprefix(own): a for k, a in arrays.items() if k.startswith(own)}
            )
