"""A plan: which worker executes which item when, with its makespan, speed-up and memory."""

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
    """Item times in any unit: S and M of layers 1..L, above 0, and E, 0 or more."""

    standard: tuple[float, ...]
    modulated: tuple[float, ...]
    error: float = 0.0

    def of(self, task: Task) -> float:
        """The time of an item of this task."""
        if task.kind == "E":
            return self.error
        return (self.standard if task.kind == "S" else self.modulated)[task.layer - 1]


def equal_times(layers: int) -> Times:
    """Times of one unit for S and M, and none for the error."""
    return Times((1.0,) * layers, (1.0,) * layers)


@dataclass(frozen=True)
class Plan:
    """Items in the order of one worker (see `items`), each with its worker and start.

    times, start (n,): in the unit of the item times. worker (n,). Item i waits for
    waits[first[i]:first[i+1]]. assignment: layers: each worker owns some layers. waves: an item
    goes to the worker that can start it first.
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
        """End of each item (n,)."""
        return self.start + self.times

    @property
    def makespan(self) -> float:
        """From the first start to the last finish."""
        return float(self.finish.max())

    @property
    def speedup(self) -> float:
        """Speed-up over one worker, which never waits."""
        return float(self.times.sum()) / self.makespan

    @property
    def samples(self) -> int:
        """N, the number of samples in the plan."""
        return len(self.of_sample[1])

    def makespan_of(self, samples: int) -> float:
        """The makespan of a longer stream, continued at the plan's steady pace."""
        return self.makespan + (samples - self.samples) * self.period

    @property
    def most_speedup(self) -> float:
        """The speed-up with any number of workers and free hand-overs."""
        return float(self.times.sum()) / self.critical

    @cached_property
    def critical(self) -> float:
        """The makespan with any number of workers and free hand-overs, a lower bound."""
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
        """Time per sample in the steady state, while the pipeline is full.

        It is measured over whole rounds of delay + 1 updates, or over all samples if there is no
        whole round. It is never less than the work of a sample divided by the number of workers.
        """
        _, end = self.of_sample
        batch, round_ = self.schedule.batch, self.schedule.delay + 1
        ends = np.maximum.accumulate(end)[batch - 1 :: batch]
        full = len(ends) - 1 - round_  # later updates run while the pipeline drains
        rounds = full // round_ - full // round_ // 2
        if rounds < 1:
            return self.makespan / len(end)
        steady = float(ends[full] - ends[full - rounds * round_]) / (rounds * round_ * batch)
        return max(steady, float(self.times.sum()) / len(end) / self.workers)

    @property
    def utilisation(self) -> Floats:
        """Share of the makespan during which each worker is busy (P,)."""
        busy = np.bincount(self.worker, weights=self.times, minlength=self.workers)
        return np.asarray(busy / self.makespan)

    @cached_property
    def _lifetimes(self) -> dict[Ref, tuple[Ints, Floats, Floats]]:
        """For each array of a sample: the samples, the first write and the last use of each."""
        begin: defaultdict[Ref, dict[int, float]] = defaultdict(dict)
        end: defaultdict[Ref, dict[int, float]] = defaultdict(dict)
        done = self.finish + self.handover
        written = {ref for item in self.items for ref in item.task.writes}
        for i, (task, t) in enumerate(self.items):
            for ref in task.writes:
                begin[ref][t], end[ref][t] = self.start[i], done[i]
            for ref in task.reads:
                if ref in written:  # if not yet written, it was there before the first item
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
        """Buffer slots that each array of a sample needs: sample t uses slot t mod slots.

        It is the smallest number with which no item of the plan waits for a free slot.
        """
        return {ref: _slots_needed(*life) for ref, life in self._lifetimes.items()}

    def _width(self, ref: Ref) -> int:
        """Numbers in an array of a sample. For stashed weights these are δ_l and h_{l-1}, the
        rank-1 update by which the weights of M differ from those of S."""
        sizes, (name, layer) = self.spec.sizes, ref
        return sizes[layer] + sizes[layer - 1] if name.startswith(STASHED) else sizes[layer]

    @property
    def reserved(self) -> int:
        """Numbers in all slots of activities and signals."""
        held = self.slots.items()
        return sum(n * self._width(ref) for ref, n in held if not ref[0].startswith(STASHED))

    @property
    def stashed(self) -> int:
        """Numbers in all slots that stash the weights of S for M, as pending updates."""
        held = self.slots.items()
        return sum(n * self._width(ref) for ref, n in held if ref[0].startswith(STASHED))

    @property
    def held(self) -> int:
        """The most numbers of activities and signals that are needed at the same time."""
        lives = {
            ref: life for ref, life in self._lifetimes.items() if not ref[0].startswith(STASHED)
        }
        times = np.concatenate([part for _, *life in lives.values() for part in life[::-1]])
        widths = [
            self._width(ref) * np.repeat([-1, 1], len(samples))
            for ref, (samples, *_) in lives.items()
        ]
        change = np.concatenate(widths)
        order = np.lexsort((change, times))  # at equal times slots are freed first
        return int(np.cumsum(change[order]).max())


def _slots_needed(samples: Ints, begin: Floats, end: Floats) -> int:
    """The smallest n for which sample t is finished when sample t + n begins."""
    later = np.searchsorted(begin, end, side="left") - 1
    return 1 + int((samples[later] - samples).max())
