"""The parts of live sources: queue, waiting labels, latency, back-off."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rate_models.errors import BadOption
from streaming.live.batch import Batch, LateLabel, joined
from streaming.live.bounded import BoundedQueue, Closed
from streaming.live.counts import Counts
from streaming.live.latency import Latency
from streaming.live.reconnecting import BackOff
from streaming.live.waiting import Waiting


def batch(first: int, n: int, malformed: int = 0, missed: int = 0, time_of=float) -> Batch:
    numbers = np.arange(first, first + n)
    return Batch(
        numbers[:, None].astype(float), np.full(n, -1), numbers, np.array([*map(time_of, numbers)]),
        numbers, first + n - 1, keys=tuple(numbers.tolist()), malformed=malformed, missed=missed,
    )  # fmt: skip


class Model:
    """The queue as a list of single samples."""

    def __init__(self, size: int, policy: str) -> None:
        self.size, self.policy, self.samples, self.dropped = size, policy, list[int](), 0

    def put(self, numbers: list[int]) -> None:
        for number in numbers:
            self.samples.append(number)
            if len(self.samples) > self.size:
                self.samples.pop(0 if self.policy == "drop_oldest" else -1)
                self.dropped += 1


@pytest.mark.parametrize("policy", ["drop_oldest", "drop_newest"])
@given(
    steps=st.lists(st.tuples(st.booleans(), st.integers(0, 7), st.integers(0, 2)), max_size=40),
    size=st.integers(1, 9),
)
@settings(deadline=None, max_examples=60)
def test_the_queue_drops_as_a_list_would(
    policy: str, steps: list[tuple[bool, int, int]], size: int
) -> None:
    queue, model, n, bad = BoundedQueue(size, policy), Model(size, policy), 0, 0
    got, counts = list[int](), {"dropped": 0, "malformed": 0, "missed": 0}
    expected = list[int]()

    def take(most: int) -> int:
        taken = queue.take(most, 0)
        if taken is None or taken[0] is None:
            return 0
        one = taken[0]
        got.extend(one.arrived.tolist())
        assert one.keys == tuple(one.arrived.tolist()) and (one.X[:, 0] == one.arrived).all()
        for name in counts:
            counts[name] += getattr(one, name)
        return one.n

    for put, size_of, refused in steps:
        if put:
            queue.put(batch(n, size_of, malformed=refused, missed=refused))
            model.put([*range(n, n + size_of)])
            n, bad = n + size_of, bad + refused
        else:
            take(size_of + 1)
            expected += model.samples[: size_of + 1]
            del model.samples[: size_of + 1]
        assert queue.waiting == len(model.samples) <= size
    left = queue.left() or batch(0, 0)
    assert got == expected and left.arrived.tolist() == model.samples
    assert counts["dropped"] + left.dropped == model.dropped
    assert counts["malformed"] + left.malformed == counts["missed"] + left.missed == bad


@pytest.mark.parametrize("policy", ["block", "drop_oldest", "drop_newest"])
def test_everything_put_is_taken_or_counted(policy: str) -> None:
    queue, total = BoundedQueue(50, policy), 0

    def fill() -> None:
        nonlocal total
        for i in range(400):
            queue.put(batch(total, i % 130, malformed=i % 3))
            total += i % 130
        queue.end()

    writer = threading.Thread(target=fill)
    writer.start()
    counts, order = Counts(), list[int]()
    while (taken := queue.take(7, 1.0)) is not None:
        one = taken[0]
        assert one is not None and one.n <= 7 and queue.waiting <= 50
        order += one.arrived.tolist()
        counts.learned += one.n
        counts.dropped += one.dropped
        counts.malformed += one.malformed
    writer.join()
    assert counts.malformed == sum(i % 3 for i in range(400))
    assert total == counts.learned + counts.dropped
    assert order == sorted(set(order)) and queue.largest <= 50
    assert (counts.dropped == 0) == (policy == "block")


def test_an_error_comes_after_the_samples_before_it() -> None:
    queue = BoundedQueue(5, "block")
    queue.put(batch(0, 2))
    queue.end(BadOption("it broke"))
    taken = queue.take(5, 0)
    assert taken is not None and taken[0] is not None and taken[0].n == 2
    with pytest.raises(BadOption, match="it broke"):
        queue.take(5, 0)
    assert queue.take(5, 0) is None


def test_a_reader_that_waits_ends_when_the_queue_is_closed() -> None:
    queue, ended = BoundedQueue(2, "block"), list[bool]()

    def fill() -> None:
        try:
            queue.put(batch(0, 9))
        except Closed:
            ended.append(True)

    writer = threading.Thread(target=fill)
    writer.start()
    time.sleep(0.05)
    queue.close()
    writer.join(5)
    assert ended == [True] and queue.waiting == 2


@pytest.mark.parametrize("policy", ["block", "drop_oldest", "drop_newest"])
def test_late_labels_are_bounded_too(policy: str) -> None:
    queue, got = BoundedQueue(5, policy), list[LateLabel]()

    def fill() -> None:
        for key in range(40):
            queue.label(LateLabel(0, key, np.nan, 0))
        queue.end()

    writer = threading.Thread(target=fill)
    writer.start()
    if policy != "block":
        writer.join()
    while (taken := queue.take(1, 1.0)) is not None:
        assert len(taken[1]) <= 5
        got += taken[1]
    writer.join()
    assert len(got) + queue.labels_dropped == 40 and (len(got) == 40) == (policy == "block")


def test_a_cut_keeps_positions_and_counts() -> None:
    whole = batch(10, 5, malformed=3)
    head, tail = whole.cut(2)
    assert (head.n, head.upto, head.malformed) == (2, 11, 3)
    assert (tail.n, tail.upto, tail.malformed) == (3, 14, 0)
    again = joined([head, tail])
    assert all(np.array_equal(a, b) for a, b in zip(again[:5], whole[:5], strict=True))
    assert again.keys == whole.keys and again.malformed == 3


def nearest(samples: list[float], labels: list[float], within: float) -> dict[int, int]:
    """Which sample each label belongs to, by looking at all of them."""
    matched: dict[int, int] = {}
    for i, at in enumerate(labels):
        free = [j for j in range(len(samples)) if j not in matched.values()]
        free = [j for j in free if abs(samples[j] - at) <= within]
        if free:
            matched[i] = min(free, key=lambda j: (abs(samples[j] - at), samples[j]))
    return matched


@given(
    gaps=st.lists(st.integers(1, 5), min_size=1, max_size=30),
    at=st.lists(st.integers(0, 100), max_size=20),
    within=st.integers(1, 6),
)
@settings(deadline=None, max_examples=100)
def test_labels_find_the_nearest_sample(gaps: list[int], at: list[int], within: int) -> None:
    samples = np.cumsum(gaps).astype(float).tolist()
    labels = [a + 0.25 for a in sorted(at)]
    waiting = Waiting("nearest", float(within), 60, 1000)
    ready = waiting.add(
        batch(0, len(samples), time_of=lambda i: samples[i])._replace(keys=None),
        np.zeros(len(samples)),
    )
    for i, time_ in enumerate(labels):
        ready += waiting.label(LateLabel(i, None, time_, 0))
    ready += waiting.end()
    got = {int(one.y): samples.index(one.sample.time) for one in ready}
    assert got == nearest(samples, labels, within)
    unlabelled, unmatched = waiting.expire(10**30)
    assert unmatched == len(labels) - len(got) and unlabelled == len(samples) - len(got)


@given(st.permutations(range(12)), st.integers(0, 11))
@settings(deadline=None, max_examples=60)
def test_labels_by_key_may_come_before_or_after(order: list[int], early: int) -> None:
    waiting, ready = Waiting("key", None, 60, 100), []
    for key in order[:early]:
        ready += waiting.label(LateLabel(key % 3, key, np.nan, 0))
    ready += waiting.add(batch(0, 12), np.arange(12))
    for key in order[early:]:
        ready += waiting.label(LateLabel(key % 3, key, np.nan, 0))
    assert sorted(one.sample.key for one in ready) == [*range(12)] and len(waiting) == 0
    assert all(one.y == one.sample.key % 3 == one.sample.predicted % 3 for one in ready)


def test_a_label_holds_until_the_next_one() -> None:
    waiting = Waiting("hold", None, 60, 100)
    assert np.isnan(waiting.holding(batch(0, 3))).all()
    waiting.add(batch(0, 3), np.zeros(3))
    ready = waiting.label(LateLabel(7, None, 1.0, 0))  # for the samples at 1 and 2, not for 0
    assert [(one.sample.time, one.y) for one in ready] == [(1.0, 7), (2.0, 7)]
    waiting.label(LateLabel(8, None, 5.0, 0))
    assert waiting.holding(batch(3, 4)).tolist() == [7, 7, 8, 8]
    assert waiting.expire(10**30) == (1, 0)


def test_what_waits_is_bounded_and_times_out() -> None:
    waiting = Waiting("key", None, 1.0, 10)
    waiting.add(batch(0, 25), np.zeros(25))
    assert len(waiting) == 10 and waiting.expire(0) == (15, 0)
    for key in range(100, 130):
        waiting.label(LateLabel(0, key, np.nan, 0))
    assert waiting.expire(0) == (0, 20)
    assert waiting.expire(2 * 10**9) == (10, 10) and len(waiting) == 0


def test_percentiles_are_never_too_small_and_hardly_too_large() -> None:
    times = np.random.default_rng(0).lognormal(13, 2, 50_000).astype(np.int64)
    latency = Latency()
    for part in np.array_split(times, 37):
        latency.add("learned", part)
    got = latency.whole()["learned"]
    for p in (50, 99):
        exact = np.sort(times)[-(-len(times) * p // 100) - 1] / 1e6
        assert exact <= got[f"p{p}_ms"] * (1 + 1e-4) and got[f"p{p}_ms"] <= exact * 1.0235
    assert got["max_ms"] == round(times.max() / 1e6, 4)
    assert latency.whole()["predicted"] == dict.fromkeys(("p50_ms", "p99_ms", "max_ms"))
    again = Latency()
    again.load_state(latency.state())
    assert again.whole() == latency.whole()
    latency.next_line()
    assert latency.recent()["learned"] == got  # of the interval before, until a sample comes
    for wrong in ({"learned": np.zeros(3, int)}, {"largest": np.array([-1, 0])}):
        with pytest.raises(BadOption):
            again.load_state({**latency.state(), **wrong})


def test_waits_double_up_to_half_a_minute() -> None:
    shown, slept = list[str](), list[float]()

    def sleep(seconds: float) -> bool:
        slept.append(seconds)
        return len(slept) == 12

    back_off = BackOff("mqtt://h/t", shown.append, sleep)
    while back_off.wait("connection refused"):
        if len(slept) == 4:
            back_off.connected()
    assert slept == [0.1, 0.2, 0.4, 0.8, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8]
    assert shown[1] == "mqtt://h/t: connection refused; connecting again in 0.2 s"


def test_counts_are_checked() -> None:
    counts = Counts(received=9, learned=4, dropped=2, malformed=1, unlabelled=1)
    assert counts.waiting == 1 and Counts.restored(counts.get()) == counts
    for wrong in ({"received": -1}, {"learned": 1.0}, {"received": 3}):
        with pytest.raises(BadOption):
            Counts.restored({**counts.get(), **wrong})
