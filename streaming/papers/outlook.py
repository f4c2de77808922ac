"""A forecast of the time that a paper takes, reported early in the computation."""

from __future__ import annotations

import time
from collections.abc import Callable

from rate_models.support.estimates import LONG, duration

MEASURED = 60.0  # seconds from which on the pace is taken as known


class Outlook:
    """A callback for every finished seed of a cell; it reports once if hours are left.

    seeds: number of seeds to compute. notify: called with the report. The pace is that of the seeds
    so far; the next may take longer or less, as each cell has a network of its own.
    """

    def __init__(self, seeds: int, notify: Callable[[str], object]) -> None:
        self._seeds, self._notify = seeds, notify
        self._done, self._start, self._reported = 0, time.monotonic(), False

    def __call__(self, *_: object) -> None:
        self._done += 1
        elapsed = time.monotonic() - self._start
        left = elapsed / self._done * (self._seeds - self._done)
        if elapsed >= MEASURED and left > LONG and not self._reported:
            self._reported = True
            self._notify(
                f"{self._done:,} of {self._seeds:,} runs took {duration(elapsed)}; at this pace "
                f"the others take about {duration(left)}; --seeds, --epochs, --rows and --columns "
                "choose less, and Ctrl-C ends it with finished cells kept"
            )
