"""Samples and labels as they arrive from a live source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
Key = str | int


class Batch(NamedTuple):
    """Samples in the order of their arrival.

    X (n, n_features). y (n,): class indices, -1 where the label is not known; for a regression
    numbers, NaN where the target is not known. arrived (n,): `time.perf_counter_ns` at arrival.
    time (n,): seconds of the source's own clock, NaN without one. mark (n,): the position in the
    source after each sample, e.g. a sequence number or a file offset. origin: what positions refer
    to, e.g. the number of a file. upto: the position after the batch. keys: of the samples, to
    which late labels refer; None if none has a key.

    malformed, dropped, missed: messages before the first sample that were refused, dropped by the
    queue, or never received although the source numbered them.
    """

    X: Floats
    y: NDArray[Any]
    arrived: Whole
    time: Floats
    mark: Whole
    upto: int
    origin: int = 0
    keys: tuple[Key | None, ...] | None = None
    malformed: int = 0
    dropped: int = 0
    missed: int = 0

    @property
    def n(self) -> int:
        """The number of samples."""
        return len(self.arrived)

    @property
    def known(self) -> NDArray[np.bool_]:
        """Whether the label of each sample is known, (n,)."""
        known: NDArray[np.bool_] = ~np.isnan(self.y) if self.y.dtype.kind == "f" else self.y >= 0
        return known

    def rows(self, part: slice | NDArray[Any]) -> Batch:
        """Some of the samples, with the counts of the whole batch."""
        keys = self.keys
        if keys is not None and isinstance(part, slice):
            keys = keys[part]
        elif keys is not None:
            keys = tuple(keys[i] for i in np.arange(self.n)[part])
        return self._replace(
            X=self.X[part], y=self.y[part], arrived=self.arrived[part], time=self.time[part],
            mark=self.mark[part], keys=keys,
        )  # fmt: skip

    def cut(self, n: int) -> tuple[Batch, Batch]:
        """The first n samples, with all counts, and the others."""
        head, tail = self.rows(slice(n)), self.rows(slice(n, None))
        head = head._replace(upto=int(head.mark[-1]) if n else self.upto)
        return head, tail._replace(malformed=0, dropped=0, missed=0)


class LateLabel(NamedTuple):
    """A label that came without its sample.

    y: a class index, or a number to predict. key: the key of its sample, or None. time: seconds of
    the source's clock, NaN without one. arrived: `time.perf_counter_ns` at arrival.
    """

    y: float
    key: Key | None
    time: float
    arrived: int


def joined(parts: Sequence[Batch]) -> Batch:
    """One batch of several, in their order; counts are added."""
    if len(parts) == 1:
        return parts[0]
    keys: tuple[Key | None, ...] | None = None
    if any(part.keys is not None for part in parts):
        keys = tuple(k for part in parts for k in (part.keys or (None,) * part.n))
    return parts[-1]._replace(
        X=np.concatenate([part.X for part in parts]),
        y=np.concatenate([part.y for part in parts]),
        arrived=np.concatenate([part.arrived for part in parts]),
        time=np.concatenate([part.time for part in parts]),
        mark=np.concatenate([part.mark for part in parts]),
        keys=keys,
        malformed=sum(part.malformed for part in parts),
        dropped=sum(part.dropped for part in parts),
        missed=sum(part.missed for part in parts),
    )
