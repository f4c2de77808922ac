"""A plan as a runner executes it: int64 arrays that a compiled worker can walk."""

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
    """What each worker does, in its order, and what it waits for and tells.

    One row per item; worker w does rows begin[w] to begin[w+1], one after another. Row i:

        for k in range(wait[i], wait[i + 1]):
            until counters[on[k]] >= value[k]           # acquire
        do task[i] of sample[i]
        counters[task[i]] = sample[i] + 1               # release

    kind (C,), layer (C,): what task c is: 0 S, 1 E, 2 M, and of which layer; there is one counter
    for each task, at 0 before the first row. A counter only ever rises, whichever worker sets it.
    Waits for what the same worker did before, and such as an earlier row of the worker had to see
    already, are left out. ``slots`` of the plan says where a sample's arrays lie: sample t in place
    t mod slots[array]; that nobody overwrites what is still read is part of the waits.
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


def program(plan: Plan, places: int | None = None) -> Program:
    """The rows of every worker.

    places: how many samples' places every array has, in place of the plan's own numbers.
    Raises BadOption for copies of weights: they have no places yet.
    """
    if plan.schedule.delay and plan.schedule.weights == "copies":
        expected = "stash or current, which change weights in place"
        raise BadOption("weights of a program", got="copies", expected=expected)
    tasks: dict[tuple[str, int], int] = {}
    number = [tasks.setdefault(item.task[:2], len(tasks)) for item in plan.items]
    taken = _taken(plan, places)
    # what takes no time comes before what starts with it
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
        for j in chain(plan.waits[plan.first[i] : plan.first[i + 1]].tolist(), taken.get(i, ())):
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


def _taken(plan: Plan, places: int | None) -> dict[int, set[int]]:
    """For items that write to a sample's place: who must be done with what lay there before."""
    users: defaultdict[tuple[Ref, int], list[int]] = defaultdict(list)
    for i, (task, t) in enumerate(plan.items):
        for ref in (*task.reads, *task.writes):
            if ref in plan.slots:
                users[ref, t].append(i)
    found: defaultdict[int, set[int]] = defaultdict(set)
    lies: dict[tuple[Ref, int], int] = {}  # the sample that lies in a place
    written = {(ref, t) for task, t in plan.items for ref in task.writes}
    for ref, t in sorted(users.keys() - written, key=lambda of: of[1]):  # there from the start
        lies[ref, t % (places or plan.slots[ref])] = t
    for i, (task, t) in enumerate(plan.items):
        for ref in task.writes:
            place = ref, t % (places or plan.slots[ref])
            found[i] |= set(users.get((ref, lies.get(place, -1)), ()))
            lies[place] = t
    return found
