"""Samples that are predicted at once and learned when their label comes.

A label finds its sample in one of three ways:

- "key": label and sample have the same key, a text or a whole number.
- "nearest": the label belongs to the waiting sample nearest in time, at most ``within`` seconds
  away. It is decided as soon as a sample at or after the label's time has arrived.
- "hold": the label belongs to all samples from its time on, until the time of the next label. A
  sample takes the latest label that is known when the sample arrives. Samples before the first
  label wait for one that arrives late.

A label may also come before its sample. Samples and labels wait for at most ``patience`` seconds,
and there are at most ``room`` of each; the oldest then count as unlabelled and unmatched.
"""

from __future__ import annotations

import bisect
from collections import OrderedDict, deque
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streaming.live.batch import Batch, Key, LateLabel

MATCHES = ("key", "nearest", "hold")


class Sample(NamedTuple):
    """A sample that waits: its input, times, key, and what was predicted when it arrived."""

    x: NDArray[np.float64]
    arrived: int
    time: float
    key: Key | None
    predicted: Any


class Labelled(NamedTuple):
    """A sample whose label has come, and the label: a class index, or a number."""

    sample: Sample
    y: float


class Waiting:
    """Samples without labels, and labels without samples.

    within: seconds, for "nearest"; None for no limit.
    unlabelled, unmatched: samples and labels given up since the last `expire`.
    """

    def __init__(self, match: str, within: float | None, patience: float, room: int) -> None:
        self._match, self._patience, self._room = match, int(patience * 1e9), room
        self._within = np.inf if within is None else within
        self._samples: OrderedDict[int, Sample] = OrderedDict()
        self._next = 0  # number of the next sample
        self._by_key: dict[Key, int] = {}
        self._times = list[tuple[float, int]]()  # time and number of the waiting samples, sorted
        self._latest = -np.inf  # the largest time of a sample so far
        self._early: deque[LateLabel] = deque()
        self._early_keys: dict[Key, LateLabel] = {}
        self._held = list[tuple[float, float]]()  # time and label, sorted, for "hold"
        self._unlabelled = self._unmatched = 0

    def __len__(self) -> int:
        return len(self._samples)

    def holding(self, batch: Batch) -> NDArray[np.float64]:
        """For "hold", the label that each sample has at once (n,); NaN where there is none yet."""
        if self._match != "hold" or not self._held:
            return np.full(batch.n, np.nan)
        times, labels = np.array(self._held).T
        at = np.searchsorted(times, batch.time, side="right") - 1
        found = np.where(at >= 0, labels[at], np.nan)
        if batch.n and len(self._held) > 1 and at[-1] > 0:
            del self._held[: int(at[-1])]  # no later sample is before these
        return found

    def add(self, batch: Batch, predicted: NDArray[Any]) -> list[Labelled]:
        """Let the samples wait; returns those whose label came before them."""
        ready = list[Labelled]()
        keys = batch.keys or (None,) * batch.n
        for i in range(batch.n):
            one = Sample(batch.X[i], int(batch.arrived[i]), float(batch.time[i]), keys[i],
                         predicted[i])  # fmt: skip
            early = None if one.key is None else self._early_keys.pop(one.key, None)
            if early is not None:
                ready.append(Labelled(one, early.y))
                continue
            self._keep(one)
        if self._match == "nearest" and batch.n:
            self._latest = max(self._latest, float(np.nanmax(batch.time)))
            ready += self._nearest()
        return ready

    def label(self, late: LateLabel) -> list[Labelled]:
        """The samples that a label is for, which no longer wait."""
        if self._match == "key":
            number = self._by_key.get(late.key) if late.key is not None else None
            if number is None:
                self._early_label(late)
                return []
            return [Labelled(self._take(number), late.y)]
        if np.isnan(late.time):
            self._unmatched += 1
            return []
        if self._match == "nearest":
            self._early.append(late)
            return self._nearest()
        bisect.insort(self._held, (late.time, late.y))
        if len(self._held) > self._room:
            del self._held[0]
        ready = list[Labelled]()
        first = bisect.bisect_left(self._times, (self._held[0][0], -1))
        for time, number in self._times[first:]:
            at = bisect.bisect_right(self._held, (time, np.inf)) - 1
            ready.append(Labelled(self._take(number), self._held[at][1]))
        return ready

    def expire(self, now: int) -> tuple[int, int]:
        """Give up all that waited longer than the patience; returns the number of samples that stay
        unlabelled and of labels unmatched since the last call. now: `time.perf_counter_ns`."""
        while self._samples:
            number, oldest = next(iter(self._samples.items()))
            if now - oldest.arrived <= self._patience:
                break
            self._give_up(number)
        for labels in (self._early, deque(self._early_keys.values())):
            while labels and now - labels[0].arrived > self._patience:
                late = labels.popleft()
                if late.key is not None:
                    self._early_keys.pop(late.key, None)
                self._unmatched += 1
        given_up = self._unlabelled, self._unmatched
        self._unlabelled = self._unmatched = 0
        return given_up

    def end(self) -> list[Labelled]:
        """At the end of the stream, what labels by time are for; all else is given up."""
        self._latest = np.inf
        return self._nearest() if self._match == "nearest" else []

    def _keep(self, one: Sample) -> None:
        if len(self._samples) >= self._room:
            self._give_up(next(iter(self._samples)))
        number, self._next = self._next, self._next + 1
        self._samples[number] = one
        if one.key is not None:
            self._by_key[one.key] = number
        if self._match != "key" and not np.isnan(one.time):
            bisect.insort(self._times, (one.time, number))

    def _take(self, number: int) -> Sample:
        one = self._samples.pop(number)
        if one.key is not None and self._by_key.get(one.key) == number:
            del self._by_key[one.key]
        if self._match != "key" and not np.isnan(one.time):
            del self._times[bisect.bisect_left(self._times, (one.time, number))]
        return one

    def _give_up(self, number: int) -> None:
        self._take(number)
        self._unlabelled += 1

    def _early_label(self, late: LateLabel) -> None:
        if late.key is None or late.key in self._early_keys:
            self._unmatched += 1
        if late.key is None:
            return
        if len(self._early_keys) >= self._room and late.key not in self._early_keys:
            del self._early_keys[next(iter(self._early_keys))]
            self._unmatched += 1
        self._early_keys[late.key] = late

    def _nearest(self) -> list[Labelled]:
        """Match the labels that no later sample can be nearer to."""
        ready, later = list[Labelled](), deque[LateLabel]()
        for late in self._early:
            if self._latest < late.time:
                later.append(late)
                continue
            at = bisect.bisect_left(self._times, (late.time, -1))
            near = [self._times[i] for i in (at - 1, at) if 0 <= i < len(self._times)]
            near = [one for one in near if abs(one[0] - late.time) <= self._within]
            if not near:
                self._unmatched += 1
                continue
            _, number = min(near, key=lambda one: abs(one[0] - late.time))
            ready.append(Labelled(self._take(number), late.y))
        while len(later) > self._room:
            later.popleft()
            self._unmatched += 1
        self._early = later
        return ready
