"""The planner: it makes several plans and returns the shortest."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from rate_models import rules
from rate_models.errors import BadOption, quoted
from rate_models.model.hyperparameters import checked
from rate_models.network import NetworkSpec
from rate_models.rules import Rule
from rate_models.support import estimates
from streaming.schedule import placing
from streaming.schedule.dependencies import dependencies
from streaming.schedule.items import Item, Schedule, items
from streaming.schedule.locking import refuse_if_locked
from streaming.schedule.plan import Floats, Ints, Plan, Times

MOST_WORKERS = 100_000  # of a plan, which may be for hardware that does not exist yet
Assignment = Literal["layers", "waves"]


def plan(
    rule: str,
    sizes: Sequence[int],
    schedule: Schedule,
    workers: int = 1,
    samples: int = 60,
    *,
    times: Times | None = None,
    handover: float = 0.0,
    assignment: Assignment | None = None,
    activation: str = "relu",
    options: Mapping[str, Any] | None = None,
) -> Plan:
    """The shortest plan of several. Of equally short ones, one in which workers own layers.

    sizes: n_0, ..., n_L. times: item times, default multiply-adds. handover: time until a worker
    sees what another has finished. assignment: the only one to try, None for all. options:
    hyperparameters of the rule by name.

    Raises BadOption for workers or samples below 1, invalid times, and a schedule under which no
    two items can ever run at the same time. Warns if some workers never get an item.
    """
    if samples < 1:
        raise BadOption("samples", got=samples, expected="1 or more")
    if not 0 <= handover < np.inf:
        raise BadOption("handover", got=handover, expected="a finite time, 0 or more")
    definition, spec, hyper = network(rule, sizes, activation, options or {})
    check(definition, spec, hyper, schedule, workers)
    estimates.check_planned("samples", samples, spec.layers)
    todo = list(items(definition, spec, hyper, schedule, samples))
    best = lay_out(todo, spec, schedule, workers, times, handover, assignment)
    warn_of_idle(best)
    return best


def warn_of_idle(plan: Plan) -> None:
    """Warn if some workers never get an item."""
    used = len(set(plan.worker.tolist()))
    if used < plan.workers:
        text = f"workers: {used} of {plan.workers} ever get an item; the others stay idle"
        warnings.warn(text, stacklevel=3)


def check(rule: Rule, spec: NetworkSpec, hyper: Any, schedule: Schedule, workers: int) -> None:
    """Raise BadOption for workers below 1, and for a schedule under which no two items can ever run
    at the same time."""
    if workers < 1:
        raise BadOption("workers", got=workers, expected="1 or more")
    if workers > MOST_WORKERS:
        raise BadOption("workers", got=quoted(workers), expected=f"at most {MOST_WORKERS:,}")
    refuse_if_locked(rule, spec, hyper, schedule)


def lay_out(
    todo: Sequence[Item],
    spec: NetworkSpec,
    schedule: Schedule,
    workers: int,
    times: Times | Floats | None = None,
    handover: float = 0.0,
    assignment: Assignment | None = None,
) -> Plan:
    """`plan` for given items, in the order of one worker; times: also an array, one per item."""
    durations = times if isinstance(times, np.ndarray) else _durations(todo, spec, times)
    earlier = [sorted(waits) for waits in dependencies(todo, schedule)]
    first = np.cumsum([0, *map(len, earlier)], dtype=np.int64)
    waits = np.fromiter((j for some in earlier for j in some), np.int64, first[-1])
    early = placing.earliest(durations, first, waits)
    urgent = -placing.remaining(durations, first, waits)
    best: Plan | None = None
    for kind, sharing in _candidates(workers, handover):
        if assignment not in (None, kind):
            continue
        bound = np.full(len(todo), -1) if kind == "waves" else owners(todo, durations, sharing)
        # in the order of earliest starts, twice in the order of the plan before, then by urgency
        start = early
        for turn in range(4):
            order = np.argsort(start if turn < 3 else urgent, kind="stable")
            where = placing.place(order, durations, first, waits, bound, workers, float(handover))
            one = Plan(
                spec, schedule, workers, handover, kind, todo, durations, first, waits, *where
            )
            if best is None or one.makespan < best.makespan * (1 - 1e-9):
                best = one
            start = one.start
    assert best is not None
    return best


def _candidates(workers: int, handover: float) -> list[tuple[Assignment, int]]:
    """Assignments to try, each with the number of workers that share the layers. With expensive
    hand-overs fewer workers may be faster."""
    shares = [workers >> k for k in range(workers.bit_length())] if handover else [workers]
    return [*(("layers", share) for share in shares), ("waves", workers)]


def network(
    rule: str, sizes: Sequence[int], activation: str, options: Mapping[str, Any]
) -> tuple[Rule, NetworkSpec, Any]:
    """The rule, the network and the hyperparameters, checked."""
    definition = rules.get(rule)
    hyper = checked(definition.hyperparameters(), **options)
    spec = NetworkSpec(tuple(sizes), activation, definition.loss)
    rules.check(definition, spec, hyper)
    return definition, spec, hyper


def _durations(todo: Sequence[Item], spec: NetworkSpec, times: Times | None) -> Floats:
    if times is None:
        return np.array([item.task.multiply_adds for item in todo], float)
    for name, several in (("standard", times.standard), ("modulated", times.modulated)):
        if len(several) != spec.layers or not all(0 < time < np.inf for time in several):
            expected = f"{spec.layers} finite times above 0, one a layer"
            raise BadOption(f"{name} times", got=several, expected=expected)
    if not 0 <= times.error < np.inf:
        raise BadOption("time of the error", got=times.error, expected="finite, 0 or more")
    return np.array([times.of(item.task) for item in todo], float)


def owners(todo: Sequence[Item], durations: Floats, workers: int) -> Ints:
    """The worker of each item (n,) if each worker owns consecutive layers of about equal work."""
    layers = max(item.task.layer for item in todo)
    layer = np.array([item.task.layer or layers for item in todo])  # E goes with the output
    work: Floats = np.bincount(layer, durations, layers + 1)[1:].astype(float)
    low, high = work.max(), work.sum() * (1 + 1e-9)  # sums differ by the order of their terms
    for _ in range(50):  # the smallest load with which the layers fit
        middle = (low + high) / 2
        low, high = (low, middle) if _groups(work, middle)[-1] < workers else (middle, high)
    return np.asarray(_groups(work, high)[layer - 1])


def _groups(work: Floats, most: float) -> Ints:
    """The group of each layer; groups are filled one after another up to a load of ``most``."""
    group, load, groups = 0, 0.0, []
    for one in work:
        if load + one > most and load > 0:
            group, load = group + 1, 0.0
        load += one
        groups.append(group)
    return np.array(groups)
