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
from streaming.schedule.planner import network
from streaming.scheduled import ScheduledNetwork

ACTIVE = 0.19  # of the inputs, as in pictures of digits
RATE = 1e-3
REPEATS = 5


@dataclass(frozen=True)
class Comparison:
    """What was measured, in seconds.

    plan: of the last block, by stage times measured before. ran: its items as they ran, with mean
    ``times``. rate, alone: samples per second in threads and in one, the best of a few turns each.
    identical: whether state and outputs are to the last bit those of the same schedule in one
    thread, which without a delay is the kernel for one.
    """

    plan: Plan
    ran: Plan
    times: Times
    rate: float
    alone: float
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
    one = same_in_one = OnlineNetwork(spec, rule, **common)
    if schedule.batch > 1:
        alone = replace(schedule, kind="sequential")
        one = same_in_one = ScheduledNetwork(spec, rule, schedule=alone, **common)
    elif schedule.delay:
        same_in_one = ScheduledNetwork(spec, rule, schedule=schedule, **common)
    several = ScheduledNetwork(spec, rule, schedule=schedule, workers=workers, **common)
    rng = np.random.default_rng(0)
    X = rng.random((samples, sizes[0])) * (rng.random((samples, sizes[0])) < ACTIVE)
    labels = rng.integers(0, sizes[-1], samples)
    best, same = dict.fromkeys((one, same_in_one, several), 0.0), True
    for turn in range(REPEATS + 1):  # the first compiles, and finds the stage times
        said = {}
        for net in dict.fromkeys((one, same_in_one, several)):
            start = time.perf_counter()
            said[net] = net.learn(X, labels)
            rate = samples / (time.perf_counter() - start)
            if turn:
                best[net] = max(best[net], rate)
        same = same and all(map(np.array_equal, said[same_in_one], said[several]))
    first, second = same_in_one.state(), several.state()
    same = same and all(np.array_equal(first[name], second[name]) for name in first)
    told = several.measured
    assert told is not None and told.times is not None
    ran = replace(told.plan, times=told.finish - told.start, start=told.start)
    return Comparison(told.plan, ran, told.times, best[several], best[one], same)
