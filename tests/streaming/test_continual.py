"""Scores under drift, against closed forms on constructed series."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rate_models.errors import BadOption
from streaming.scores import continual


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(1, 80))
def test_accuracy_over_time_is_the_mean_of_the_last_samples(hits: list[bool], window: int) -> None:
    got = continual.accuracy_over_time(hits, window)
    slow = [np.mean(hits[max(0, i + 1 - window) : i + 1]) for i in range(len(hits))]
    np.testing.assert_allclose(got, slow, rtol=0, atol=1e-12)


@settings(max_examples=200)
@given(
    window=st.integers(1, 40),
    wrong=st.integers(0, 100),
    fraction=st.sampled_from([0.5, 0.75, 0.9, 0.95, 1.0]),
    before=st.integers(0, 30),
)
def test_recovery_from_an_outage(window: int, wrong: int, fraction: float, before: int) -> None:
    """All right, all wrong for d samples, all right again: max(w, d + ⌈f w⌉)."""
    hits = [0] * before + [1] * window + [0] * wrong + [1] * (2 * window)
    got = continual.recovery_time(hits, before + window, window=window, fraction=fraction)
    assert got == max(window, wrong + math.ceil(fraction * window - 1e-9))


def test_recovery_along_a_ramp() -> None:
    """Accuracy rises by 1 % with every 100 samples: the k-th 100 have k right ones."""
    rng = np.random.default_rng(0)
    ramp = [rng.permutation([1] * k + [0] * (100 - k)) for k in range(101)]
    hits = np.concatenate([[1, 1, 1, 1, 0] * 20, *ramp])  # a level of 0.8
    exact = continual.recovery_time(hits, 100, window=100, fraction=0.5)
    slow = next(n for n in range(100, 9000) if hits[100 + n - 100 : 100 + n].mean() >= 0.4)
    assert exact == slow and 3600 < exact < 4200
    assert continual.recovery_time(hits, 100, until=3000, window=100, fraction=0.5) is None
    assert continual.recovery_time(hits, 100, until=100 + slow, window=100, fraction=0.5) == slow
    assert continual.recovery_time(hits, 100, until=99 + slow, window=100, fraction=0.5) is None


def test_nothing_to_recover_from() -> None:
    assert continual.recovery_time([1] * 30, 10, window=5) == 5
    assert continual.recovery_time([0] * 30, 10, window=5) == 5  # a level of 0


@pytest.mark.parametrize("T", [2, 3, 7])
def test_a_network_that_remembers_everything_and_one_that_forgets_everything(T: int) -> None:
    best, chance = 0.9, 0.1
    remembers = np.where(np.tri(T, dtype=bool), best, chance)
    forgets = np.where(np.eye(T, dtype=bool), best, chance)
    for R, acc, loss in (
        (remembers, best, 0.0),
        (forgets, (best + (T - 1) * chance) / T, best - chance),
    ):
        assert continual.average_accuracy(R) == pytest.approx(acc)
        assert continual.backward_transfer(R) == pytest.approx(-loss)
        assert continual.average_forgetting(R) == pytest.approx(loss)
        assert continual.forward_transfer(R, np.full(T, chance)) == pytest.approx(0.0)
    helped = remembers + np.triu(np.full((T, T), 0.2), 1)
    assert continual.forward_transfer(helped, np.full(T, chance)) == pytest.approx(0.2)


def test_forgetting_counts_from_the_best_and_transfer_from_the_own_stage() -> None:
    """By hand: task 1 was best after period 2, where it had gained by task 2."""
    R = [[0.6, 0.1, 0.1], [0.8, 0.7, 0.3], [0.5, 0.6, 0.9]]
    assert continual.forgetting(R) == pytest.approx([0.8 - 0.5, 0.7 - 0.6, 0.3 - 0.9])
    assert continual.average_forgetting(R) == pytest.approx((0.3 + 0.1) / 2)
    assert continual.backward_transfer(R) == pytest.approx((0.5 - 0.6 + 0.6 - 0.7) / 2)
    assert continual.forward_transfer(R, [0.1, 0.0, 0.1]) == pytest.approx((0.1 + 0.2) / 2)
    assert continual.average_accuracy(R) == pytest.approx(2.0 / 3)


def test_a_single_task_has_no_transfer() -> None:
    assert math.isnan(continual.backward_transfer([[0.5]]))
    assert math.isnan(continual.forward_transfer([[0.5]], [0.1]))


@pytest.mark.parametrize(
    "call",
    [
        lambda: continual.accuracy_over_time([0, 2]),
        lambda: continual.accuracy_over_time([0, 1], window=0),
        lambda: continual.recovery_time([1] * 20, 4, window=5),
        lambda: continual.recovery_time([1] * 20, 21, window=5),
        lambda: continual.recovery_time([1] * 20, 10, window=5, fraction=0),
        lambda: continual.average_accuracy([]),
        lambda: continual.backward_transfer([[0.1, 0.2]]),
        lambda: continual.forward_transfer([[0.1]], [0.1, 0.2]),
        lambda: continual.forgetting([[0.1, 0.2]]),
    ],
)
def test_series_that_do_not_fit(call: Any) -> None:
    with pytest.raises(BadOption, match=r"got .*expected"):
        call()
