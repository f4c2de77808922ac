"""Measuring a schedule takes seconds whatever else the machine does, and is refused where not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rate_models.errors import BadOption
from rate_models.support import estimates
from streaming.schedule.items import Schedule
from streaming.threads import measuring


class Slow:
    """A network that takes so many seconds a sample, by a clock of its own."""

    def __init__(self, clock: list[float], pace: float) -> None:
        self.clock, self.pace, self.calls = clock, pace, list[int]()

    def learn(self, X: Any, labels: Any) -> None:
        self.calls.append(len(X))
        self.clock[0] += self.pace * len(X)


def test_calls_are_short_however_slow_threads_become(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that wait for a processor may at once be a thousand times slower."""
    clock = [0.0]
    monkeypatch.setattr(measuring.time, "perf_counter", lambda: clock[0])
    net = Slow(clock, pace=1e-6)
    most = 64 * 512
    race = measuring._Race([net], np.zeros((most, 1)), np.zeros(most), 512)  # type: ignore[list-item]
    for _ in range(10):
        race.call()
    assert net.calls[:3] == [512, 1024, 2048] and net.calls[-1] == most  # a call of 0.03 s
    net.pace = 2e-3
    for _ in range(3):
        race.call()
    assert net.calls[-3:] == [most, 512, 512]
    assert race.learned == sum(net.calls)


def test_few_samples_are_learned_again_and_many_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    X, labels = measuring._samples((9, 8, 4), 40, "float32", 512)
    assert X.shape == (64 * 512, 9) and X.dtype == np.float32 and labels.max() == 3
    np.testing.assert_array_equal(X[40:80], X[:40])
    np.testing.assert_array_equal(labels[40:80], labels[:40])
    monkeypatch.setattr(measuring, "ROOM", 33 * 9 * 4)
    X, labels = measuring._samples((9, 8, 4), 10**12, "float32", 6)
    assert len(X) == len(labels) == 30


@pytest.mark.parametrize(("hours", "sizes"), [(True, (10**5, 10**4, 10)), (False, (784, 1024, 10))])
def test_what_takes_hours_is_refused(hours: bool, sizes: tuple[int, ...]) -> None:
    samples = 10**6
    multiply_adds = 3 * samples * (sizes[0] * sizes[1] + sizes[1] * sizes[2])
    assert (multiply_adds / estimates.PACE > 3600) is hours
    if hours:
        with pytest.raises(BadOption, match=r"layers: got 1,000,000 samples through .* 8 hours; e"):
            estimates.check_learning(samples, sizes)
    else:
        estimates.check_learning(samples, sizes)


def test_it_is_refused_before_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimates, "LONG", 1e-6)
    monkeypatch.setattr(measuring._Race, "call", None)
    with pytest.raises(BadOption, match=r"layers: got 30,720 samples through .*; expected an h"):
        measuring.measure("pepita", (9, 8, 4), Schedule(), 2, 100, {})
