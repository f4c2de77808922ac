"""Latency of a live stream: the time from the arrival of a sample until something is done with it.

Times are counted in bins of a logarithmic scale, so that memory does not grow with the stream. A
percentile is the upper edge of its bin: at most 2.4 % too large, never too small.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rate_models.errors import BadOption

PER_DECADE = 100
LEAST = 100.0  # nanoseconds: the upper edge of the first bin
BINS = 12 * PER_DECADE  # up to 100,000 seconds
Counts = NDArray[np.int64]


class Histogram:
    """Counts of durations in nanoseconds.

    >>> times = Histogram()
    >>> times.add(np.array([1_000_000] * 99 + [7_000_000]))
    >>> times.get()
    {'p50_ms': 1.0, 'p99_ms': 1.0, 'max_ms': 7.0}
    """

    def __init__(self) -> None:
        self.counts: Counts = np.zeros(BINS, np.int64)
        self.largest = 0

    def add(self, nanoseconds: NDArray[np.int64]) -> None:
        """Add durations (n,)."""
        if not len(nanoseconds):
            return
        steps = np.ceil(np.log10(np.maximum(nanoseconds, LEAST) / LEAST) * PER_DECADE - 1e-9)
        self.counts += np.bincount(np.minimum(steps, BINS - 1).astype(np.int64), minlength=BINS)
        self.largest = max(self.largest, int(nanoseconds.max()))

    def get(self) -> dict[str, float | None]:
        """{p50_ms, p99_ms, max_ms}; None for each without durations."""
        total = int(self.counts.sum())
        if not total:
            return {"p50_ms": None, "p99_ms": None, "max_ms": None}
        upto = np.cumsum(self.counts)
        at = {f"p{p}_ms": int(np.searchsorted(upto, math.ceil(total * p / 100))) for p in (50, 99)}
        edges = {name: LEAST * 10 ** (i / PER_DECADE) for name, i in at.items()}
        shown = {**{name: min(edge, self.largest) for name, edge in edges.items()},
                 "max_ms": self.largest}  # fmt: skip
        return {name: round(value / 1e6, 4) for name, value in shown.items()}


class Latency:
    """Times from arrival until the prediction is known (`predicted`) and learned (`learned`).

    Each is kept for the whole run and since the last line of metrics.jsonl.
    """

    NAMES = ("predicted", "learned")

    def __init__(self) -> None:
        self._whole = {name: Histogram() for name in self.NAMES}
        self._recent = {name: Histogram() for name in self.NAMES}
        self._last = {name: Histogram() for name in self.NAMES}

    def add(self, name: str, nanoseconds: NDArray[np.int64]) -> None:
        """Add durations (n,) of the kind ``name``."""
        for each in (self._whole, self._recent):
            each[name].add(nanoseconds)

    def whole(self) -> dict[str, dict[str, float | None]]:
        """Percentiles over the whole run."""
        return {name: times.get() for name, times in self._whole.items()}

    def recent(self) -> dict[str, dict[str, float | None]]:
        """Percentiles since the last line of metrics; before the first sample since, of the last
        interval."""
        return {
            name: (times if times.largest else self._last[name]).get()
            for name, times in self._recent.items()
        }

    def next_line(self) -> None:
        """Begin a new interval of `recent`."""
        self._last, self._recent = self._recent, {name: Histogram() for name in self.NAMES}

    def state(self) -> dict[str, NDArray[Any]]:
        """The counts of the whole run, for a checkpoint."""
        arrays = {name: times.counts for name, times in self._whole.items()}
        largest = [times.largest for times in self._whole.values()]
        return {**{k: v.copy() for k, v in arrays.items()}, "largest": np.array(largest)}

    def load_state(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Restore what `state` returned. Raises BadOption for an invalid state."""
        for i, (name, times) in enumerate(self._whole.items()):
            counts, largest = np.asarray(arrays[name]), np.asarray(arrays["largest"])
            fits = counts.shape == (BINS,) and largest.shape == (len(self.NAMES),)
            if not fits or counts.dtype.kind != "i" or largest.dtype.kind != "i" or (
                counts.min() < 0 or largest.min() < 0
            ):  # fmt: skip
                raise BadOption(f"latency {name}", got=f"{counts.dtype} {counts.shape}",
                                expected=f"{BINS} counts")  # fmt: skip
            times.counts, times.largest = counts.astype(np.int64), int(largest[i])
