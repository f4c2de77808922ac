"""Every order of the workers has the result of one worker."""

from __future__ import annotations

import hashlib
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rate_models import rules
from rate_models.errors import BadOption
from streaming.schedule.items import Schedule
from streaming.schedule.plan import Plan, Times, equal_times
from streaming.schedule.planner import plan
from streaming.schedule.program import KINDS, Program, program

EVERY = rules.names()

pytestmark = pytest.mark.filterwarnings("ignore:workers. ")


def planned(
    rule: str, layers: int, schedule: str = "pipelined", workers: int = 2, samples: int = 60,
    **more: Any,
) -> Plan:  # fmt: skip
    """A plan with equal item times unless ``times`` is given."""
    batch, weights = more.pop("batch", 1), more.pop("weights", "stash")
    more.setdefault("times", equal_times(layers))
    parsed = Schedule.parse(schedule, batch, weights)
    return plan(rule, (3,) * (layers + 1), parsed, workers, samples, **more)


class Race(Exception):
    """An array was read while another item was writing it."""


def combined(*parts: object) -> bytes:
    return hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()


def in_order(result: Plan) -> dict[Any, bytes]:
    """The learned arrays after all items in order, with no slot shared between samples."""
    values: dict[Any, bytes] = {}
    for (kind, layer, _, reads, writes, updates), t in result.items:
        seen = [values.get((ref, t), values.get(ref)) for ref in (*reads, *updates)]
        for ref in updates:
            values[ref] = combined(kind, layer, t, ref, seen)
        for ref in writes:
            values[ref, t] = combined(kind, layer, t, ref, seen)
    learned = {ref for item in result.items for ref in item.task.updates}
    return {ref: values[ref] for ref in learned}


def by_workers(
    result: Plan, p: Program, rng: random.Random, leave_out: int = -1
) -> dict[Any, bytes]:
    """The same, executed by workers of random speed in the slots that the plan has.

    leave_out: a wait that is not obeyed.
    """
    task = {(KINDS.index(i.task.kind), i.task.layer, i.sample): i.task for i in result.items}
    at, counters = p.begin[:-1].tolist(), [0] * len(p.kind)
    values: dict[Any, bytes] = {}
    busy: dict[int, Any] = {}  # worker: (what it read, what it writes)

    def slot(ref: Any, t: int) -> Any:
        return (ref, t % result.slots[ref]) if ref in result.slots else ref

    def ready(w: int) -> bool:
        if w in busy:
            return True
        row = at[w]
        return row < p.begin[w + 1] and all(
            counters[p.on[k]] >= p.value[k] or k == leave_out
            for k in range(p.wait[row], p.wait[row + 1])
        )

    while able := [w for w in range(result.workers) if ready(w)]:
        w = rng.choice(able)
        row = at[w]
        c, t = int(p.task[row]), int(p.sample[row])
        kind, layer, _, reads, writes, updates = task[int(p.kind[c]), int(p.layer[c]), t]
        if w in busy:
            seen, *_ = busy.pop(w)
            for ref in (*writes, *updates):
                values[slot(ref, t)] = combined(kind, layer, t, ref, seen)
            counters[c], at[w] = t + 1, row + 1
            continue
        writing = {slot(ref, t) for ref in (*writes, *updates)}
        reading = {slot(ref, t) for ref in (*reads, *updates)}
        for _, others, read in busy.values():
            if others & (writing | reading) or read & writing:
                raise Race
        busy[w] = [values.get(slot(ref, t)) for ref in (*reads, *updates)], writing, reading
    assert at == p.begin[1:].tolist(), "deadlock"
    return {ref: values[ref] for ref in in_order(result)}


@pytest.mark.parametrize("rule", EVERY)
@pytest.mark.parametrize("weights", ["stash", "current"])
@pytest.mark.parametrize(
    ("schedule", "batch"), [("pipelined", 1), ("pipelined", 3), ("delayed:2", 1), ("delayed:1", 2)]
)
def test_slow_and_fast_workers_agree(rule: str, schedule: str, batch: int, weights: str) -> None:
    layers = 2 if rule == "bmvr" else 4
    how = {"schedule": schedule, "batch": batch, "weights": weights}
    try:
        result = planned(rule, layers, workers=3, samples=9, times=None, **how)
    except BadOption as locked:
        assert "no two items" in str(locked) and how["batch"] == 1
        return
    for seed in range(5):
        assert by_workers(result, program(result), random.Random(seed)) == in_order(result)


@given(
    rule=st.sampled_from(["pepita", "drtp", "adaptive_feedback_alignment", "forward_forward"]),
    layers=st.integers(2, 7), workers=st.integers(1, 9), delay=st.integers(0, 8),
    batch=st.integers(1, 5), weights=st.sampled_from(["stash", "current"]),
    assignment=st.sampled_from(["layers", "waves", None]), seed=st.integers(0, 99),
)  # fmt: skip
@settings(max_examples=60)
def test_no_item_reads_what_another_may_write(
    rule: str, layers: int, workers: int, delay: int, batch: int, weights: str,
    assignment: Any, seed: int,
) -> None:  # fmt: skip
    rng = random.Random(seed)
    times = Times(*(tuple(rng.uniform(0.1, 3) for _ in range(layers)) for _ in "SM"), rng.random())
    result = planned(
        rule, layers, f"delayed:{delay}", workers, 2 * batch + 7, batch=batch, weights=weights,
        assignment=assignment, times=times, handover=rng.choice([0, 0.3]),
    )  # fmt: skip
    assert by_workers(result, program(result), rng) == in_order(result)


def test_mirroring_is_a_barrier() -> None:
    options = {"init": "he_normal", "sign": -1, "mirror_before": 2, "mirror_every": 4}
    result = planned("pepita", 4, workers=4, samples=12, options=options)
    for seed in range(10):
        assert by_workers(result, program(result), random.Random(seed)) == in_order(result)
    at = {(*item.task[:2], item.sample): i for i, item in enumerate(result.items)}
    for t in range(3, 12):
        waits = result.start[at["M", 1, t]] >= result.finish[at["M", 4, t - 1]]
        assert waits or (t - 2) % 4 != 3


@pytest.mark.parametrize("case", [("pepita", "pipelined", 1), ("drtp", "delayed:2", 2)], ids=str)
def test_every_wait_is_needed(case: tuple[str, str, int]) -> None:
    """Without it some order of the workers has a race or another result, unless others imply it."""
    rule, schedule, batch = case
    result = planned(rule, 3, schedule, workers=3, samples=5, batch=batch, assignment="layers")
    p, right = program(result), in_order(result)
    needed = [k for k in range(len(p.on)) if not implied(p, k)]
    assert len(needed) >= 10
    for k in needed:
        assert any(fails(result, p, k, right, seed) for seed in range(500))


def fails(result: Plan, p: Program, k: int, right: dict[Any, bytes], seed: int) -> bool:
    try:
        return by_workers(result, p, random.Random(seed), leave_out=k) != right
    except Race:
        return True


def implied(p: Program, left_out: int) -> bool:
    """Whether the other waits and the order of each worker imply this one."""
    row_of = {
        (int(c), int(t) + 1): row for row, (c, t) in enumerate(zip(p.task, p.sample, strict=True))
    }
    (row,) = (i for i in range(len(p.task)) if p.wait[i] <= left_out < p.wait[i + 1])
    ends, todo, before = set(p.begin.tolist()), [row], set()
    while todo:
        i = todo.pop()
        around = [i - 1] if i not in ends else []
        around += [
            row_of[int(p.on[k]), int(p.value[k])]
            for k in range(p.wait[i], p.wait[i + 1]) if k != left_out
        ]  # fmt: skip
        todo += set(around) - before
        before |= set(around)
    return row_of[int(p.on[left_out]), int(p.value[left_out])] in before
