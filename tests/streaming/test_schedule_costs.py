"""Cost, memory and order of schedules and of the work items of rules."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rate_models import rules
from rate_models.errors import BadOption
from rate_models.network import NetworkSpec
from streaming.schedule.dependencies import dependencies
from streaming.schedule.items import Schedule, items
from streaming.schedule.plan import Plan, equal_times
from streaming.schedule.planner import plan

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
