"""Which execution mode is fastest: each is tried for a few segments, then the fastest is kept."""

from __future__ import annotations

import warnings
from typing import Literal

from streaming.schedule.plan import Times

# layers: each worker owns some layers. waves: an item goes to the worker that can start it first.
# single: no workers, the kernel for one thread. rows: this kernel, with workers that share the rows
# of a layer.
Mode = Literal["layers", "waves", "single", "rows"]
TRIES = 2  # measured segments per mode


class Trials:
    """Measured times of each execution mode in ``modes``.

    times: for each mode the item times of its first segment; its plan is made again from them.
    paces: for each mode the seconds per sample of the segments after that. workers: how many
    threads all modes but "single" use.
    """

    def __init__(self, modes: tuple[Mode, ...], workers: int) -> None:
        self.modes, self.workers = modes, workers
        self.times: dict[Mode, Times | None] = {}
        self.paces: dict[Mode, list[float]] = {}

    def tried(self, mode: Mode) -> bool:
        """Whether a mode has been measured often enough."""
        return len(self.paces.get(mode, ())) == TRIES

    @property
    def finished(self) -> bool:
        """Whether all modes have been tried."""
        return all(map(self.tried, self.modes))

    @property
    def choice(self) -> Mode:
        """The mode of the next segment: one that is still to be tried, or else the fastest."""
        for mode in self.modes:
            if not self.tried(mode):
                return mode
        return min(self.modes, key=lambda mode: min(self.paces[mode]))

    def record(self, mode: Mode, times: Times | None, pace: float) -> None:
        """Keep the measurements of one full segment. Warns, once all modes have been tried, if one
        thread is faster than several.
        """
        if mode not in self.times:
            self.times[mode] = times
            return
        self.paces.setdefault(mode, []).append(pace)
        if self.finished and self.choice == "single":
            text = f"workers: one is faster than {self.workers} here; the others stay idle"
            warnings.warn(text, stacklevel=2)
