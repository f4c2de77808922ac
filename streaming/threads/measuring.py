"""A schedule in several threads compared with one thread: the speed-up, and whether results agree.

The baseline is the fastest kernel for one thread, not the runner with one worker.
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

ACTIVE = 0.19  # share of inputs that are not zero, as in images of digits
RATE = 1e-3
REPEATS = 7
TURN = 0.7  # seconds of a repeat at least, so that the Python around a call does not count
ROOM = 2**27  # bytes of samples at most
TRIED = 8 * BLOCK  # samples after which every execution mode has been tried


@dataclass(frozen=True)
class Comparison:
    """Measured rates in samples per second, and times in seconds.

    rate, alone: rates in several threads and in one. Each is the best of a few repeats, which is
    the one that other work on the machine disturbed least.
    paced: the rate in threads by simulation, from the time that each item took in the best repeat,
    with free hand-overs.
    ran: the items of the last block of the best repeat, as they ran. plan: the same by simulation.
    times: the mean item times of this block.
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
    """A block simulated with its measured item times, the same workers and the same order."""
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
    """Learn ``samples`` random samples a few times, in turn with one thread and with all.

    A short stream is repeated until it takes `TURN` seconds. Raises what `ScheduledNetwork`
    raises.
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
    for _ in range(2):  # the first pass compiles
        start = time.perf_counter()
        for net in networks:
            net.learn(X, labels)
        seconds = (time.perf_counter() - start) / len(networks)
    again = min(math.ceil(TURN / seconds), ROOM // X.nbytes) or 1
    block = max(BLOCK // schedule.batch, 1) * schedule.batch
    n = max(samples * again // block, 1) * block  # full blocks, as the last one is reported
    X, labels = np.tile(X, (again, 1))[:n], np.tile(labels, again)[:n]
    for _ in range(math.ceil(TRIED / len(X))):  # until the fastest mode is known
        for net in networks:
            net.learn(X, labels)
    for _ in range(REPEATS):
        outcomes = {}
        for net in networks:
            start = time.perf_counter()
            outcomes[net] = net.learn(X, labels)
            rates[net].append(len(X) / (time.perf_counter() - start))
        ran.append(several.ran)
        identical = identical and all(map(np.array_equal, outcomes[same], outcomes[several]))
    first, second = same.state(), several.state()
    identical = identical and all(np.array_equal(first[name], second[name]) for name in first)
    staged.learn(X, labels)
    best, alone = ran[int(np.argmax(rates[several]))], staged.measured
    plans = [replayed(one) for one in best]
    last = best[-1]
    assert last.times is not None
    assert alone is not None
    laid_out = last.plan.items, spec, schedule, workers
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
