"""A plan as int64 arrays, which the compiled workers of a runner execute."""

from __future__ import annotations

from collections import defaultdict
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rate_models.errors import BadOption
from rate_models.rules import Ref
from streaming.schedule.plan import Plan

Ints = NDArray[np.int64]


class Program(NamedTuple):
    """The items of each worker in order, with the counters to wait for and to set.

    There is one row per item. Worker w executes rows begin[w] to begin[w+1]. Row i means:

        for k in range(wait[i], wait[i + 1]):
            wait until counters[on[k]] >= value[k]      # acquire
        execute task[i] of sample[i]
        counters[task[i]] = sample[i] + 1               # release

    kind (C,), layer (C,): the kind (0 S, 1 E, 2 M) and the layer of task c. There is one counter
    for each task, at 0 before the first row. A counter never decreases, whichever worker sets it.
    Left out are waits for items of the same worker, and waits that an earlier row of the worker
    already includes. The arrays of sample t lie in slot t mod slots[array], with ``slots`` of the
    plan. The waits also make sure that no slot is overwritten while it is still read.
    """

    kind: Ints
    layer: Ints
    begin: Ints
    task: Ints
    sample: Ints
    wait: Ints
    on: Ints
    value: Ints


KINDS = ("S", "E", "M")


def program(plan: Plan, slots: int | None = None) -> Program:
    """The rows of all workers.

    slots: buffer slots of every array, instead of the plan's own numbers.
    Raises BadOption for copies of weights, which no buffer holds.
    """
    if plan.schedule.delay and plan.schedule.weights == "copies":
        expected = "stash or current, which change weights in place"
        raise BadOption("weights of a program", got="copies", expected=expected)
    tasks: dict[tuple[str, int], int] = {}
    number = [tasks.setdefault(item.task[:2], len(tasks)) for item in plan.items]
    occupied = _occupied(plan, slots)
    # an item that takes no time comes before items that start at the same time
    rows = np.lexsort((np.arange(len(number)), plan.finish, plan.start, plan.worker))
    begin = np.searchsorted(plan.worker[rows], np.arange(plan.workers + 1))
    wait: list[int] = [0]
    on: list[int] = []
    value: list[int] = []
    seen: dict[int, int] = {}
    worker = -1
    for i in rows:
        if plan.worker[i] != worker:
            worker, seen = int(plan.worker[i]), {}
        needed: dict[int, int] = {}
        for j in chain(plan.waits[plan.first[i] : plan.first[i + 1]].tolist(), occupied.get(i, ())):
            done = plan.items[j].sample + 1
            if plan.worker[j] != worker and seen.get(number[j], 0) < done:
                needed[number[j]] = max(done, needed.get(number[j], 0))
        seen |= needed
        on += needed.keys()
        value += needed.values()
        wait.append(len(on))
    return Program(
        np.array([KINDS.index(kind) for kind, _ in tasks]),
        np.array([layer for _, layer in tasks]),
        begin,
        np.array(number)[rows],
        np.array([plan.items[i].sample for i in rows]),
        np.array(wait),
        np.array(on, np.int64),
        np.array(value, np.int64),
    )


def _occupied(plan: Plan, slots: int | None) -> dict[int, set[int]]:
    """For items that write to a slot: the items that use its previous sample, which come first."""
    users: defaultdict[tuple[Ref, int], list[int]] = defaultdict(list)
    for i, (task, t) in enumerate(plan.items):
        for ref in (*task.reads, *task.writes):
            if ref in plan.slots:
                users[ref, t].append(i)
    earlier: defaultdict[int, set[int]] = defaultdict(set)
    sample_in: dict[tuple[Ref, int], int] = {}  # the sample in each slot
    written = {(ref, t) for task, t in plan.items for ref in task.writes}
    for ref, t in sorted(users.keys() - written, key=lambda of: of[1]):  # there from the start
        sample_in[ref, t % (slots or plan.slots[ref])] = t
    for i, (task, t) in enumerate(plan.items):
        for ref in task.writes:
            slot = ref, t % (slots or plan.slots[ref])
            earlier[i] |= set(users.get((ref, sample_in.get(slot, -1)), ()))
            sample_in[slot] = t
    return earlier
