"""Makespans in closed form, for one sample per update, enough workers and free hand-overs.

Suppose that the learning of every layer waits for the error, directly or through other layers. Let
F_l be the time from the end of E(t) to the end of M(t,l) along the critical path through the items
of the sample. E(t+1) waits for the update of each layer l and for the standard pass from there on:

    period   = t_E + max_l (F_l + s_l + ... + s_L)
    makespan = s_1 + ... + s_L + t_E + (N-1) period + max_l F_l

s_l and m_l are the times of S and M of layer l, t_E is the time of E, and there are N samples. If
all times are one, except t_E = 0:

    rule        F_l       period   makespan
    PEPITA      l         L+1      2L + (N-1)(L+1)
    BP, FA      L-l+1     2L       2LN
    DFA         1         L+1      N(L+1)

Under DRTP no hidden layer waits for the error. S and M of a layer alternate, and layers follow each
other: with equal times 2 units per sample, L+1 + 2(N-1) in all.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rate_models.rules import Task
from streaming.schedule.dependencies import dependencies
from streaming.schedule.items import Item, Schedule
from streaming.schedule.plan import Times


def pipelined(tasks: Sequence[Task], times: Times, samples: int) -> tuple[float, float] | None:
    """(makespan, period) of the schedule ``pipelined``; None for rules that have no formula.

    tasks: the tasks of one sample as a rule declares them, the same for all samples.
    """
    waits = list(dependencies([Item(task, 0) for task in tasks], Schedule()))
    done = [0.0] * len(tasks)  # after the end of E
    error = next(i for i, task in enumerate(tasks) if task.kind == "E")
    after = {error}
    for i, task in enumerate(tasks):
        if task.kind == "M":
            before = [j for j in waits[i] if j in after]
            if not before:
                return None
            after.add(i)
            done[i] = max(done[j] for j in before) + times.of(task)
    rest = np.cumsum(times.standard[::-1])[::-1]  # s_l + ... + s_L
    updates = [(done[i], task.layer) for i, task in enumerate(tasks) if task.kind == "M"]
    period = times.error + max(time + rest[layer - 1] for time, layer in updates)
    fill = rest[0] + times.error + max(time for time, _ in updates)
    return float(fill + (samples - 1) * period), float(period)
