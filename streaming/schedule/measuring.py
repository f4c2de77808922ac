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
from streaming.runner import ScheduledNetwork
from streaming.schedule.items import Schedule
from streaming.schedule.plan import Plan, Times
from streaming.schedule.planner import network

ACTIVE = 0.19  # of the inputs, as in pictures of digits
RATE = 1e-3
REPEATS = 5


@dataclass(frozen=True)
class Comparison:
    """What was measured, in seconds.

    plan: of the last block, by stage times measured before. ran: its items as they ran, with mean
    ``times``. rate, alone: samples per second in threads and in one, the best of a few turns each.
    identical: whether state and outputs are the same to the last bit.
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
    one = OnlineNetwork(spec, rule, **common)
    several = ScheduledNetwork(spec, rule, schedule=schedule, workers=workers, **common)
    rng = np.random.default_rng(0)
    X = rng.random((samples, sizes[0])) * (rng.random((samples, sizes[0])) < ACTIVE)
    labels = rng.integers(0, sizes[-1], samples)
    best, same = {True: 0.0, False: 0.0}, True
    for turn in range(REPEATS + 1):  # the first compiles, and finds the stage times
        said = []
        for net in (one, several):
            start = time.perf_counter()
            said.append(net.learn(X, labels))
            rate = samples / (time.perf_counter() - start)
            if turn:
                best[net is one] = max(best[net is one], rate)
        same = same and all(map(np.array_equal, *said))
    states = one.state(), several.state()
    same = same and all(np.array_equal(states[0][name], states[1][name]) for name in states[0])
    told = several.measured
    assert told is not None and told.times is not None
    ran = replace(told.plan, times=told.finish - told.start, start=told.start)
    return Comparison(told.plan, ran, told.times, best[False], best[True], same)
