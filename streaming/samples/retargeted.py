"""Sources that replace the targets of another source by numbers, for a regression."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from rate_models.errors import BadOption
from streaming.sources import Chunk, Source


class Retargeted(ABC):
    """``source`` as a regression on the targets that `targets` gives."""

    classes: tuple[Any, ...] | None = None
    guess = ""
    n_outputs = 1

    def __init__(self, source: Source) -> None:
        self._source = source
        self.name, self.scale, self.maximum = source.name, source.scale, source.maximum
        self.n_features, self.length = source.n_features, source.length
        self.image_shape = getattr(source, "image_shape", None)
        self.power = getattr(source, "power", None)  # where it is known beforehand
        self.defaults: Mapping[str, Any] = source.defaults

    @abstractmethod
    def targets(self, X: Any, y: Any) -> Any:
        """The new targets of samples X, y of the source."""

    @property
    def skipped(self) -> int:
        """How many bad samples the source has skipped."""
        return int(getattr(self._source, "skipped", 0))

    def content(self) -> str:
        """The hash of the source, see `streaming.sources.content`."""
        own = getattr(self._source, "content", None)
        return str(own()) if own else ""

    def chunks(self, epoch: int, start: int = 0, size: int = 256) -> Iterator[Chunk]:
        """The chunks of the source with the new targets."""
        return ((X, self.targets(X, y)) for X, y in self._source.chunks(epoch, start, size))

    def test(self, size: int = 1024) -> Iterator[Chunk] | None:
        """The held-out samples with the new targets; None if nothing is held out."""
        chunks = self._source.test(size)
        return None if chunks is None else ((X, self.targets(X, y)) for X, y in chunks)


class NumberTarget(Retargeted):
    """A source whose classes are numbers, which are predicted as numbers.

    Raises BadOption if the classes are texts.
    """

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        if odd := [c for c in source.classes or () if not isinstance(c, int | float)]:
            raise BadOption(
                "--task", got=f"regression, but {source.name} has the class {odd[0]!r}",
                expected="numbers to predict", remedy="leave --task out",
            )  # fmt: skip

    def targets(self, X: Any, y: Any) -> Any:
        return np.asarray(y, np.float64)
