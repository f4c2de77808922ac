"""Many segments in one visit of the workers: the same result as segment by segment."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from networks import Case
from threads import PIPELINED, SEGMENT, contents, delayed, divergence, scheduled, tried

from streaming.schedule.items import Schedule
from streaming.threads import kernels, runner
from streaming.threads import network as module

pytestmark = [
    pytest.mark.filterwarnings("ignore:workers. "),
    pytest.mark.usefixtures("short_segments"),
]

CASE = Case("pepita", (30, 21, 9, 33, 5), hyper={"dropout": 0.2})
SCHEDULES = [PIPELINED, Schedule(batch=16), delayed(3), delayed(2, "current")]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
@pytest.mark.parametrize("best", ["layers", "waves"])
def test_many_segments_at_once(
    schedule: Schedule, best: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with a worker that has nothing to do: the barrier waits for it too."""
    samples = CASE.samples(5 * SEGMENT + 60)
    one = scheduled(CASE, 1, schedule=schedule)
    wanted = contents(one, CASE.learn(one, *samples))
    calls: list[int] = []

    def counting(*arguments: Any) -> None:
        calls.append(arguments[4].rounds)
        runner.run_workers(*arguments)

    monkeypatch.setattr(module, "run_workers", counting)
    for workers in (2, 3, 9):
        net = tried(scheduled(CASE, workers, schedule=schedule), best)
        calls.clear()
        assert contents(net, CASE.learn(net, *samples)) == wanted
        assert calls == ([1, 4, 1] if schedule.delay else [5, 1])


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_divergence_in_a_later_segment(schedule: Schedule) -> None:
    x, labels, y = CASE.samples(5 * SEGMENT)
    x[3 * SEGMENT + 7] = 1e308
    plain = scheduled(CASE, 1, schedule=schedule)
    with divergence() as expected:
        CASE.learn(plain, x, labels, y)
    net = tried(scheduled(CASE, 3, schedule=schedule))
    with divergence() as raised:
        CASE.learn(net, x, labels, y)
    assert str(raised.value) == str(expected.value)
    assert net.samples_seen == plain.samples_seen
    for got, wanted in zip(raised.value.outcome, expected.value.outcome, strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_where_a_worker_was_when_it_failed() -> None:
    net = tried(scheduled(CASE, 2))
    segment = net._segment(SEGMENT)
    board, rows = segment.board(4 * SEGMENT), segment.rows
    many = int(rows.begin[1])
    board.at[0] = 2 * many + 5  # the sixth row, in the third round
    stream = kernels.Stream(4, SEGMENT, 100, 0, 0, 1, *[np.zeros(0)] * 5)
    text = str(runner._failed(0, rows, board, stream))
    assert f"sample {100 + 2 * SEGMENT + rows.sample[5]}," in text
