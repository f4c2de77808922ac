"""Work items in the order in which one worker executes them, which defines a schedule.

A parallel execution must have the same result as this order.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Self

from rate_models.errors import BadOption, quoted
from rate_models.network import NetworkSpec
from rate_models.rules import Ref, Rule, Task

Weights = Literal["stash", "current", "copies"]
WEIGHTS: tuple[Weights, ...] = ("stash", "current", "copies")

STASHED = "stashed "  # prefix of the names of weights that S keeps for M


class Item(NamedTuple):
    """A work item: a rule's task, for one sample (0, 1, ...)."""

    task: Task
    sample: int


@dataclass(frozen=True)
class Schedule:
    """Which samples may overlap.

    kind: sequential: all items of a sample come before any of the next. pipelined: an item waits
    only for the arrays that it needs, in the order of the sequential schedule, so the result is the
    same to the last bit. delayed: M of sample t comes after S of sample t + delay.
    batch: samples per update, streamed through the layers one after another. With batches the
    delay counts updates.
    weights, for a delay: stash: M of a sample uses the weights that its S used, and its update is
    applied to the current ones. current: M uses the current weights. copies: as stash, but every
    update makes a new copy of the weights, so that a pass can read one copy while an update writes
    the next.

    Raises BadOption for a delay below 0, a batch below 1, and for a delay without ``delayed``.
    """

    kind: Literal["sequential", "pipelined", "delayed"] = "pipelined"
    delay: int = 0
    batch: int = 1
    weights: Weights = "stash"

    def __post_init__(self) -> None:
        if self.delay < 0:
            raise BadOption("delay", got=self.delay, expected="0 or more samples")
        if self.batch < 1:
            raise BadOption("batch", got=self.batch, expected="1 sample per update or more")
        if self.weights not in WEIGHTS:
            raise BadOption(
                "weights", got=repr(self.weights), expected=f"one of {', '.join(WEIGHTS)}"
            )
        if self.delay and self.kind != "delayed":
            remedy = f"delayed:{self.delay} has one"
            raise BadOption("delay", got=self.delay, expected=f"0 if {self.kind}", remedy=remedy)

    @classmethod
    def parse(cls, text: str, batch: int = 1, weights: Weights = "stash") -> Self:
        """``sequential``, ``pipelined``, ``delayed:d`` or ``delayed:d:current``.

        >>> Schedule.parse("delayed:3").delay
        3
        >>> Schedule.parse("delayed:3:current").weights
        'current'
        >>> Schedule.parse("pipelined:3")
        Traceback (most recent call last):
        rate_models.errors.BadOption: schedule: got 'pipelined:3'; expected sequential, pipelined, \
delayed:d or delayed:d:current, for example delayed:3
        """
        expected = "sequential, pipelined, delayed:d or delayed:d:current, for example delayed:3"
        if not isinstance(text, str):
            raise BadOption("schedule", got=quoted(text), expected=expected)
        if text == "sequential":
            return cls("sequential", 0, batch, weights)
        if text == "pipelined":
            return cls("pipelined", 0, batch, weights)
        if match := re.fullmatch(r"delayed:(-?[0-9]{1,18})(:current)?", text):
            return cls("delayed", int(match[1]), batch, "current" if match[2] else weights)
        raise BadOption("schedule", got=quoted(text), expected=expected)

    def __str__(self) -> str:
        name = f"delayed:{self.delay}" if self.kind == "delayed" else self.kind
        name += f", {self.weights}" if self.delay else ""
        return name + (f", batches of {self.batch}" if self.batch > 1 else "")


def items(
    rule: Rule,
    spec: NetworkSpec,
    hyper: Any,
    schedule: Schedule,
    samples: int,
    seen: int = 0,
    waiting: int | None = None,
) -> Iterator[Item]:
    """All work items of ``samples`` samples in order.

    For each update of the weights there are S and E of its samples, then M of the samples of the
    update ``delay`` updates earlier.

    seen: samples before these.
    waiting: None if the stream ends with these samples. Otherwise the first ``waiting`` of them, at
    most the delay, have only M left, and the last ones wait for their M in turn. A mini-batch may
    then begin before these samples and end after them, and M of each of its samples comes before
    the next sample.
    """
    if waiting is not None and schedule.batch > 1:
        for t in range(samples):
            tasks = list(rule.tasks(spec, hyper, seen + t))
            ends = (seen + t + 1) % schedule.batch == 0
            yield from (Item(task, t) for task in _of_sample(tasks, schedule, ends))
        return
    due: deque[list[Item]] = deque()  # M of updates that are still delayed
    for first in range(0, samples, schedule.batch):
        learning: list[Item] = []
        for t in range(first, min(first + schedule.batch, samples)):
            ends = t + 1 == min(first + schedule.batch, samples)
            for task in _of_sample(list(rule.tasks(spec, hyper, seen + t)), schedule, ends):
                if task.kind == "M":
                    learning.append(Item(task, t))
                elif t >= (waiting or 0):
                    yield Item(task, t)
        due.append(learning)
        if len(due) > schedule.delay:
            yield from due.popleft()
    for learning in due if waiting is None else ():
        yield from learning


def _of_sample(tasks: list[Task], schedule: Schedule, ends: bool) -> list[Task]:
    """A rule's tasks, changed for the schedule; ends: the sample is the last of its batch."""
    if schedule.delay and schedule.weights != "current":
        tasks = _stashed(tasks)
    return [_summed(task, ends) for task in tasks] if schedule.batch > 1 else tasks


def _stashed(tasks: Sequence[Task]) -> list[Task]:
    """Tasks in which M reads the weights stashed by S, wherever it read the weights themselves."""
    updated = {ref for task in tasks for ref in task.updates}
    passed = {ref for task in tasks if task.kind == "S" for ref in task.reads} & updated
    again = {ref for task in tasks if task.kind == "M" for ref in task.reads} & passed
    changed = []
    for task in tasks:
        if task.kind == "M":
            task = task._replace(reads=tuple(_stash(r) if r in again else r for r in task.reads))
        elif kept := [ref for ref in task.reads if ref in again]:
            task = task._replace(writes=(*task.writes, *map(_stash, kept)))
        changed.append(task)
    return changed


def _stash(ref: Ref) -> Ref:
    return STASHED + ref[0], ref[1]


def _summed(task: Task, ends: bool) -> Task:
    """A task of a batch: it accumulates updates; the last sample of the batch applies the sum."""
    sums = tuple((f"sum {name}", layer) for name, layer in task.updates)
    return task._replace(updates=sums + (task.updates if ends else ()))
