"""A plan: which worker does which item when, and what that is worth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rate_models.network import NetworkSpec
from rate_models.rules import Ref, Task
from streaming.schedule import placing
from streaming.schedule.items import Item, Schedule

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Times(NamedTuple):
    """How long items take, in any unit: S and M of layers 1..L, above 0, and E, not below 0."""

    standard: tuple[float, ...]
    modulated: tuple[float, ...]
    error: float = 0.0

    def of(self, task: Task) -> float:
        if task.kind == "E":
            return self.error
        return (self.standard if task.kind == "S" else self.modulated)[task.layer - 1]


def equal_times(layers: int) -> Times:
    """One unit for every item; the error takes none."""
    return Times((1.0,) * layers, (1.0,) * layers)


@dataclass(frozen=True)
class Plan:
    """Items in the order of one worker (see `items`), each with its worker and start.

    times, start (n,) in the unit of the stage times; worker (n,); item i waits for
    waits[first[i]:first[i+1]]. assignment: layers: each worker owns some; waves: an item goes where
    it can start first.
    """

    spec: NetworkSpec
    schedule: Schedule
    workers: int
    handover: float
    assignment: Literal["layers", "waves"]
    items: Sequence[Item]
    times: Floats
    first: Ints
    waits: Ints
    worker: Ints
    start: Floats

    @cached_property
    def finish(self) -> Floats:
        return self.start + self.times

    @property
    def makespan(self) -> float:
        """From the first start to the last finish."""
        return float(self.finish.max())

    @property
    def speedup(self) -> float:
        """Over one worker, who never waits."""
        return float(self.times.sum()) / self.makespan

    @cached_property
    def critical(self) -> float:
        """The makespan with any number of workers and free hand-overs: none is shorter."""
        start = placing.earliest(self.times, self.first, self.waits)
        return float((start + self.times).max())

    @cached_property
    def of_sample(self) -> tuple[Floats, Floats]:
        """First start and last finish of every sample (N,)."""
        sample = np.array([item.sample for item in self.items])
        begin, end = np.full(sample[-1] + 1, np.inf), np.zeros(sample[-1] + 1)
        np.minimum.at(begin, sample, self.start)
        np.maximum.at(end, sample, self.finish)
        return begin, end

    @property
    def latency(self) -> float:
        """Mean time from a sample's first item to the end of its last."""
        begin, end = self.of_sample
        return float((end - begin).mean())

    @property
    def period(self) -> float:
        """Time per sample once the pipe is full: over the last half, in whole updates."""
        _, end = self.of_sample
        ends = np.maximum.accumulate(end)[self.schedule.batch - 1 :: self.schedule.batch]
        half = len(ends) // 2
        if half == 0:
            return self.makespan / len(end)
        return float(ends[-1] - ends[-1 - half]) / (half * self.schedule.batch)

    @property
    def utilisation(self) -> Floats:
        """Share of the makespan that each worker is busy (P,)."""
        busy = np.bincount(self.worker, weights=self.times, minlength=self.workers)
        return np.asarray(busy / self.makespan)

    @cached_property
    def slots(self) -> dict[Ref, int]:
        """How many samples' places each array of a sample needs: sample t lies in t mod slots.

        The fewest with which nobody has to wait for a place.
        """
        begin: defaultdict[Ref, dict[int, float]] = defaultdict(dict)
        end: defaultdict[Ref, dict[int, float]] = defaultdict(dict)
        done = self.finish + self.handover
        for i, (task, t) in enumerate(self.items):
            for ref in task.writes:
                begin[ref][t], end[ref][t] = self.start[i], done[i]
            for ref in task.reads:
                if t in end[ref]:
                    end[ref][t] = max(end[ref][t], done[i])
        return {ref: _places(list(at), list(at.values()), list(end[ref].values()))
                for ref, at in begin.items()}  # fmt: skip

    @property
    def activations(self) -> int:
        """Numbers held for activities and signals of samples under way."""
        sizes = self.spec.sizes
        return sum(n * sizes[ref[1]] for ref, n in self.slots.items() if " " not in ref[0])

    @property
    def stashed(self) -> int:
        """Numbers held so that M sees the weights of S: pending changes δ_l and h_{l-1}."""
        sizes = self.spec.sizes
        held = {ref[1]: n for ref, n in self.slots.items() if " " in ref[0]}
        return sum(n * (sizes[layer] + sizes[layer - 1]) for layer, n in held.items())


def _places(samples: list[int], begin: list[float], end: list[float]) -> int:
    """The smallest n with which sample t is done when t + n begins."""
    later: list[int] = (np.searchsorted(begin, end, side="left") - 1).tolist()
    return 1 + max(samples[last] - t for t, last in zip(samples, later, strict=True))
