"""A schedule run in threads beside the same samples in one: how much faster, and whether the same.

The baseline is the fastest kernel for one thread that there is, not the runner with one worker.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rate_models.model.optimizers import Optimizer
from rate_models.online.network import OnlineNetwork
from streaming.schedule import placing
from streaming.schedule.items import Schedule
from streaming.schedule.plan import Plan, Times
from streaming.schedule.planner import lay_out, network
from streaming.threads.network import BLOCK, ScheduledNetwork
from streaming.threads.runner import Measured

ACTIVE = 0.19  # of the inputs, as in pictures of digits
RATE = 1e-3
REPEATS = 7
TURN = 0.7  # seconds at least, beside which the Python around a call is little
ROOM = 2**27  # bytes of samples
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
    """Learn ``samples`` made-up samples a few times over, in turn with one thread and with all.

    A stream that takes less than a moment is repeated within a turn. Raises what
    `ScheduledNetwork` raises.
    """
    _, spec, hyper = network(rule, sizes, "relu", options)
    common: dict[str, Any] = {"dtype": dtype, "optimizer": Optimizer(lr=RATE), **hyper._asdict()}
    several = ScheduledNetwork(spec, rule, schedule=schedule, workers=workers, timed=True, **common)
    by_sample = Schedule("sequential", batch=schedule.batch)
    staged = ScheduledNetwork(spec, rule, schedule=by_sample, timed=True, **common)
    one = same = staged if schedule.batch > 1 else OnlineNetwork(spec, rule, **common)
    if schedule.delay:
        same = ScheduledNetwork(spec, rule, schedule=schedule, **common)
    rng = np.random.default_rng(0)
    X = rng.random((samples, sizes[0])) * (rng.random((samples, sizes[0])) < ACTIVE)
    X = X.astype(dtype)
    labels = rng.integers(0, sizes[-1], samples)
    networks: list[OnlineNetwork] = list(dict.fromkeys((one, same, several)))
    rates: dict[OnlineNetwork, list[float]] = {net: [] for net in networks}
    ran, identical = [], True
    for _ in range(2):  # the first time they are compiled
        start = time.perf_counter()
        for net in networks:
            net.learn(X, labels)
        seconds = (time.perf_counter() - start) / len(networks)
    again = min(math.ceil(TURN / seconds), ROOM // X.nbytes) or 1
    block = max(BLOCK // schedule.batch, 1) * schedule.batch
    n = max(samples * again // block, 1) * block  # so that the last block, which is told of, is one
    X, labels = np.tile(X, (again, 1))[:n], np.tile(labels, again)[:n]
    for _ in range(math.ceil(FOUND / len(X))):  # in which way threads are fastest
        for net in networks:
            net.learn(X, labels)
    for _ in range(REPEATS):
        said = {}
        for net in networks:
            start = time.perf_counter()
            said[net] = net.learn(X, labels)
            rates[net].append(len(X) / (time.perf_counter() - start))
        ran.append(several.ran)
        identical = identical and all(map(np.array_equal, said[same], said[several]))
    first, second = same.state(), several.state()
    identical = identical and all(np.array_equal(first[name], second[name]) for name in first)
    staged.learn(X, labels)
    best, alone = ran[int(np.argmax(rates[several]))], staged.measured
    plans = [replayed(told) for told in best]
    told = best[-1]
    assert told.times is not None
    assert alone is not None
    laid_out = told.plan.items, spec, schedule, workers
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
