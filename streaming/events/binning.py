"""Bins of events as vectors: frames that count them, or time surfaces.

A bin covers the events of ``window`` microseconds, the first one from the first event on. Its
vector has two maps of the pixels, first for pixels that became darker, then for brighter ones; with
``merge`` one map for both. ``pool`` joins squares of pixels.

- "frame": the number of events of a pixel in the bin.
- "surface": exp(-(end - t) / tau), where t is the time of the pixel's last event in this or an
  earlier bin, and end that of the bin; 0 before the first event.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rate_models.errors import BadSample
from rate_models.support.estimates import check_memory

Array = NDArray[Any]
KINDS = ("frame", "surface")
MOST_EMPTY = 1_000_000  # bins: a longer pause is a damaged time


@dataclass(frozen=True)
class Form:
    """How bins become vectors. width, height: of the sensor. window, tau: microseconds; window 0
    makes one bin of a whole recording."""

    width: int
    height: int
    window: int = 0
    kind: str = "frame"
    tau: int = 50_000
    pool: int = 1
    merge: bool = False

    def __post_init__(self) -> None:
        check_memory("source events", f"{self.size:,} pixels of {self.width} x {self.height}",
                     8 * 64 * self.size)  # fmt: skip

    @property
    def shape(self) -> tuple[int, int, int]:
        """Maps, rows and columns of a bin."""
        rows, columns = -(-self.height // self.pool), -(-self.width // self.pool)
        return 1 if self.merge else 2, rows, columns

    @property
    def size(self) -> int:
        """Numbers of a bin."""
        maps, rows, columns = self.shape
        return maps * rows * columns


class Bin(NamedTuple):
    """A bin: its vector x (form.size,), and its first and last moment in microseconds."""

    x: NDArray[np.float32]
    begin: int
    end: int


def bins(pieces: Iterable[Array], form: Form) -> Iterator[Bin]:
    """The bins of a recording, also empty ones between its first and last event.

    Raises BadSample for an event outside of the sensor.
    """
    counts, last = np.zeros(form.size, np.float32), np.full(form.size, -np.inf)
    begin = end = 0
    started = False
    for events in (part for piece in pieces for part in _without_pause(piece, form)):
        if not started:
            begin, started = int(events["t"][0]), True
        if form.window and (empty := int(events["t"][0]) - begin) > MOST_EMPTY * form.window:
            raise BadSample("events", got=f"{empty / 1e6:g} s without an event",
                            expected=f"at most {MOST_EMPTY:,} empty bins")  # fmt: skip
        pixels = _pixels(events, form)
        while form.window and int(events["t"][-1]) >= begin + form.window:
            n = int(np.searchsorted(events["t"], begin + form.window))
            _add(counts, last, pixels[:n], events["t"][:n])
            yield Bin(_vector(counts, last, begin + form.window, form), begin, begin + form.window)
            counts[:] = 0
            events, pixels, begin = events[n:], pixels[n:], begin + form.window
        _add(counts, last, pixels, events["t"])
        end = int(events["t"][-1])
    if started:
        end = begin + form.window if form.window else end
        yield Bin(_vector(counts, last, end, form), begin, end)


def _without_pause(events: Array, form: Form) -> list[Array]:
    """The events, cut at each pause that is longer than `MOST_EMPTY` bins."""
    if not form.window:
        return [events]
    return np.split(events, np.flatnonzero(np.diff(events["t"]) > MOST_EMPTY * form.window) + 1)


def _pixels(events: Array, form: Form) -> NDArray[np.int64]:
    """The number in the vector that each event belongs to."""
    x, y = events["x"].astype(np.int64), events["y"].astype(np.int64)
    outside = (x < 0) | (x >= form.width) | (y < 0) | (y >= form.height)
    if outside.any():
        at = int(np.argmax(outside))
        raise BadSample("events", got=f"an event at x={x[at]}, y={y[at]}",
                        expected=f"a sensor of {form.width} x {form.height}",
                        remedy="give its size, e.g. size=346x260")  # fmt: skip
    _, rows, columns = form.shape
    on = 0 if form.merge else events["on"].astype(np.int64)
    pixels: NDArray[np.int64] = (on * rows + y // form.pool) * columns + x // form.pool
    return pixels


def _add(counts: Array, last: Array, pixels: Array, times: Array) -> None:
    np.add.at(counts, pixels, 1)
    np.maximum.at(last, pixels, times.astype(np.float64))


def _vector(counts: Array, last: Array, end: int, form: Form) -> NDArray[np.float32]:
    if form.kind == "frame":
        return counts.copy()
    return np.exp((last - end) / form.tau).astype(np.float32)
