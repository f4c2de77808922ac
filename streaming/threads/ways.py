"""In which way a schedule goes fastest: each is tried for a few blocks, then the best is kept."""

from __future__ import annotations

import warnings
from typing import Literal

from streaming.schedule.plan import Times

# Layers that belong to workers, items that go where they can start first, or one thread's kernel.
Way = Literal["layers", "waves", "alone"]
TRIES = 2  # blocks by which a way is judged


class Ways:
    """What is known of each way of ``kinds``.

    times: by the way, the times that items took in its first block, by which it is planned again.
    paces: then the times that a sample took with a plan by these. workers: of all but "alone".
    """

    def __init__(self, kinds: tuple[Way, ...], workers: int) -> None:
        self.kinds, self.workers = kinds, workers
        self.times: dict[Way, Times | None] = {}
        self.paces: dict[Way, list[float]] = {}

    def tried(self, way: Way) -> bool:
        return len(self.paces.get(way, ())) == TRIES

    @property
    def settled(self) -> bool:
        """Whether there is nothing left to try."""
        return all(map(self.tried, self.kinds))

    @property
    def best(self) -> Way:
        """The next to be tried, or the fastest."""
        for way in self.kinds:
            if not self.tried(way):
                return way
        return min(self.kinds, key=lambda way: min(self.paces[way]))

    def note(self, way: Way, times: Times | None, pace: float) -> None:
        """Keep what a full block tells, while there is something to try; warns, when all is tried,
        where one thread is faster than several."""
        if way not in self.times:
            self.times[way] = times
            return
        self.paces.setdefault(way, []).append(pace)
        if self.settled and self.best == "alone":
            text = f"workers: one is faster than {self.workers} here; the others stay idle"
            warnings.warn(text, stacklevel=2)
