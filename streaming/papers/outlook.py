"""How long a paper is going to take, said while it can still be ended at no cost."""

from __future__ import annotations

import time
from collections.abc import Callable

from rate_models.support.estimates import LONG, duration

MEASURED = 60.0  # seconds after which the pace is known well enough


class Outlook:
    """Called after every seed of a cell: says once, by ``say``, where there are hours to go.

    seeds: how many there are to compute. The pace is that of those done so far, here and now; the
    next may take longer or less, as each cell has a network of its own.
    """

    def __init__(self, seeds: int, say: Callable[[str], object]) -> None:
        self._seeds, self._say = seeds, say
        self._done, self._start, self._said = 0, time.monotonic(), False

    def __call__(self, *_: object) -> None:
        self._done += 1
        taken = time.monotonic() - self._start
        left = taken / self._done * (self._seeds - self._done)
        if taken >= MEASURED and left > LONG and not self._said:
            self._said = True
            self._say(
                f"{self._done:,} of {self._seeds:,} runs took {duration(taken)}; at this pace the "
                f"others take about {duration(left)}; --seeds, --epochs, --rows and --columns "
                "choose less, and Ctrl-C ends it with finished cells kept"
            )
