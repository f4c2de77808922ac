"""Sources that replace the targets of another source by numbers, for a regression."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np

from rate_models.errors import BadOption
from streaming.samples.source import Chunk, Source, Wrapped


class Retargeted(Wrapped):
    """``source`` as a regression on the targets that `targets` gives."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.classes, self.class_names, self.guess, self.n_outputs = None, None, "", 1
        self.feature_names = ()

    @abstractmethod
    def targets(self, X: Any, y: Any) -> Any:
        """The new targets of samples X, y of the source."""

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
