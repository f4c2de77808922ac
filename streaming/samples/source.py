"""What every stream of samples has: the base of all sources."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
Chunk = tuple[Array, Array]


class Source(ABC):
    """A stream of samples that can be read again.

    name: what opens it again from any folder, e.g. "csv:/data/FILE.csv".
    classes: the label of each output unit, in order; None for regression.
    length: training samples per epoch; None where the stream has no end.

    What only some have:

    scale: the input scaling that suits it: "none", "range", "running" or "global".
    maximum: what "range" divides by (255 for images).
    defaults: run options that suit it, e.g. {"epochs": 12}.
    power: the mean square of a raw feature, where it is known beforehand.
    n_outputs: numbers to predict, in a regression.
    guess: of a source that had to guess its task, a text that gives task and reason.
    feature_names: of the inputs, in order.
    image_shape: how to draw a sample, e.g. (28, 28).
    class_names: what classes are called where the labels are numbers.
    skipped: bad samples that were left out so far.
    """

    name: str
    n_features: int
    classes: tuple[Any, ...] | None
    length: int | None
    scale: str = "running"
    maximum: float = 1.0
    defaults: Mapping[str, Any] = MappingProxyType({})
    n_outputs: int = 1
    guess: str = ""
    feature_names: tuple[str, ...] = ()
    image_shape: tuple[int, ...] | None = None
    class_names: tuple[str, ...] | None = None

    @property
    def power(self) -> float | None:
        """The mean square of a raw feature; None where it is not known beforehand."""
        return None

    @property
    def skipped(self) -> int:
        """Bad samples that were left out so far."""
        return 0

    @abstractmethod
    def chunks(self, epoch: int, start: int = 0, size: int = 256) -> Iterator[Chunk]:
        """Training samples from number ``start`` of the epoch on: X (m, n_features), y (m,).

        X holds the raw numbers, y labels (members of ``classes``) or, for regression, floats.
        The concatenation depends on (seed, epoch, start) alone, never on ``size``.
        """

    def test(self, size: int = 1024) -> Iterator[Chunk] | None:
        """The held-out samples; None where nothing is held out."""
        return None

    def content(self) -> str:
        """A hash of the data, where the name alone does not decide what is streamed; else empty."""
        return ""

    @property
    def outputs(self) -> int:
        """How many output units a network needs for it."""
        return len(self.classes) if self.classes else self.n_outputs


class Wrapped(Source):
    """``source`` as it is; what builds on it changes a part of it."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.name, self.n_features = source.name, source.n_features
        self.classes, self.length = source.classes, source.length
        self.scale, self.maximum = source.scale, source.maximum
        self.defaults, self.n_outputs, self.guess = source.defaults, source.n_outputs, source.guess
        self.feature_names, self.class_names = source.feature_names, source.class_names
        self.image_shape = source.image_shape

    @property
    def power(self) -> float | None:
        """Of the source."""
        return self._source.power

    @property
    def skipped(self) -> int:
        """Of the source."""
        return self._source.skipped

    def content(self) -> str:
        """Of the source."""
        return self._source.content()

    def chunks(self, epoch: int, start: int = 0, size: int = 256) -> Iterator[Chunk]:
        """The source's."""
        return self._source.chunks(epoch, start, size)

    def test(self, size: int = 1024) -> Iterator[Chunk] | None:
        """The source's."""
        return self._source.test(size)
