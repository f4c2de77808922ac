"""Refusal of schedules that cannot overlap samples, or that can be planned but not executed."""

from __future__ import annotations

from typing import Any

from rate_models.errors import BadOption
from rate_models.network import NetworkSpec
from rate_models.rules import Rule
from streaming.schedule.dependencies import Reason, dependencies
from streaming.schedule.items import Item, Schedule, items


def refuse_if_locked(rule: Rule, spec: NetworkSpec, hyper: Any, schedule: Schedule) -> None:
    """Raise BadOption, with a chain of waits, for a schedule under which no two items can ever run
    at the same time, though it is meant to overlap samples."""
    if schedule.kind == "sequential" or schedule.batch > 1 or schedule.delay:
        return  # with a batch or a delay S of the next sample waits for no update of this one
    todo = list(items(rule, spec, hyper, schedule, 2))
    waits = list(dependencies(todo, schedule))
    level: list[int] = []  # length of the longest chain of items before each
    for needed in waits:
        level.append(1 + max((level[j] for j in needed), default=-1))
    if max(level) + 1 < len(todo):
        return
    at = next(i for i, item in enumerate(todo) if item.sample == 1)
    steps = []
    for _ in range(3):
        before = max(waits[at])
        reason = _reason(waits[at][before])
        steps.append(f"{_name(todo[at])} waits for {_name(todo[before])} ({reason})")
        at = before
    raise BadOption(
        f"schedule of {rule.name}",
        got=str(schedule),
        expected="sequential, since no two items can run at the same time: "
        f"{', '.join(steps)}, and so on",
        remedy="samples of a batch overlap, and with copies of the weights delayed ones",
    )


def _name(item: Item) -> str:
    sample = "t+1" if item.sample else "t"
    return (
        f"E({sample})" if item.task.kind == "E" else f"{item.task.kind}({sample},{item.task.layer})"
    )


def _reason(reason: Reason) -> str:
    if isinstance(reason, str):
        return reason
    return reason[0] if reason[1] < 1 else f"{reason[0]}_{reason[1]}"


def refuse_if_planned_only(
    rule: Rule,
    spec: NetworkSpec,
    hyper: Any,
    schedule: Schedule,
    structured: bool,
    moving: bool,
) -> None:
    """Raise BadOption for a schedule that can be planned, but not executed.

    structured: whether the first layer has the structured form. moving: whether there is momentum
    or weight decay.
    """
    how, name = schedule, rule.name
    if how.weights == "copies" or (how.batch > 1 and how.delay):
        expected = "weights in place, and no delay of mini-batches: others are planned only"
        raise BadOption("schedule", got=str(how), expected=expected)
    if how.batch > 1 and not rule.batches(hyper):
        expected = f"one sample per update: {name} cannot accumulate all that it changes"
        raise BadOption(f"schedule of {name}", got=str(how), expected=expected)
    if how.batch > 1 and not structured:
        expected = "the structured form of the first layer"
        raise BadOption(f"schedule of {name}", got=str(how), expected=expected)
    if how.delay == 0:
        return
    tasks = rule.tasks(spec, hyper, 0)
    passed = {ref for task in tasks if task.kind == "S" for ref in task.reads}
    again = {ref for task in tasks if task.kind == "M" for ref in task.reads} & passed
    if again and not rule.delays(hyper):
        expected = f"no delay: with these hyperparameters {name} needs the weights as they are"
        raise BadOption(f"schedule of {name}", got=str(how), expected=expected)
    if again and how.weights == "stash" and (moving or not structured):
        expected = "no momentum and no weight decay: stashed weights are kept as rank-1 updates"
        raise BadOption(f"schedule of {name}", got=str(how), expected=expected)
