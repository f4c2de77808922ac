"""`Source`, the base class of all streams of samples, and `Wrapped`, of sources over others."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from numpy.typing import NDArray

from rate_models.errors import BadOption

Array = NDArray[Any]
Chunk = tuple[Array, Array]


class Source(ABC):
    """A stream of samples that can be read again.

    name: name that opens it again from any folder, e.g. "csv:/data/FILE.csv".
    classes: the label of each output unit, in order; None for regression.
    length: training samples per epoch; None for a stream without end.

    Optional attributes:

    scale: a suitable input scaling: "none", "range", "running" or "global".
    maximum: the divisor of "range" (255 for images).
    defaults: suitable run options, e.g. {"epochs": 12}.
    power: the mean square of a raw feature, if it is known beforehand.
    n_outputs: numbers to predict, for a regression.
    reading: a line about how a file was read, if something had to be inferred.
    guess: a text with the task and the reason, if the source had to infer it.
    feature_names: names of the inputs, in order.
    image_shape: shape of a sample in pictures, e.g. (28, 28).
    class_names: names of the classes, for labels that are numbers.
    recovers: whether the accuracies before and after its drifts can be compared.
    skipped: number of bad samples left out so far.
    missing: number of missing values that are filled in an epoch.
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
    reading: str = ""
    missing: int = 0
    feature_names: tuple[str, ...] = ()
    image_shape: tuple[int, ...] | None = None
    class_names: tuple[str, ...] | None = None
    recovers: bool = True

    @property
    def power(self) -> float | None:
        """The mean square of a raw feature; None if it is not known beforehand."""
        return None

    @property
    def skipped(self) -> int:
        """Number of bad samples left out so far."""
        return 0

    @abstractmethod
    def chunks(self, epoch: int, start: int = 0, size: int = 256) -> Iterator[Chunk]:
        """Training samples from number ``start`` of the epoch on: X (m, n_features), y (m,).

        X holds the raw numbers, y labels (members of ``classes``) or, for regression, floats.
        The concatenation depends on (seed, epoch, start) alone, never on ``size``.
        """

    def test(self, size: int = 1024) -> Iterator[Chunk] | None:
        """The held-out samples; None if nothing is held out."""
        return None

    def drifts(self, samples: int) -> Sequence[int]:
        """The samples, counted from 0 over all epochs and below ``samples``, at which the stream is
        known to begin to drift."""
        return ()

    def content(self) -> str:
        """A hash of the data, if the name alone does not determine the samples; else empty."""
        return ""

    @property
    def can_drift(self) -> bool:
        """Whether `drift_now` is possible."""
        return False

    def drift_now(self, position: int) -> None:
        """Let the stream change from the next sample that is not drawn yet. ``name`` changes too,
        so that it opens the stream with this change.

        position: the number of samples that were taken so far, in all epochs.
        Raises BadOption if the source cannot drift.
        """
        raise BadOption("drift", got=f"the source {self.name}",
                        expected="a source that can drift: synthetic, drift:SOURCE")  # fmt: skip

    @property
    def outputs(self) -> int:
        """The number of output units that a network needs for it."""
        return len(self.classes) if self.classes else self.n_outputs


class Wrapped(Source):
    """A source with all attributes and samples of ``source``; subclasses change some of them."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.name, self.n_features = source.name, source.n_features
        self.classes, self.length = source.classes, source.length
        self.scale, self.maximum = source.scale, source.maximum
        self.defaults, self.n_outputs, self.guess = source.defaults, source.n_outputs, source.guess
        self.feature_names, self.class_names = source.feature_names, source.class_names
        self.image_shape = source.image_shape
        self.reading, self.missing = source.reading, source.missing
        self.recovers = source.recovers

    @property
    def power(self) -> float | None:
        """The value of the source."""
        return self._source.power

    @property
    def skipped(self) -> int:
        """The value of the source."""
        return self._source.skipped

    def drifts(self, samples: int) -> Sequence[int]:
        """Those of the source."""
        return self._source.drifts(samples)

    @property
    def can_drift(self) -> bool:
        """Whether the source can."""
        return self._source.can_drift

    def drift_now(self, position: int) -> None:
        """Let the source change."""
        self._source.drift_now(position)
        self.name = self._source.name

    def content(self) -> str:
        """The hash of the source."""
        return self._source.content()

    def chunks(self, epoch: int, start: int = 0, size: int = 256) -> Iterator[Chunk]:
        """The chunks of the source."""
        return self._source.chunks(epoch, start, size)

    def test(self, size: int = 1024) -> Iterator[Chunk] | None:
        """The held-out samples of the source."""
        return self._source.test(size)
