"""Threads that share the rows of hidden layers: the bits of one thread, and no thread is left."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from networks import EVERYTHING, MOMENTUM, Case
from threads import CASES, UNEVEN, contents, divergence, scheduled, tried

from rate_models.compiler.atomics import CELL
from rate_models.kernels import teams
from streaming.threads.network import ScheduledNetwork

# Layers with fewer rows than a share, with several, and in which shares differ
WIDE = (30, 21, 50, 33, 100, 5)
TEAMS = [
    Case("pepita", WIDE),
    Case("pepita", WIDE, MOMENTUM, density=1.0),
    Case("pepita", WIDE, EVERYTHING, {"bias": True}, {"dropout": 0.2}),
    Case("pepita", WIDE, hyper={"presynaptic": "standard", "sign": -1}),
    Case("pepita", WIDE, hyper={"inject": 2}),
]


def team(case: Case, workers: int, dtype: str = "float64") -> ScheduledNetwork:
    return tried(scheduled(case, workers, dtype), "rows")


@pytest.mark.parametrize("workers", [2, 3])
@pytest.mark.parametrize("case", [*TEAMS, *CASES[1:]], ids=str)
def test_the_result_is_that_of_one_thread(case: Case, workers: int) -> None:
    """Also of forms and layers that do not share rows, where helpers have nothing to do."""
    samples, plain, net = case.samples(200), case.online(), team(case, workers)
    assert contents(net, case.learn(net, *samples)) == contents(plain, case.learn(plain, *samples))
    net = team(case, workers)
    for at in (slice(0, 40), slice(40, 41), slice(41, 43), slice(43, 200)):
        case.learn(net, *(part[at] for part in samples))
    assert contents(net) == contents(plain)


def test_single_precision() -> None:
    case = Case("pepita", WIDE)
    samples, plain, net = case.samples(200), case.online("float32"), team(case, 3, "float32")
    assert contents(net, case.learn(net, *samples)) == contents(plain, case.learn(plain, *samples))


def test_every_helper_takes_part_in_every_layer() -> None:
    case = Case("pepita", WIDE)
    net = team(case, 3)
    case.learn(net, *case.samples(100))
    shared = 100 * (len(WIDE) - 3)  # neither the first nor the last layer
    assert list(net._team._cells[teams.DONE * CELL :: CELL]) == [shared] * 2
    assert net._team._cells[teams.POSTED * CELL] == shared


def test_helpers_leave_with_the_samples() -> None:
    """Also where the network diverges, and where Python raises an error in between."""
    case = Case("pepita", UNEVEN)
    net = team(case, 2)
    x, labels, y = case.samples(60)
    case.learn(net, x, labels, y)
    x = x.copy()
    x[31] = 1e308
    with divergence():
        case.learn(net, x, labels, y)
    with (
        pytest.raises(KeyboardInterrupt),
        net._team.helping(net._threads, net._options, np.zeros((1, 0)), 0),
    ):
        raise KeyboardInterrupt
    assert net._team._cells[teams.LEAVING * CELL] == 1
    queue: Any = net._threads._pool._work_queue
    done = [net._threads.submit(lambda _: None, 0) for _ in range(2)]
    assert [one.result(timeout=30) for one in done] == [None, None]  # threads are idle again
    assert queue.empty() and threading.active_count() < 50


def test_changes_of_options_reach_the_helpers() -> None:
    case = Case("pepita", WIDE)
    samples, plain, net = case.samples(100), case.online(), team(case, 2)
    for one in (plain, net):
        case.learn(one, *samples)
        one.set(lr=0.3 * one.optimizer.lr, weight_decay=1e-3)
    tried(net, "rows")
    assert contents(net, case.learn(net, *samples)) == contents(plain, case.learn(plain, *samples))


def test_the_mode_is_tried_where_rows_can_be_shared() -> None:
    assert "rows" in scheduled(Case("pepita", UNEVEN), 2).trials.modes
    for case, workers in ((Case("pepita", (30, 16, 5)), 2), (Case("pepita", UNEVEN), 1)):
        assert "rows" not in scheduled(case, workers).trials.modes
