"""Scores of regressions."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score
from targets import learner, samples

from rate_models.errors import BadSample
from streaming.scores.evaluate import held_out, progressive_val_score
from streaming.scores.metrics import Metrics
from streaming.scores.regression import RegressionScores


@settings(deadline=None)
@given(
    n=st.integers(1, 80),
    width=st.integers(1, 3),
    window=st.integers(1, 30),
    cuts=st.lists(st.integers(0, 80), max_size=6),
    mean=st.sampled_from([0.0, -3.0, 1e6]),
)
def test_scores_are_those_of_scikit_learn_under_any_chunking(
    n: int, width: int, window: int, cuts: list[int], mean: float
) -> None:
    rng = np.random.default_rng(n)
    y = mean + rng.normal(size=(n, width)) * [1, 10, 100][:width]
    p = y + rng.normal(size=(n, width))
    whole, parts = Metrics(None, window), Metrics(None, window)
    whole.update(y, p, None)
    for a, b in pairwise([0, *sorted(min(c, n) for c in cuts), n]):
        parts.update(y[a:b], p[a:b], None)
        again = Metrics(None, 1)
        again.load_state(parts.state())
        parts = again
    got = whole.get()
    assert parts.get() == got
    assert all(parts.state()[k].tobytes() == a.tobytes() for k, a in whole.state().items())
    for prefix, t, q in (("", y, p), ("windowed_", y[-window:], p[-window:])):
        assert got[f"{prefix}rmse"] == pytest.approx(np.sqrt(mean_squared_error(t, q)))
        assert got[f"{prefix}mae"] == pytest.approx(mean_absolute_error(t, q))
        if len(t) > 1:
            want = r2_score(t, q, multioutput="variance_weighted")
            assert got[f"{prefix}r2"] == pytest.approx(want, rel=1e-6, abs=1e-6)


def test_undefined_scores_are_none() -> None:
    scores = RegressionScores(5)
    assert set(scores.get().values()) == {None}
    scores.update([2.0, 2.0], [1.0, 3.0])
    assert scores.get()["r2"] is None and scores.get()["rmse"] == scores.get()["mae"] == 1.0
    scores.update([[7.0]], [[np.nan]])
    assert scores.get()["rmse"] == 1.0
    with pytest.raises(BadSample, match="predicted: got shape"):
        scores.update([[1.0, 2.0]], [1.0])


def test_a_checkpoint_without_these_scores_is_taken() -> None:
    old = {k: a for k, a in Metrics(None).state().items() if not k.startswith("regression.")}
    m = Metrics(None)
    m.load_state(old)
    m.update([1.0, 2.0], [1.0, 2.0], None)
    assert m.get()["r2"] == 1.0


class Mean:
    """Predicts the mean so far, as a number or as an array."""

    def __init__(self, form: Any = float) -> None:
        self.n, self.total, self.form = 0, 0.0, form

    def predict_one(self, x: Any) -> Any:
        return self.form(self.total / max(self.n, 1))

    def learn_one(self, x: Any, y: Any) -> None:
        self.n, self.total = self.n + 1, self.total + float(np.ravel(y)[0])


@pytest.mark.parametrize("form", [float, np.float32, lambda v: np.array([v])])
@pytest.mark.parametrize("delay", [0, 3])
def test_any_regressor_is_scored_as_one(form: Any, delay: int) -> None:
    y = [3.0, 4.5, 1.25, 0.0, 2.0, 7.5]
    m = progressive_val_score(((None, v) for v in y), Mean(form), delay=delay, window=2)
    predicted = [np.mean(y[: max(t - delay, 0)] or [0.0]) for t in range(len(y))]
    got = m.get()
    assert got["progressive_accuracy"] is None
    assert got["r2"] == pytest.approx(r2_score(y, predicted), rel=1e-5)
    assert got["mae"] == pytest.approx(mean_absolute_error(y, predicted), rel=1e-5)
    assert got["windowed_rmse"] == pytest.approx(
        np.sqrt(mean_squared_error(y[-2:], predicted[-2:])), rel=1e-5
    )
    assert got["loss"] == pytest.approx(mean_squared_error(y, predicted) / 2, rel=1e-5)


def test_whole_numbers_with_metric_and_labels_without() -> None:
    m = progressive_val_score([(0, 1), (0, 2), (0, 3)], Mean(), Metrics(None))
    assert m.get()["rmse"] == pytest.approx(np.sqrt((1 + 1 + 1.5**2) / 3))

    class Majority:
        def predict_one(self, x: Any) -> Any:
            return "a"

        def learn_one(self, x: Any, y: Any) -> None: ...

    assert progressive_val_score([(0, 1.0)], Majority()).get()["progressive_accuracy"] == 0.0
    with pytest.raises(BadSample, match=r"sample 0 of the stream, prediction: got nan"):
        progressive_val_score([(0, 0.5)], Mean(lambda v: float("nan")))


def test_progressive_and_held_out_scores_of_a_learner() -> None:
    X, Y = samples(300, outputs=1)
    a, b = learner(1), learner(1)
    m = progressive_val_score(zip(X, Y[:, 0], strict=True), a, window=100)
    predicted, _ = b.learn_many(X, Y)
    # the first sample has no prediction
    assert m.get()["r2"] == pytest.approx(r2_score(Y[1:], predicted[1:]), rel=1e-9)
    assert m.get()["samples"] == 300
    assert m.get()["windowed_r2"] == pytest.approx(r2_score(Y[-100:], predicted[-100:]), rel=1e-9)
    got = held_out(b, [(X[:100], Y[:100]), (X[100:], Y[100:])])
    assert got["accuracy"] is None
    assert got["r2"] == pytest.approx(r2_score(Y, b.predict_many(X)), rel=1e-9)
