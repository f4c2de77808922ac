"""A schedule run in threads beside the same samples in one: how much faster, and whether the same.

The baseline is the fastest kernel for one thread that there is, not the runner with one worker.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rate_models.model.optimizers import Optimizer
from rate_models.online.network import OnlineNetwork, Outcome
from rate_models.support.estimates import check_learning
from streaming.schedule import placing
from streaming.schedule.items import Schedule
from streaming.schedule.plan import Plan, Times
from streaming.schedule.planner import lay_out, network
from streaming.threads.network import BLOCK, ROUNDS, ScheduledNetwork
from streaming.threads.runner import Measured

Array = NDArray[Any]

ACTIVE = 0.19  # of the inputs, as in pictures of digits
RATE = 1e-3
REPEATS = 7
TURN = 0.7  # seconds of each network at least
CALL = 0.2  # seconds, beside which the Python around a call is little
ROOM = 2**25  # bytes of samples
FOUND = 8 * BLOCK  # samples after which every way to assign items has been tried


@dataclass(frozen=True)
class Comparison:
    """What was measured, in seconds.

    rate, alone: samples per second in threads and in one, the best of a few turns each, which other
    work on the machine has disturbed least. paced: the same of threads as the simulator has it,
    from the time that each item took in the best turn, with hand-overs that cost nothing. ran: the
    items of its last block, as they ran; ``plan``: by the simulator; ``times``: means. bound: the
    speed-up that the stage times of one thread allow so many workers; threads go beyond it where
    each keeps its layers in its cache.
    identical: whether state and outputs are to the last bit those of the same schedule in one
    thread, which for one sample per update and no delay is the kernel for one.
    """

    plan: Plan
    ran: Plan
    times: Times
    rate: float
    paced: float
    alone: float
    bound: float
    identical: bool

    @property
    def speedup(self) -> float:
        """Over one thread."""
        return self.rate / self.alone

    @property
    def predicted(self) -> float:
        """The same by the simulator."""
        return self.paced / self.alone


def replayed(told: Measured) -> Plan:
    """What the simulator makes of the times that items took, with the same workers and order."""
    plan, order = told.plan, np.argsort(told.start, kind="stable")
    times, on = told.finish - told.start, plan.worker
    _, start = placing.place(order, times, plan.first, plan.waits, on, plan.workers, 0.0)
    return replace(plan, times=times, start=start)


def measure(
    rule: str,
    sizes: Sequence[int],
    schedule: Schedule,
    workers: int,
    samples: int,
    options: Mapping[str, Any],
    dtype: str = "float32",
) -> Comparison:
    """Learn ``samples`` made-up samples again and again, in turn with one thread and with all.

    Fewer are learned of a stream that is longer than there is room for. Raises what
    `ScheduledNetwork` raises, and BadOption where it would take hours.
    """
    one, same, several, staged = _networks(rule, sizes, schedule, workers, options, dtype)
    networks = list(dict.fromkeys((one, same, several)))
    block = max(BLOCK // schedule.batch, 1) * schedule.batch
    check_learning((block * (REPEATS + 1) + FOUND) * len(networks), sizes)
    race = _Race(networks, *_samples(sizes, samples, dtype, block), block)
    race.call()  # compiles
    race.learn(FOUND)
    rates: dict[OnlineNetwork, list[float]] = {net: [] for net in networks}
    ran, identical = [], True
    for _ in range(REPEATS):
        taken, upto = dict.fromkeys(networks, 0.0), race.learned
        while race.learned == upto or sum(taken.values()) < TURN * len(networks):
            said, seconds = race.call()
            taken = {net: taken[net] + seconds[net] for net in networks}
            identical = identical and all(map(np.array_equal, said[same], said[several]))
        for net in networks:
            rates[net].append((race.learned - upto) / taken[net])
        ran.append(several.ran)
    first, second = same.state(), several.state()
    identical = identical and all(np.array_equal(first[name], second[name]) for name in first)
    _Race([staged], race.X, race.labels, block).learn(max(FOUND, 1))
    best, alone = ran[int(np.argmax(rates[several]))], staged.measured
    plans = [replayed(told) for told in best]
    told = best[-1]
    assert told.times is not None
    assert alone is not None
    laid_out = told.plan.items, several.spec, schedule, workers
    return Comparison(
        plans[-1],
        replace(told.plan, times=told.finish - told.start, start=told.start),
        told.times,
        max(rates[several]),
        sum(plan.samples for plan in plans) / sum(plan.makespan for plan in plans),
        max(rates[one]),
        lay_out(*laid_out, alone.by_task).speedup,
        identical,
    )


def _networks(
    rule: str,
    sizes: Sequence[int],
    schedule: Schedule,
    workers: int,
    options: Mapping[str, Any],
    dtype: str,
) -> tuple[OnlineNetwork, OnlineNetwork, ScheduledNetwork, ScheduledNetwork]:
    """The fastest of one thread; one of one thread with the result of the schedule; the one of
    several; and one of one thread that tells the time of each item."""
    _, spec, hyper = network(rule, sizes, "relu", options)
    common: dict[str, Any] = {"dtype": dtype, "optimizer": Optimizer(lr=RATE), **hyper._asdict()}
    several = ScheduledNetwork(spec, rule, schedule=schedule, workers=workers, timed=True, **common)
    by_sample = Schedule("sequential", batch=schedule.batch)
    staged = ScheduledNetwork(spec, rule, schedule=by_sample, timed=True, **common)
    one = same = staged if schedule.batch > 1 else OnlineNetwork(spec, rule, **common)
    if schedule.delay:
        same = ScheduledNetwork(spec, rule, schedule=schedule, **common)
    return one, same, several, staged


class _Race:
    """Networks that learn the same samples, one network after the other, some samples a call.

    How many depends on how long the call before took: where other work takes a processor away,
    threads wait for each other and are at once a thousand times slower.
    """

    def __init__(
        self, networks: Sequence[OnlineNetwork], X: Array, labels: Array, block: int
    ) -> None:
        self.networks, self.X, self.labels = networks, X, labels
        self._block = self._n = block
        self._at = self.learned = 0

    def call(self) -> tuple[dict[OnlineNetwork, Outcome], dict[OnlineNetwork, float]]:
        """What each network answers to the next samples, and the seconds that it takes."""
        if self._at + self._n > len(self.X):
            self._at = 0
        part = slice(self._at, self._at + self._n)
        said, seconds = {}, {}
        for net in self.networks:
            start = time.perf_counter()
            said[net] = net.learn(self.X[part], self.labels[part])
            seconds[net] = time.perf_counter() - start
        self._at, self.learned = part.stop, self.learned + self._n
        more = int(self._n * min(2.0, CALL / max(seconds.values()))) // self._block
        self._n = min(max(more, 1) * self._block, len(self.X))
        return said, seconds

    def learn(self, samples: int) -> None:
        """Go on for so many samples at least."""
        upto = self.learned + samples
        while self.learned < upto:
            self.call()


def _samples(sizes: Sequence[int], samples: int, dtype: str, block: int) -> tuple[Array, Array]:
    """Made-up samples (N, n_0) and labels (N,): whole blocks, of what is given again and again."""
    room = ROOM // (sizes[0] * np.dtype(dtype).itemsize)
    n = max(min(room, max(samples, ROUNDS * BLOCK)) // block, 1) * block
    rng, samples = np.random.default_rng(0), min(samples, n)
    X = rng.random((samples, sizes[0])) * (rng.random((samples, sizes[0])) < ACTIVE)
    labels = rng.integers(0, sizes[-1], samples)
    return np.resize(X.astype(dtype), (n, sizes[0])), np.resize(labels, n)
