"""A source whose samples pass through signal steps before they are learned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from streaming.samples.cutting import cut
from streaming.samples.source import Chunk, Source, Wrapped
from streaming.signals import Steps

AT_A_TIME = 256


class Stepped(Wrapped):
    """The samples of ``source`` after the steps ``texts``; see `streaming.signals`.

    The steps begin anew in every epoch, and for the held-out samples. A stream that starts later is
    computed from the beginning of its epoch. The length is not known if a step gives fewer samples.
    Raises UnknownName and BadOption for invalid steps.
    """

    def __init__(self, source: Source, texts: Sequence[str]) -> None:
        super().__init__(source)
        self._texts, steps = tuple(texts), Steps(texts, source.n_features, None)
        self._n_raw, self.n_features = source.n_features, steps.n_outputs
        self.scale, self.maximum = "running", 1.0
        self.defaults = {k: v for k, v in source.defaults.items() if k != "lr"}
        self.image_shape, self.feature_names = None, ()
        if source.length is not None:
            self.length = sum(len(y) for _, y in self.chunks(0)) or source.length

    @property
    def power(self) -> float | None:
        """Not known beforehand."""
        return None

    def chunks(self, epoch: int, start: int = 0, size: int = 256) -> Iterator[Chunk]:
        """The samples of an epoch after the steps."""
        return cut(self._stepped(self._source.chunks(epoch, 0, AT_A_TIME)), start, size)

    def test(self, size: int = 1024) -> Iterator[Chunk] | None:
        """The held-out samples after the steps."""
        chunks = self._source.test(AT_A_TIME)
        return None if chunks is None else cut(self._stepped(chunks), 0, size)

    def drifts(self, samples: int) -> Sequence[int]:
        """Not known, as the steps may merge samples."""
        return ()

    def _stepped(self, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
        steps = Steps(self._texts, self._n_raw, None)
        for raw, labels in chunks:
            X, at = steps(np.asarray(raw, np.float64))
            yield X, np.asarray(labels)[at]
