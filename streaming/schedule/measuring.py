"""A schedule run in threads beside the same samples in one: how much faster, and whether the same.

The baseline is the fastest kernel for one thread that there is, not the runner with one worker.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rate_models.online import OnlineNetwork
from rate_models.optimizers import Optimizer
from streaming.schedule.items import Schedule
from streaming.schedule.plan import Plan, Times
from streaming.schedule.planner import lay_out, network
from streaming.scheduled import BLOCK, ScheduledNetwork

ACTIVE = 0.19  # of the inputs, as in pictures of digits
RATE = 1e-3
REPEATS = 7
FOUND = 6 * BLOCK  # samples after which every way to assign items has been tried


@dataclass(frozen=True)
class Comparison:
    """What was measured, in seconds.

    rate, alone: samples per second in threads and in one, the medians of a few turns each. plan:
    laid out by the mean time of each task in the last block of the turn in threads that the median
    is; ``times`` by layer. ran: its items as they ran. bound: the speed-up that the stage times of
    one thread allow so many workers; threads go beyond it where each keeps its layers in its cache.
    identical: whether state and outputs are to the last bit those of the same schedule in one
    thread, which for one sample per update and no delay is the kernel for one.
    """

    plan: Plan
    ran: Plan
    times: Times
    rate: float
    alone: float
    bound: float
    identical: bool

    @property
    def speedup(self) -> float:
        """Over one thread."""
        return self.rate / self.alone

    @property
    def predicted(self) -> float:
        """The same from the plan's makespan, in which hand-overs cost nothing."""
        return self.plan.samples / self.plan.makespan / self.alone


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

    Raises what `ScheduledNetwork` raises.
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
    labels = rng.integers(0, sizes[-1], samples)
    networks: list[OnlineNetwork] = list(dict.fromkeys((one, same, several)))
    rates: dict[OnlineNetwork, list[float]] = {net: [] for net in networks}
    ran, identical, tried = [], True, samples
    for net in networks:  # compile
        net.learn(X, labels)
    while tried < FOUND:  # until it is found in which way threads are fastest
        for net in networks:
            net.learn(X, labels)
        tried += samples
    for _ in range(REPEATS):
        said = {}
        for net in networks:
            start = time.perf_counter()
            said[net] = net.learn(X, labels)
            rates[net].append(samples / (time.perf_counter() - start))
        ran.append(several.measured)
        identical = identical and all(map(np.array_equal, said[same], said[several]))
    first, second = same.state(), several.state()
    identical = identical and all(np.array_equal(first[name], second[name]) for name in first)
    staged.learn(X, labels)
    middle = int(np.argsort(rates[several])[REPEATS // 2])
    told, alone = ran[middle], staged.measured
    assert told is not None and told.times is not None
    assert alone is not None
    again = told.plan.items, spec, schedule, workers
    return Comparison(
        lay_out(*again, told.by_task, 0.0, told.plan.assignment),
        replace(told.plan, times=told.finish - told.start, start=told.start),
        told.times,
        rates[several][middle],
        float(np.median(rates[one])),
        lay_out(*again, alone.by_task).speedup,
        identical,
    )
