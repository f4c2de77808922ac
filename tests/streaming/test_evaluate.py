"""Scores: independent of chunking; test-then-train with immediate and delayed labels."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rate_models.errors import BadOption, BadSample
from rate_models.model.losses import loss_of
from streaming.learner.learner import OnlineLearner
from streaming.scores.evaluate import Stopped, held_out, losses_of, progressive_val_score
from streaming.scores.metrics import Metrics


def stream(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two linearly separable classes."""
    X = np.random.default_rng(seed).normal(size=(n, 3))
    return X, (X[:, 0] > X[:, 1]).astype(int)


def same(a: dict, b: dict) -> bool:
    return all(x.dtype == b[name].dtype and x.tobytes() == b[name].tobytes()
               for name, x in a.items())  # fmt: skip


@settings(deadline=None)
@given(
    n=st.integers(0, 60),
    window=st.integers(1, 20),
    cuts=st.lists(st.integers(0, 60), max_size=8),
    seed=st.integers(0, 5),
    regression=st.booleans(),
)
def test_exact_under_any_chunking(
    n: int, window: int, cuts: list[int], seed: int, regression: bool
) -> None:
    rng = np.random.default_rng(seed)
    true, predicted, losses = rng.integers(0, 4, n), rng.integers(0, 4, n), rng.exponential(size=n)
    k = None if regression else 4
    whole, parts = Metrics(k, window), Metrics(k, window)
    whole.update(true, predicted, losses)
    edges = [0, *sorted(min(c, n) for c in cuts), n]
    for a, b in pairwise(edges):
        parts.update(true[a:b], predicted[a:b], losses[a:b])
        again = Metrics(k, window)  # through a checkpoint
        again.load_state(parts.state())
        parts = again
    assert same(whole.state(), parts.state())
    got = parts.get()
    assert got == whole.get()
    assert got["samples"] == n
    if n == 0:
        assert {v for name, v in got.items() if name != "samples"} == {None}
        return
    last = slice(max(0, n - window), n)
    assert got["loss"] == pytest.approx(losses.mean())
    assert got["windowed_loss"] == pytest.approx(losses[last].mean())
    if regression:
        assert got["progressive_accuracy"] is got["windowed_accuracy"] is None
    else:
        assert got["progressive_accuracy"] == (true == predicted).mean()
        assert got["windowed_accuracy"] == (true == predicted)[last].mean()
        for i, j in np.ndindex(4, 4):
            assert parts.confusion[i, j] == ((true == i) & (predicted == j)).sum()


def test_state_is_a_copy() -> None:
    m = Metrics(2, window=3)
    state = m.state()
    m.update([0, 1], [0, 0], [1.0, 2.0])
    m.load_state(state)
    m.update([1], [1], [0.5])
    assert not len(state["pairs"])
    assert m.get()["samples"] == 1


def test_the_memory_of_many_classes_is_that_of_occurring_pairs() -> None:
    rng = np.random.default_rng(0)
    true = rng.integers(0, 50_000, 3000) ** 2 // 50_000  # low numbers are the most frequent
    predicted = np.where(rng.random(3000) < 0.5, true, rng.integers(0, 50_000, 3000))
    m = Metrics(50_000)
    m.update(true, predicted, np.zeros(3000))
    assert sum(array.nbytes for array in m.state().values()) < 100_000
    with pytest.raises(BadOption, match="50,000 classes; expected 1,000 at most"):
        m.confusion  # noqa: B018
    classes, counts = m.largest(5)
    frequent = np.bincount(true, minlength=50_000)
    assert sorted(frequent[classes]) == sorted(frequent)[-5:]
    for i, j in np.ndindex(5, 5):
        assert counts[i, j] == ((true == classes[i]) & (predicted == classes[j])).sum()
    again = Metrics(50_000)
    again.load_state(m.state())
    assert same(again.state(), m.state())


def test_the_whole_matrix_of_earlier_checkpoints() -> None:
    m = Metrics(3, window=4)
    m.update([0, 1, 2, 2], [0, 2, 2, 1], np.ones(4))
    old = {k: a for k, a in m.state().items() if k not in ("pairs", "classes")}
    old["confusion"] = np.array([[1, 0, 0], [0, 0, 1], [0, 1, 1]])
    again = Metrics(3)
    again.load_state(old)
    assert again.confusion.tolist() == m.confusion.tolist() == old["confusion"].tolist()
    again.update([1], [0], [1.0])
    assert again.confusion[1, 0] == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"counts": np.array([-1, 0])},
        {"counts": np.array([4, 5])},
        {"counts": np.array([4])},
        {"counts": np.array([4.0, 2.0])},
        {"counts": np.array([2**62, 0])},
        {"loss": np.zeros(0)},
        {"loss": np.zeros(2)},
        {"hits": np.zeros(3, bool)},
        {"hits": np.zeros(4)},
        {"losses": np.zeros(0), "hits": np.zeros(0, bool)},
        {"pairs": np.array([[0, 3, 4]])},
        {"pairs": np.array([[-1, 0, 4]])},
        {"pairs": np.array([[0, 0, 5]])},
        {"pairs": np.array([[0, 0, -4]])},
        {"pairs": np.array([[0, 4]])},
        {"classes": np.array([-1])},
        {"classes": np.array([1])},
    ],
)
def test_invalid_states_are_refused(wrong: dict[str, np.ndarray]) -> None:
    m = Metrics(3, window=4)
    m.update([0, 1, 2, 2], [0, 2, 2, 1], np.ones(4))
    with pytest.raises(BadOption):
        Metrics(3).load_state(m.state() | wrong)


def test_a_held_out_test_can_be_stopped() -> None:
    X, y = stream(60)
    asked: list[int] = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) == 2

    learner = OnlineLearner(sizes=(3, 8, 2))
    chunks = [(X[i : i + 10], y[i : i + 10]) for i in range(0, 60, 10)]
    with pytest.raises(Stopped):
        held_out(learner, chunks, stop)
    assert len(asked) == 2
    assert held_out(learner, chunks[:1], lambda: True)["n"] == 10  # already complete


def test_bad_options() -> None:
    with pytest.raises(BadOption, match="window: got 0"):
        Metrics(2, window=0)
    with pytest.raises(BadOption, match="delay: got -1"):
        progressive_val_score([], None, Metrics(2), delay=-1)


class Memory:
    """Predicts the last label of the same x, and records the calls."""

    def __init__(self) -> None:
        self.known: dict[int, str] = {}
        self.calls: list[tuple[str, int]] = []

    def predict_one(self, x: int) -> str | None:
        self.calls.append(("predict", x))
        return self.known.get(x)

    def learn_one(self, x: int, y: str) -> None:
        self.calls.append(("learn", x))
        self.known[x] = y


PAIRS = [(0, "a"), (1, "b"), (0, "a"), (1, "b"), (0, "b")]


def test_any_learner_and_its_labels() -> None:
    m = progressive_val_score(iter(PAIRS), Memory(), window=2)
    assert m.labels == ("a", None, "b")
    assert m.confusion.tolist() == [[1, 1, 0], [0, 0, 0], [1, 1, 1]]
    assert m.get() == {
        "samples": 5,
        "progressive_accuracy": 0.4,
        "windowed_accuracy": 0.5,
        "loss": None,
        "windowed_loss": None,
    }


@pytest.mark.parametrize("delay", [0, 1, 2, 10])
def test_labels_come_late(delay: int) -> None:
    learner = Memory()
    progressive_val_score(PAIRS, learner, delay=delay)
    order = [f"p{i}" for i in range(5)]
    for i in range(5):  # learned after the prediction of sample i + delay, or at the end
        at = order.index(f"p{min(i + delay, 4)}") + 1
        while at < len(order) and order[at][0] == "l":
            at += 1
        order.insert(at, f"l{i}")
    calls = [("predict" if o[0] == "p" else "learn", PAIRS[int(o[1:])][0]) for o in order]
    assert learner.calls == calls


def test_a_stream_may_reuse_its_buffer() -> None:
    X, y = stream(40)

    def reusing():
        buffer = np.zeros(3)
        for row, label in zip(X, y, strict=True):
            buffer[:] = row
            yield buffer, label

    a, b = OnlineLearner(sizes=(3, 5, 2)), OnlineLearner(sizes=(3, 5, 2))
    progressive_val_score(reusing(), a, delay=7)
    b.learn_many(X, y)
    np.testing.assert_array_equal(a.parameters()["W"][0], b.parameters()["W"][0])


def test_regression_of_any_learner() -> None:
    class Zero:
        def predict_one(self, x: object) -> float:
            return 0.0

        def learn_one(self, x: object, y: object) -> None:
            pass

    m = progressive_val_score([(0, 1.0), (0, 2.0)], Zero(), Metrics(None))
    assert m.get()["loss"] == 1.25


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy", "mse"])
def test_same_scores_as_learn_many(loss: str, dtype: str) -> None:
    X, y = stream(300)
    make = {"sizes": (3, 8, 2), "loss": loss, "classes": ("no", "yes"), "dtype": dtype, "lr": 0.03}
    a, b = OnlineLearner(**make), OnlineLearner(**make)
    labels = np.array(["no", "yes"])[y]
    m = progressive_val_score(zip(X, labels, strict=True), a)
    predictions, losses = b.learn_many(X, labels)
    assert m.get()["progressive_accuracy"] == (predictions == labels).mean()
    assert m.get()["loss"] == pytest.approx(losses.mean(), rel=1e-9 if dtype == "float64" else 1e-4)
    assert m.get()["progressive_accuracy"] > 0.8
    assert m.confusion.sum() == 300


def test_metric_can_be_continued() -> None:
    X, y = stream(100)
    a, b = OnlineLearner(sizes=(3, 8, 2)), OnlineLearner(sizes=(3, 8, 2))
    pairs = list(zip(X, y, strict=True))
    whole = progressive_val_score(pairs, a, window=30)
    parts = progressive_val_score(pairs[:41], b, window=30)
    assert progressive_val_score(pairs[41:], b, parts) is parts
    assert same(whole.state(), parts.state())


@pytest.mark.parametrize("delay", [0, 3])
def test_bad_samples_in_the_stream(delay: int) -> None:
    X, y = stream(50)
    X[7, 1] = np.nan
    labels = [None if i == 20 else label for i, label in enumerate(y)]
    learner = OnlineLearner(sizes=(3, 8, 2), on_bad="skip")
    m = progressive_val_score(zip(X, labels, strict=True), learner, delay=delay)
    assert (learner.skipped, learner.samples_seen, m.samples) == (2, 48, 48)
    strict = OnlineLearner(sizes=(3, 8, 2))
    with pytest.raises(BadSample, match=r"sample 7 of the stream.*x\[1\]: got nan"):
        progressive_val_score(zip(X, labels, strict=True), strict, delay=delay)
    assert strict.samples_seen == 7 - delay


def test_held_out() -> None:
    X, y = stream(500)
    learner = OnlineLearner(sizes=(3, 8, 2))
    learner.learn_many(X[:300], y[:300])
    before = learner.parameters()["W"][0]
    chunks = [(X[300:333], y[300:333]), (X[333:], y[333:])]
    got = held_out(learner, chunks)
    predicted = learner.predict_many(X[300:])
    assert got["n"] == 200
    assert got["accuracy"] == (predicted == y[300:]).mean() > 0.85
    assert got["confusion"].sum() == 200
    p = learner.predict_proba_many(X[300:])[np.arange(200), y[300:]]
    assert got["loss"] == pytest.approx(-np.log(p).mean())
    np.testing.assert_array_equal(learner.parameters()["W"][0], before)
    assert held_out(learner, [])["accuracy"] is None


def test_held_out_with_bad_samples() -> None:
    X, y = stream(20)
    X[3] = np.inf
    with pytest.raises(BadSample, match=r"row 3: x\[0\]: got inf"):
        held_out(OnlineLearner(sizes=(3, 8, 2)), [(X, y)])
    learner = OnlineLearner(sizes=(3, 8, 2), on_bad="skip")
    assert held_out(learner, [(X, y)])["n"] == 19
    assert learner.skipped == 0


def test_held_out_regression() -> None:
    X, _ = stream(20)
    learner = OnlineLearner("backprop", sizes=(3, 8, 3), loss="mse")
    got = held_out(learner, [(X, X)])
    assert got["accuracy"] is got["confusion"] is None
    assert got["loss"] == pytest.approx(((learner.predict_many(X) - X) ** 2).sum(1).mean() / 2)


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy", "mse"])
def test_losses_from_outputs(loss: str) -> None:
    a = np.random.default_rng(1).normal(scale=3, size=(50, 4))
    h = np.exp(a) / np.exp(a).sum(1, keepdims=True)
    h = {"cross_entropy": h, "binary_cross_entropy": 1 / (1 + np.exp(-a)), "mse": a}[loss]
    index = np.arange(50) % 4
    y = np.eye(4)[index]
    np.testing.assert_allclose(losses_of(loss, h, index), loss_of(loss, a, h, y), rtol=1e-9)
    np.testing.assert_array_equal(losses_of(loss, h, index), losses_of(loss, h, y))
    sure = np.eye(4, dtype=np.float32)
    assert np.isfinite(losses_of(loss, sure, np.array([1, 1, 1, 1]))).all()
