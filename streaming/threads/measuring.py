"""A schedule in several threads compared with one thread: the speed-up, and whether results agree.

The baseline is the fastest kernel for one thread, not the runner with one worker.
"""

from __future__ import annotations

import time
import warnings
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
from streaming.threads.network import ROUNDS, SEGMENT, ScheduledNetwork
from streaming.threads.runner import Measured

Array = NDArray[Any]

ACTIVE = 0.19  # share of inputs that are not zero, as in images of digits
RATE = 1e-5  # at which deep networks stay finite for long; no time depends on it
REPEATS = 7
TURN = 0.7  # seconds of each network per repeat at least
CALL = 0.2  # seconds of a call, so that the Python around it does not count
ROOM = 2**25  # bytes of samples at most
TRIED = 12 * SEGMENT  # samples after which every execution mode has been tried


@dataclass(frozen=True)
class Comparison:
    """Measured rates in samples per second, and times in seconds.

    rate, alone: rates in several threads, in the fastest execution mode, and in one. Each is the
    best of a few repeats, which is the one that other work on the machine disturbed least.
    paced: the rate of items in threads by simulation, from the time that each item took in the best
    repeat, with free hand-overs.
    ran: the items of the last segment of the best repeat, as they ran. plan: the same by
    simulation. times: the mean item times of this segment.
    bound: the speed-up that so many workers can reach with the item times of one thread. Threads
    exceed it if each keeps its layers in its own cache.
    identical: whether state and outputs equal those of the same schedule in one thread to the last
    bit. For one sample per update and no delay that is the kernel for one thread.
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
        """Measured speed-up over one thread."""
        return self.rate / self.alone

    @property
    def predicted(self) -> float:
        """Simulated speed-up over one thread."""
        return self.paced / self.alone


def replayed(measured: Measured) -> Plan:
    """A segment simulated with its measured item times, the same workers and the same order."""
    plan, order = measured.plan, np.argsort(measured.start, kind="stable")
    times, on = measured.finish - measured.start, plan.worker
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
    """Learn ``samples`` random samples repeatedly, in turn with one thread and with all.

    If they do not fit into `ROOM`, fewer samples are used. Raises what `ScheduledNetwork` raises,
    and BadOption if it would take hours.
    """
    one, same, several, items, staged = _networks(rule, sizes, schedule, workers, options, dtype)
    networks = list(dict.fromkeys((one, same, several, items)))
    segment = max(SEGMENT // schedule.batch, 1) * schedule.batch
    check_learning((segment * (REPEATS + 1) + TRIED) * len(networks), sizes)
    race = _Race(networks, *_samples(sizes, samples, dtype, segment), segment)
    race.call()  # compiles
    with warnings.catch_warnings():  # that one thread is faster is what the comparison shows
        warnings.filterwarnings("ignore", "workers: one is faster", UserWarning)
        race.learn(TRIED)
    rates: dict[OnlineNetwork, list[float]] = {net: [] for net in networks}
    ran, identical = [], True
    for _ in range(REPEATS):
        total, upto = dict.fromkeys(networks, 0.0), race.learned
        while race.learned == upto or sum(total.values()) < TURN * len(networks):
            outcomes, seconds = race.call()
            total = {net: total[net] + seconds[net] for net in networks}
            for threads in (several, items):
                pairs = zip(outcomes[same], outcomes[threads], strict=True)
                identical = identical and all(np.array_equal(*pair) for pair in pairs)
        for net in networks:
            rates[net].append((race.learned - upto) / total[net])
        ran.append(items.ran)
    first = same.state()
    for threads in (several, items):
        state = threads.state()
        identical = identical and all(np.array_equal(first[name], state[name]) for name in first)
    _Race([staged], race.X, race.labels, segment).learn(max(TRIED, 1))
    best, alone = ran[int(np.argmax(rates[items]))], staged.measured
    plans = [replayed(one) for one in best]
    last = best[-1]
    assert last.times is not None
    assert alone is not None
    laid_out = last.plan.items, items.spec, schedule, workers
    return Comparison(
        plans[-1],
        replace(last.plan, times=last.finish - last.start, start=last.start),
        last.times,
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
) -> tuple[OnlineNetwork, OnlineNetwork, ScheduledNetwork, ScheduledNetwork, ScheduledNetwork]:
    """Five networks: the fastest with one thread; one with one thread and the result of the
    schedule; the one with several threads; one with several that times each item, which may be the
    same; and one with one thread that times each item."""
    _, spec, hyper = network(rule, sizes, "relu", options)
    common: dict[str, Any] = {"dtype": dtype, "optimizer": Optimizer(lr=RATE), **hyper._asdict()}
    items = ScheduledNetwork(spec, rule, schedule=schedule, workers=workers, timed=True, **common)
    several = items
    if schedule.batch == 1 and not schedule.delay:  # then it need not run in items
        several = ScheduledNetwork(spec, rule, schedule=schedule, workers=workers, **common)
    by_sample = Schedule("sequential", batch=schedule.batch)
    staged = ScheduledNetwork(spec, rule, schedule=by_sample, timed=True, **common)
    one = same = staged if schedule.batch > 1 else OnlineNetwork(spec, rule, **common)
    if schedule.delay:
        same = ScheduledNetwork(spec, rule, schedule=schedule, **common)
    return one, same, several, items, staged


class _Race:
    """Networks that learn the same samples in turn, some samples per call.

    The number of samples depends on the duration of the call before. If other work occupies a
    processor, threads wait for each other and can be a thousand times slower.
    """

    def __init__(
        self, networks: Sequence[OnlineNetwork], X: Array, labels: Array, segment: int
    ) -> None:
        self.networks, self.X, self.labels = networks, X, labels
        self._segment = self._n = segment
        self._at = self.learned = 0

    def call(self) -> tuple[dict[OnlineNetwork, Outcome], dict[OnlineNetwork, float]]:
        """Learn the next samples; returns the outcome and the seconds of each network."""
        if self._at + self._n > len(self.X):
            self._at = 0
        part = slice(self._at, self._at + self._n)
        outcomes, seconds = {}, {}
        for net in self.networks:
            start = time.perf_counter()
            outcomes[net] = net.learn(self.X[part], self.labels[part])
            seconds[net] = time.perf_counter() - start
        self._at, self.learned = part.stop, self.learned + self._n
        more = int(self._n * min(2.0, CALL / max(seconds.values()))) // self._segment
        self._n = min(max(more, 1) * self._segment, len(self.X))
        return outcomes, seconds

    def learn(self, samples: int) -> None:
        """Learn at least this many more samples."""
        upto = self.learned + samples
        while self.learned < upto:
            self.call()


def _samples(sizes: Sequence[int], samples: int, dtype: str, segment: int) -> tuple[Array, Array]:
    """Whole segments of random X (N, n_0) and labels (N,); the first ``samples`` repeat."""
    room = ROOM // (sizes[0] * np.dtype(dtype).itemsize)
    n = max(min(room, max(samples, ROUNDS * SEGMENT)) // segment, 1) * segment
    rng, samples = np.random.default_rng(0), min(samples, n)
    X = rng.random((samples, sizes[0])) * (rng.random((samples, sizes[0])) < ACTIVE)
    labels = rng.integers(0, sizes[-1], samples)
    return np.resize(X.astype(dtype), (n, sizes[0])), np.resize(labels, n)
