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
from streaming.schedule.items import STASHED, Item, Schedule

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

    @property
    def samples(self) -> int:
        """N, the samples that were laid out."""
        return len(self.of_sample[1])

    def makespan_of(self, samples: int) -> float:
        """Of a longer stream, which goes on at the plan's steady pace."""
        return self.makespan + (samples - self.samples) * self.period

    @property
    def most_speedup(self) -> float:
        """With any number of workers and free hand-overs."""
        return float(self.times.sum()) / self.critical

    @cached_property
    def critical(self) -> float:
        """The makespan with any number of workers and free hand-overs: none is shorter."""
        start = placing.earliest(self.times, self.first, self.waits)
        return float((start + self.times).max())

    @cached_property
    def of_sample(self) -> tuple[Floats, Floats]:
        """First start and last finish of every sample (N,)."""
        sample = np.array([item.sample for item in self.items])
        begin, end = np.full(sample.max() + 1, np.inf), np.zeros(sample.max() + 1)
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
        """Time per sample once the pipe is full and before it empties.

        Over whole rounds of delay + 1 updates, as far as there are any, else over all samples; and
        never less than a sample's work shared by all workers.
        """
        _, end = self.of_sample
        batch, round_ = self.schedule.batch, self.schedule.delay + 1
        ends = np.maximum.accumulate(end)[batch - 1 :: batch]
        full = len(ends) - 1 - round_  # the updates after it are done while the pipe empties
        rounds = full // round_ - full // round_ // 2
        if rounds < 1:
            return self.makespan / len(end)
        seen = float(ends[full] - ends[full - rounds * round_]) / (rounds * round_ * batch)
        return max(seen, float(self.times.sum()) / len(end) / self.workers)

    @property
    def utilisation(self) -> Floats:
        """Share of the makespan that each worker is busy (P,)."""
        busy = np.bincount(self.worker, weights=self.times, minlength=self.workers)
        return np.asarray(busy / self.makespan)

    @cached_property
    def _lives(self) -> dict[Ref, tuple[Ints, Floats, Floats]]:
        """For each array of a sample: the samples, when it is first written, when it is let go."""
        begin: defaultdict[Ref, dict[int, float]] = defaultdict(dict)
        end: defaultdict[Ref, dict[int, float]] = defaultdict(dict)
        done = self.finish + self.handover
        written = {ref for item in self.items for ref in item.task.writes}
        for i, (task, t) in enumerate(self.items):
            for ref in task.writes:
                begin[ref][t], end[ref][t] = self.start[i], done[i]
            for ref in task.reads:
                if ref in written:  # and if not yet, it was there before the first item
                    begin[ref].setdefault(t, 0.0)
                    end[ref][t] = max(end[ref].get(t, 0.0), done[i])
        return {
            ref: (
                np.array(sorted(at)),
                np.array([at[t] for t in sorted(at)]),
                np.array([end[ref][t] for t in sorted(at)]),
            )
            for ref, at in begin.items()
        }

    @cached_property
    def slots(self) -> dict[Ref, int]:
        """How many samples' places each array of a sample needs: sample t lies in t mod slots.

        The fewest with which nobody has to wait for a place.
        """
        return {ref: _places(*life) for ref, life in self._lives.items()}

    def _width(self, ref: Ref) -> int:
        """Numbers in an array of a sample; of stashed weights: δ_l and h_{l-1}, by which M's differ
        from S's."""
        sizes, (name, layer) = self.spec.sizes, ref
        return sizes[layer] + sizes[layer - 1] if name.startswith(STASHED) else sizes[layer]

    @property
    def reserved(self) -> int:
        """Numbers in all places of activities and signals."""
        held = self.slots.items()
        return sum(n * self._width(ref) for ref, n in held if not ref[0].startswith(STASHED))

    @property
    def stashed(self) -> int:
        """Numbers in all places that keep the weights of S for M, as pending changes."""
        held = self.slots.items()
        return sum(n * self._width(ref) for ref, n in held if ref[0].startswith(STASHED))

    @property
    def held(self) -> int:
        """The most numbers of activities and signals that are needed at one moment."""
        lives = {ref: life for ref, life in self._lives.items() if not ref[0].startswith(STASHED)}
        times = np.concatenate([part for _, *life in lives.values() for part in life[::-1]])
        widths = [
            self._width(ref) * np.repeat([-1, 1], len(samples))
            for ref, (samples, *_) in lives.items()
        ]
        change = np.concatenate(widths)
        order = np.lexsort((change, times))  # at one time places are let go first
        return int(np.cumsum(change[order]).max())


def _places(samples: Ints, begin: Floats, end: Floats) -> int:
    """The smallest n with which sample t is done when t + n begins."""
    later = np.searchsorted(begin, end, side="left") - 1
    return 1 + int((samples[later] - samples).max())
