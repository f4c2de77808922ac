"""Several threads have the result of one thread to the last bit, under every schedule."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import EVERYTHING, PLAIN, Case
from threads import CASES, SEGMENT, UNEVEN, contents, delayed, same, scheduled

from rate_models import rules
from rate_models.errors import BadOption
from rate_models.online import kernel
from streaming.schedule.plan import Times
from streaming.schedule.program import program
from streaming.threads import kernels, runner
from streaming.threads.network import ASSIGNMENTS
from streaming.threads.runner import Segment

pytestmark = [
    pytest.mark.filterwarnings("ignore:workers. "),
    pytest.mark.usefixtures("short_segments"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("workers", [2, 3, 4])
def test_pipelined_is_sequential_to_the_last_bit(case: Case, workers: int) -> None:
    same(case, workers)


@pytest.mark.parametrize("depth", range(2, 9))
def test_any_depth_in_single_precision(depth: int) -> None:
    case = Case("pepita", (*UNEVEN[:depth], 5), EVERYTHING, hyper={"dropout": 0.2})
    for workers in (1, 2, 3, 4):
        plain, net = case.online("float32"), scheduled(case, workers, "float32")
        samples = case.samples(120)
        wanted = contents(plain, case.learn(plain, *samples))
        assert contents(net, case.learn(net, *samples)) == wanted


@pytest.mark.slow
@pytest.mark.parametrize("rule", rules.names())
def test_every_rule_that_can_be_pipelined(rule: str) -> None:
    hyper = rules.get(rule).hyperparameters._fields
    case = Case(rule, (30, 16, 5), hyper={"dropout": 0.2} if "dropout" in hyper else {})
    try:
        scheduled(case, 2)
    except BadOption as locked:
        assert "waits for" in str(locked)
        return
    same(case, 3)
    if rule != "bmvr":
        same(replace(case, sizes=(*UNEVEN[:4], 5), optimizer=EVERYTHING), 4)


def test_folding_happens_at_the_same_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every 8,192 samples pending updates of the first layer are folded, also inside a segment."""
    case = Case("pepita", (12, 8, 5, 3))
    n = kernel.FOLD_EVERY
    samples = case.samples(n + 100)
    plain, net = case.online(), scheduled(case, 2)
    for one in (plain, net):
        case.learn(one, *(part[:70] for part in samples))
        case.learn(one, *(part[70:] for part in samples))
    assert contents(net) == contents(plain)


def repeated(workers: int, times: int) -> None:
    case = Case("pepita", UNEVEN, hyper={"dropout": 0.2})
    samples = case.samples(64)
    plain = case.online()
    wanted = contents(plain, case.learn(plain, *samples))
    for _ in range(times):
        net = scheduled(case, workers)
        assert contents(net, case.learn(net, *samples)) == wanted


def test_more_workers_than_cores() -> None:
    repeated(8, 10)


@pytest.mark.slow
def test_under_load_again_and_again() -> None:
    burn = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(4)]
    try:
        repeated(4, 50)
    finally:
        for one in burn:
            one.kill()
            one.wait()


def hurried(segment: Segment) -> Segment:
    """The rows of all workers in one possible order of execution: S as early as its waits allow."""
    rows = segment.rows
    at, counters, order = rows.begin[:-1].copy(), np.zeros(len(rows.kind), int), list[int]()
    while (left := np.flatnonzero(at < rows.begin[1:])).size:
        free = [
            row for row in at[left]
            if all(counters[rows.on[k]] >= rows.value[k] for k in range(*rows.wait[row : row + 2]))
        ]  # fmt: skip
        order.append(min(free, key=lambda row: (rows.kind[rows.task[row]], row)))
        counters[rows.task[order[-1]]] = rows.sample[order[-1]] + 1
        at[rows.begin.searchsorted(order[-1], "right") - 1] += 1
    alone = {"begin": np.array([0, len(order)]), "wait": np.zeros(len(order) + 1, np.int64)}
    alone |= {name: getattr(rows, name)[order] for name in ("task", "sample", "turn")}
    return replace(segment, rows=rows._replace(**alone), row_of=np.argsort(order)[segment.row_of])


@pytest.mark.parametrize("hasty", [False, True])
def test_a_race_is_noticed(hasty: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the waits of S for the update of its layer, a possible order of execution has another
    result; with these waits it has not.
    """
    case = Case("pepita", (64, 64, 64, 64, 64, 64, 5))
    samples = case.samples(100)
    plain = case.online()
    wanted = contents(plain, case.learn(plain, *samples))

    def without(*arguments: Any) -> Any:
        right = program(*arguments)
        rows = np.repeat(np.arange(len(right.task)), np.diff(right.wait))
        first = (right.kind[right.task[rows]] == 0) & (right.kind[right.on] == 2)
        return right._replace(value=np.where(first, 0, right.value))

    if hasty:
        monkeypatch.setattr(runner, "program", without)
    net = scheduled(case, 2)
    # only where items go anywhere do layers go from worker to worker
    net.trials.paces = {mode: [1.0 + (mode != "waves")] * 2 for mode in net.trials.modes}
    segment = net._segment(100)
    net._segments = dict.fromkeys(net._segments, hurried(segment))
    assert (contents(net, case.learn(net, *samples)) != wanted) is hasty


def test_one_signature() -> None:
    """Depth, workers, dropout and optimiser are values: none of them needs another compilation."""
    for case in (Case("pepita", UNEVEN, PLAIN), CASES[3]):
        net = scheduled(case, 2)
        case.learn(net, *case.samples(30))
        walk = kernels.walker(rules.get("pepita"), net._parts, net._options)
        assert len(walk.signatures) == 1


def test_one_thread_is_used_where_it_is_faster() -> None:
    """As with layers of a few units; the result is the same."""
    case = Case("pepita", (4, 3, 3, 5))
    samples, plain, net = case.samples(13 * SEGMENT), case.online(), scheduled(case, 2)
    wanted = contents(plain, case.learn(plain, *samples))
    with pytest.warns(UserWarning, match="workers: one is faster than 2 here"):
        assert contents(net, case.learn(net, *samples)) == wanted
    assert net.trials.choice == "single"


def test_idle_workers_are_warned_of() -> None:
    with pytest.warns(UserWarning, match="2 of 9 ever get an item"):
        scheduled(Case("pepita", (30, 16, 5)), 9)


def stuck(rows: Any) -> bool:
    """Whether workers that obey their waits end in a deadlock."""
    at, counters = rows.begin[:-1].copy(), np.zeros(len(rows.kind), int)
    moved = True
    while moved:
        moved = False
        for w, end in enumerate(rows.begin[1:]):
            while at[w] < end:
                waits = slice(rows.wait[at[w]], rows.wait[at[w] + 1])
                if (counters[rows.on[waits]] < rows.value[waits]).any():
                    break
                counters[rows.task[at[w]]] = rows.sample[at[w]] + 1
                at[w], moved = at[w] + 1, True
    return bool((at < rows.begin[1:]).any())


@given(st.data(), st.integers(2, 5), st.integers(0, 4), st.integers(1, 4), st.integers(1, 30))
@settings(max_examples=60)
def test_there_is_no_deadlock(data: Any, layers: int, delay: int, workers: int, n: int) -> None:
    """Whatever the times of the items are, and however many samples wait from before."""
    case = Case("pepita", (*UNEVEN[:layers], 5))
    net = scheduled(case, workers, schedule=delayed(delay))
    times = st.lists(st.floats(0.1, 9), min_size=layers, max_size=layers).map(tuple)
    drawn = Times(data.draw(times), data.draw(times), data.draw(st.floats(0.01, 1)))
    net.trials.times = dict.fromkeys(ASSIGNMENTS, drawn)
    modes = data.draw(st.sampled_from([(), ASSIGNMENTS[:1]]))
    net.trials.paces = {mode: [1.0, 1.0] for mode in modes}
    waiting = data.draw(st.integers(0, delay))
    net._waiting = [np.zeros((waiting, 0)), np.zeros((waiting, 0))]
    net._clock[0] = waiting
    assert not stuck(net._segment(n).rows)
