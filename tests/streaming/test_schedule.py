"""Schedules: literal tables, closed forms, and results that no order of the workers changes."""

from __future__ import annotations

import hashlib
import random
import time
import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rate_models import rules
from rate_models.errors import BadOption
from rate_models.network import NetworkSpec
from streaming.cli import main
from streaming.schedule import closed_form
from streaming.schedule.dependencies import dependencies
from streaming.schedule.items import Schedule, items
from streaming.schedule.plan import Plan, Times, equal_times
from streaming.schedule.planner import network, plan
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


def chart(result: Plan) -> list[str]:
    """A line per worker, a column per unit of time; ' and " mark the second and third sample."""
    lines = [["   "] * round(result.makespan) for _ in range(result.workers)]
    for (task, t), worker, start in zip(result.items, result.worker, result.start, strict=True):
        if task.kind != "E":
            assert lines[worker][round(start)] == "   ", "two items at once"
            lines[worker][round(start)] = f"{task.kind}{task.layer}" + " '\""[t]
    return ["".join(line).rstrip() for line in lines]


TABLES = {
    ("pepita", "sequential", 3, 1, 2): ["S1 S2 S3 M1 M2 M3 S1'S2'S3'M1'M2'M3'"],
    ("pepita", "pipelined", 3, 2, 3): [
        "S1 S2 S3 M1 M2 M3 S3'M1'M2'M3'S3\"M1\"M2\"M3\"",
        "            S1'S2'      S1\"S2\"",
    ],
    ("direct_feedback_alignment", "pipelined", 2, 2, 2): [
        "S1    M1 S1'   M1'",
        "   S2 M2    S2'M2'",
    ],
    ("drtp", "pipelined", 2, 2, 2): [
        "S1 M1 S1'M1'",
        "   S2 M2 S2'M2'",
    ],
    ("backprop", "delayed:1", 2, 1, 3): ["S1 S2 S1'S2'M2 M1 S1\"S2\"M2'M1'M2\"M1\""],
    ("pepita", "delayed:1", 2, 2, 3): [
        "S1 S1'M1 S1\"M1'M1\"",
        "   S2 S2'M2 S2\"M2'M2\"",
    ],
}


@pytest.mark.parametrize("case", TABLES, ids=str)
def test_small_schedules(case: tuple[str, str, int, int, int]) -> None:
    rule, schedule, layers, workers, samples = case
    assert chart(planned(rule, layers, schedule, workers, samples)) == TABLES[case]


def test_batches_through_the_layers() -> None:
    assert chart(planned("pepita", 3, batch=3, workers=3, samples=3)) == [
        "S1 S1'S1\"M1 M1'M1\"",
        "   S2 S2'S2\"M2 M2'M2\"",
        "      S3 S3'S3\"M3 M3'M3\"",
    ]


@pytest.mark.parametrize("layers", [2, 3, 5, 8])
@pytest.mark.parametrize("samples", [1, 2, 60])
def test_makespans_of_one_sample_per_update(layers: int, samples: int) -> None:
    """The table of formulas, units of one item."""
    L, N = layers, samples
    for workers in (2, 3, L):
        assert planned("pepita", L, workers=workers, samples=N).makespan == 2 * L + (N - 1) * (
            L + 1
        )
    assert planned("direct_feedback_alignment", L, workers=L, samples=N).makespan == N * (L + 1)
    assert planned("drtp", L, workers=L, samples=N).makespan == L + 1 + 2 * (N - 1)
    for rule in ("backprop", "pepita"):
        assert planned(rule, L, "sequential", workers=L, samples=N).makespan == 2 * L * N


def test_the_example_of_the_text() -> None:
    rules = ("pepita", "direct_feedback_alignment", "drtp")
    assert [planned(rule, 3, workers=3).makespan for rule in rules] == [242, 240, 122]
    assert planned("backprop", 3, "sequential").makespan == 360


@pytest.mark.parametrize(("layers", "batch"), [(3, 4), (4, 4), (4, 2), (5, 16), (2, 1)])
def test_makespans_of_batches(layers: int, batch: int) -> None:
    """A worker per layer, as the formulas suppose."""
    L, B, n = layers, batch, 6
    batches: dict[str, Any] = {"workers": L, "samples": n * B, "batch": B, "assignment": "layers"}
    assert planned("pepita", L, **batches).makespan == n * (B + max(B, L)) + L - 1
    assert planned("drtp", L, **batches).makespan <= 2 * B * n + L - 1
    if B > 1:
        assert planned("backprop", L, **batches).makespan == n * 2 * (B + L - 1)
    if B >= L:  # no bubble: a worker per layer is busy but for filling and emptying
        assert planned("pepita", L, **batches).speedup == 2 * L * n * B / (2 * n * B + L - 1)


@pytest.mark.parametrize(("layers", "delay"), [(4, 1), (4, 2), (4, 4), (6, 3)])
def test_periods_of_delays(layers: int, delay: int) -> None:
    """max(2L/P, (L+1)/(d+1)); 2L in place of L+1 if errors pass backwards; P = 2 or 2L workers."""
    L, d = layers, delay
    free: dict[str, Any] = {"schedule": f"delayed:{d}", "samples": 400, "weights": "copies"}
    for rule, cycle in (
        ("pepita", L + 1),
        ("direct_feedback_alignment", L + 1),
        ("backprop", 2 * L),
    ):
        for workers in (2, 2 * L):
            period = max(2 * L / workers, cycle / (d + 1))
            result = planned(rule, L, workers=workers, **free).period
            assert result == pytest.approx(period, rel=0.02), (rule, workers)
    # in place, S and M of a layer alternate: at least two units; a worker per layer is enough
    in_place = planned("pepita", L, f"delayed:{d}", L, 400)
    assert in_place.period == pytest.approx(max(2, (L + 1) / (d + 1)), rel=0.02)


@given(st.data(), st.integers(2, 7))
@settings(max_examples=40)
def test_the_period_with_any_item_times(data: Any, layers: int) -> None:
    """The longest cycle: M up to a layer l, S of the next sample from there on, and E."""
    time = st.integers(1, 9).map(float)
    s, m = (data.draw(st.lists(time, min_size=layers, max_size=layers)) for _ in range(2))
    e = data.draw(st.integers(0, 5).map(float))
    result = planned("pepita", layers, workers=2 * layers, times=Times(tuple(s), tuple(m), e))
    longest = max(sum(m[: k + 1]) + sum(s[k:]) for k in range(layers)) + e
    assert result.period == longest
    assert result.makespan == pytest.approx(sum(s) + e + sum(m) + 59 * longest)


def test_a_hand_over_costs() -> None:
    """Two workers with two layers each hand over twice per sample; if that is slow, one is best."""
    cheap, expensive = (planned("pepita", 4, handover=cost) for cost in (0.1, 100.0))
    assert planned("pepita", 4).makespan < cheap.makespan < 480
    assert expensive.makespan == 480 and set(expensive.worker.tolist()) == {0}
    for result in (cheap, expensive):
        for i, _ in enumerate(result.items):
            for j in result.waits[result.first[i] : result.first[i + 1]]:
                far = result.handover if result.worker[i] != result.worker[j] else 0
                assert result.start[i] >= result.finish[j] + far


@given(
    st.sampled_from(["pepita", "drtp"]), st.integers(2, 6), st.integers(1, 9),
    st.floats(0, 9), st.integers(0, 3),
)  # fmt: skip
@settings(max_examples=40)
def test_workers_are_never_worse_than_one(
    rule: str, layers: int, workers: int, handover: float, delay: int
) -> None:
    result = planned(rule, layers, f"delayed:{delay}", workers, 25, handover=handover)
    work = 2 * layers * 25
    assert max(work / min(workers, 2 * layers), result.critical) <= result.makespan <= work
    assert (result.utilisation <= 1).all() and result.utilisation.sum() == pytest.approx(
        result.speedup
    )


@pytest.mark.parametrize("rule", EVERY)
@given(data=st.data())
@settings(max_examples=15)
def test_closed_form(rule: str, data: Any) -> None:
    """It equals the simulation for every rule whose layers all wait for the error."""
    layers = 2 if rule == "bmvr" else data.draw(st.integers(2, 6))
    unit = st.integers(1, 9).map(float)
    s, m = (data.draw(st.lists(unit, min_size=layers, max_size=layers)) for _ in range(2))
    times = Times(tuple(s), tuple(m), data.draw(st.integers(0, 5).map(float)))
    definition, spec, hyper = network(rule, (3,) * (layers + 1), "relu", {})
    result = closed_form.pipelined(definition.tasks(spec, hyper, 0), times, 30)
    if rule in ("drtp", "bmvr", "forward_forward"):  # whose hidden layers do not wait for E
        assert result is None
        return
    assert result is not None
    how = Schedule()
    todo = list(items(definition, spec, hyper, how, 30))
    ends: list[float] = []  # every item starts as early as its waits allow
    for item, waits in zip(todo, dependencies(todo, how), strict=True):
        ends.append(max((ends[j] for j in waits), default=0.0) + times.of(item.task))
    assert result[0] == max(ends)


# Every order of the workers has the result of one worker.


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


def synapses(*sizes: int) -> int:
    return sum(n * m for n, m in pairwise(sizes))


# multiply-adds of a sample for n_0, ..., n_L, counted by hand; and whether layer 1 learns first
STATED: dict[str, tuple[Callable[..., int], bool]] = {
    # the pass, F e, the errors up to h_{L-1}, the update
    "adaptive_feedback_alignment": (
        lambda *n: 3 * synapses(*n) + n[0] * n[-1] - n[-2] * n[-1], True),
    # passes forward and back (not to the input), the update
    "backprop": (lambda *n: 3 * synapses(*n) - n[0] * n[1], False),
    # forward, apical current, R z and Q n, the update of all four matrices
    "bmvr": (lambda *n: 2 * synapses(*n) + n[-1] * n[1] + 4 * n[1] ** 2, True),
    "direct_feedback_alignment": (lambda *n: 2 * synapses(*n) + n[-1] * sum(n[1:-1]), False),
    "drtp": (lambda *n: 2 * synapses(*n) + n[-1] * sum(n[1:-1]), True),
    "feedback_alignment": (lambda *n: 3 * synapses(*n) - n[0] * n[1], False),
    # the neutral pass, K y, K ȳ, two passes up to h_{L-1}, two terms of ΔW below L
    "forward_forward": (
        lambda *n: 5 * synapses(*n) + 2 * n[0] * n[-1] - 3 * n[-2] * n[-1], True),
    # both passes (layer 1 once), errors back, the updates of B and W
    "node_perturbation": (lambda *n: 5 * synapses(*n) - 3 * n[0] * n[1], False),
    # the standard pass, F e, the modulated pass up to h_{L-1}, the update
    "pepita": (lambda *n: 3 * synapses(*n) + n[0] * n[-1] - n[-2] * n[-1], True),
    "reinforce": (lambda *n: 3 * synapses(*n) - n[0] * n[1], False),
    "sign_symmetry": (lambda *n: 3 * synapses(*n) - n[0] * n[1], False),
}  # fmt: skip


@pytest.mark.parametrize("rule", EVERY)
def test_cost_and_order_follow_from_the_work_items(rule: str) -> None:
    definition, (cost, ascending) = rules.get(rule), STATED[rule]
    assert definition.ascending == ascending
    for sizes in ((784, 256, 10), (7, 5, 4, 3), (9, 6, 5, 4, 3)):
        if rule == "bmvr" and len(sizes) > 3:
            with pytest.raises(BadOption, match="one hidden layer"):
                definition.multiply_adds(sizes)
        else:
            assert definition.multiply_adds(sizes) == cost(*sizes)


@pytest.mark.parametrize("rule", EVERY)
def test_the_work_items_of_a_rule(rule: str) -> None:
    """One S per layer, one E, and each M after all that it reads."""
    definition = rules.get(rule)
    for sizes in ((7, 5, 4, 3), (7, 5, 3)):
        spec = NetworkSpec(sizes, loss=definition.loss)
        try:
            rules.check(definition, spec)
        except BadOption:
            continue
        tasks = definition.tasks(spec, definition.hyperparameters(), 0)
        kinds = [(task.kind, task.layer) for task in tasks]
        last = spec.layers
        assert kinds[: last + 1] == [*(("S", n) for n in range(1, last + 1)), ("E", 0)]
        order = range(1, last + 1)
        learning = [layer for kind, layer in kinds[last + 1 :] if kind == "M"]
        assert sorted(learning) == sorted(order)
        written = [ref for task in tasks for ref in task.writes]
        assert len(set(written)) == len(written)
        assert {("W", n) for n in order} <= {ref for task in tasks for ref in task.updates}
        there: set[Any] = set()
        for task in tasks:
            assert {ref for ref in task.reads if ref in written} <= there
            there |= set(task.writes)


def test_mirroring_happens_when_the_rule_counts_it() -> None:
    from rate_models.rules import _mirroring

    pepita = rules.get("pepita")
    for before, every in ((0, 3), (4, 0), (3, 5)):
        hyper = pepita.hyperparameters(mirror_before=before, mirror_every=every)
        params = {"phase": np.zeros(1)}
        counted = [_mirroring.turn(params, hyper, 1) for _ in range(25)]
        assert counted == [_mirroring.when(hyper, t) for t in range(25)]


@pytest.mark.parametrize("rule", ["backprop", "feedback_alignment", "node_perturbation"])
def test_the_error_of_a_locked_rule_names_the_waits(rule: str) -> None:
    with pytest.raises(BadOption, match=r"S\(t\+1,1\) waits for M\(t,1\) \(W_1\), M\(t,1\) waits"):
        planned(rule, 3)
    planned(rule, 3, batch=4)  # but batches overlap


def test_errors() -> None:
    for match, wrong in (
        ("workers: got 0", {"workers": 0}),
        ("samples: got 0", {"samples": 0}),
        ("delay: got -1", {"schedule": "delayed:-1"}),
        ("schedule: got 'wave'", {"schedule": "wave"}),
        ("batch: got 0", {"batch": 0}),
        ("handover: got -1", {"handover": -1}),
        ("standard times", {"times": Times((1.0,), (1.0, 1.0))}),
        ("modulated times", {"times": Times((1.0, 1.0), (1.0, 0.0))}),
        ("weights", {"weights": "old"}),
    ):
        with pytest.raises(BadOption, match=match):
            planned("pepita", 2, **wrong)


def test_idle_workers_are_warned_of() -> None:
    with pytest.warns(UserWarning, match="workers: 2 of 7 ever get an item"):
        plan("pepita", (4, 3, 2), Schedule(), 7)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plan("pepita", (4, 3, 2), Schedule(), 2)


def test_every_layer_has_an_owner_whatever_the_rounding() -> None:
    """Sums of times differ in the last bit by the order of their terms."""
    rng = np.random.default_rng(0)
    for _ in range(100):
        layers, workers = int(rng.integers(9, 20)), int(rng.integers(1, 4))
        times = Times(*(tuple(rng.uniform(0.1, 1, layers).tolist()) for _ in "SM"))
        result = planned("pepita", layers, workers=workers, times=times, assignment="layers")
        assert set(result.worker) <= set(range(workers))


def test_a_thousand_layers_and_workers_take_seconds() -> None:
    began = time.perf_counter()
    result = planned("pepita", 1000, workers=1000, samples=20)
    assert result.makespan == 2000 + 19 * 1001
    assert result.held > 0 and time.perf_counter() - began < 30


def test_memory_by_hand() -> None:
    """Three layers of three units, in order: x, y, h_1..h_3, then e instead of y and h_3.

    Reserved are slots for every array: these six, and δ_1, δ_2 or p_1, p_2.
    """
    for rule in ("backprop", "pepita"):
        result = planned(rule, 3, "sequential", samples=5)
        assert (result.held, result.reserved) == (5 * 3, 8 * 3)
    # a worker per layer: S of the next sample never waits for a free slot
    batches = planned("pepita", 3, workers=3, batch=8, samples=16)
    assert batches.slots["h", 1] >= 3 and batches.stashed == 0
    assert planned("pepita", 3, "delayed:2", 3).stashed > 0
    assert planned("pepita", 3, "delayed:2", 3, weights="current").stashed == 0


@given(st.sampled_from(["pepita", "drtp", "backprop"]), st.integers(2, 5), st.integers(0, 3))
@settings(max_examples=20)
def test_held_memory_is_the_largest_need_at_one_time(rule: str, layers: int, delay: int) -> None:
    """By counting, at each time and for each array, the samples from first write to last use."""
    schedule = f"delayed:{delay}" if delay else "sequential"
    result = planned(rule, layers, schedule, 3, samples=8, weights="current")
    alive: dict[Any, list[float]] = {}
    for i, (task, t) in enumerate(result.items):
        for ref in task.writes:
            alive[ref, t] = [result.start[i], result.finish[i]]
        for ref in task.reads:
            if (ref, t) in alive:
                alive[ref, t][1] = max(alive[ref, t][1], result.finish[i])
    moments = np.arange(0.5, result.makespan)
    held = max(sum(3 for begin, end in alive.values() if begin < now < end) for now in moments)
    assert result.held == held


@pytest.mark.parametrize("rule", EVERY)
@pytest.mark.parametrize(("delay", "batch"), [(0, 1), (3, 1), (1, 4), (0, 3)])
def test_how_old_the_weights_of_a_pass_are(rule: str, delay: int, batch: int) -> None:
    """S of a sample uses all updates but those of the last ``delay`` batches and its own."""
    definition = rules.get(rule)
    spec, how = NetworkSpec((3, 3, 3), loss=definition.loss), Schedule("delayed", delay, batch)
    updates = dict.fromkeys((1, 2), 0)
    todo = list(items(definition, spec, definition.hyperparameters(), how, 22))
    for task, t in todo:
        if task.kind == "S":
            assert updates[task.layer] == max(0, t // batch - delay)
        elif ("W", task.layer) in task.updates:
            updates[task.layer] += 1
    assert len(todo) == 22 * 5 and set(updates.values()) == {-(-22 // batch)}


def test_the_order_of_a_delay() -> None:
    definition = rules.get("pepita")
    spec, how = NetworkSpec((3, 3, 3)), Schedule("delayed", 2)
    todo = list(items(definition, spec, definition.hyperparameters(), how, 6))
    assert all(j < i for i, result in enumerate(dependencies(todo, how)) for j in result)
    assert [(i.task.kind, i.sample) for i in todo if i.task.layer == 1][:5] == [
        ("S", 0), ("S", 1), ("S", 2), ("M", 0), ("S", 3)
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["x.zz", "x", "x.pgf", "folder.png", "nowhere/x.png", ".png"])
def test_a_picture_that_cannot_be_written_is_refused_first(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(SystemExit) as ended:
        main(["schedule", "--samples", "20", "--out", str(tmp_path / name)])
    out, err = capsys.readouterr()
    assert ended.value.code == 2 and out == "" and err.startswith("error: --out: got ")


@pytest.mark.parametrize("ending", [".PNG", ".svg", ".pdf", ".jpg", ".webp", ".tiff", ".eps"])
def test_pictures_have_the_format_of_their_name(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"p{ending}"
    with pytest.raises(SystemExit) as ended:
        main(["schedule", "--samples", "20", "--layers", "8,6,3", "--out", str(path)])
    assert not ended.value.code and path.stat().st_size > 1000
