"""Regression: running target scaling, scores in raw units, and given or guessed tasks."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import r2_score
from targets import SIZES, learner, moments, samples, standardised

from rate_models.errors import BadOption, BadSample, Diverged
from streaming.learner.learner import OnlineLearner
from streaming.samples.target_scaling import TargetScaler


@pytest.mark.parametrize("kind", ["running", "global"])
def test_targets_are_scaled_by_those_so_far_and_predictions_by_those_before(kind: str) -> None:
    _, Y = samples(60)
    scaler, h = TargetScaler(kind, 2), np.random.default_rng(1).normal(size=(60, 2))
    z, before = scaler.learn_transform(Y)
    np.testing.assert_allclose(z, standardised(Y, kind), rtol=1e-9, atol=1e-9)
    for t, predicted in enumerate(before.predictions(h)):
        mean, spread = moments(Y[:t], kind)
        np.testing.assert_allclose(predicted, mean + spread * h[t], rtol=1e-9)
    mean, spread = moments(Y, kind)
    now = scaler.units().predictions(h.astype(np.float32))
    assert now.dtype == np.float64
    np.testing.assert_allclose(now, mean + spread * h.astype(np.float32), rtol=1e-9)
    np.testing.assert_allclose(scaler.transform(Y), (Y - mean) / spread, rtol=1e-7)


def test_fixed_scales_need_no_samples() -> None:
    Y = np.array([[0.0, 51.0], [255.0, 3.0]], np.float32)
    for kind, factor in (("none", 1.0), ("range", 255.0)):
        scaler = TargetScaler(kind, 2, 255.0)
        z, units = scaler.learn_transform(Y, np.float32)
        assert z.dtype == np.float32 and (z == (Y / np.float32(factor))).all()
        np.testing.assert_allclose(units.predictions(z), Y, rtol=1e-6)
        assert scaler.state() == {}


@settings(deadline=None, max_examples=15)
@given(
    cuts=st.lists(st.integers(0, 50), max_size=6),
    kind=st.sampled_from(["none", "running", "global"]),
)
def test_chunks_and_checkpoints_change_no_bit(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], kind: str
) -> None:
    X, Y = samples(50)
    Y = Y if kind != "none" else Y * 1e-4
    whole = learner(target_scale=kind)
    predicted, losses = whole.learn_many(X, Y)
    parts, again = [], learner(target_scale=kind)
    folder = tmp_path_factory.mktemp("c") / "checkpoint"
    for a, b in pairwise([0, *sorted(cuts), 50]):
        parts.append(again.learn_many(X[a:b], Y[a:b]))
        again.predict_many(X)
        again.score_many(X, Y)
        again.save(folder)
        again = OnlineLearner.load(folder)
    assert (np.concatenate([p for p, _ in parts]) == predicted).all()
    assert (np.concatenate([loss for _, loss in parts]) == losses).all()
    assert (again.predict_many(X) == whole.predict_many(X)).all()


@pytest.mark.parametrize("kind", ["running", "global"])
def test_as_a_slow_loop_in_numpy(kind: str) -> None:
    """Backpropagation by hand on targets standardised in two passes."""
    X, Y = samples(80)
    ours = learner(target_scale=kind)
    W1, W2 = ours.parameters()["W"]
    z, expected, loss = standardised(Y, kind), [], []
    for t, x in enumerate(X):
        a = W1 @ x
        h1 = np.maximum(a, 0)
        h2 = W2 @ h1
        mean, spread = moments(Y[:t], kind)
        expected.append(mean + spread * h2)
        error = h2 - z[t]
        loss.append(0.5 * error @ error)
        hidden = (W2.T @ error) * (a > 0)
        W2 = W2 - 0.02 * np.outer(error, h1)
        W1 = W1 - 0.02 * np.outer(hidden, x)
    predicted, losses = ours.learn_many(X, Y)
    assert not predicted[0].any()
    np.testing.assert_allclose(predicted[1:], expected[1:], rtol=1e-9)
    np.testing.assert_allclose(losses, loss, rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(ours.parameters()["W"][0], W1, rtol=1e-9)
    mean, spread = moments(Y, kind)
    want = mean + spread * (np.maximum(X @ W1.T, 0) @ W2.T)
    np.testing.assert_allclose(ours.predict_many(X), want, rtol=1e-9)
    np.testing.assert_allclose(ours.predict_one(X[3]), want[3], rtol=1e-9)


def test_units_of_targets_make_no_difference() -> None:
    X, Y = samples(2000)
    plain = learner()
    want, losses = plain.learn_many(X, Y)
    assert all(r2_score(Y[-500:, i], want[-500:, i]) > 0.5 for i in range(2))
    for unit, offset in ((1e-9, 0.0), (1e9, 0.0), (1.8, 32.0)):
        other = learner()
        predicted, same = other.learn_many(X, offset + unit * Y)
        np.testing.assert_allclose((predicted[1:] - offset) / unit, want[1:], rtol=1e-6)
        np.testing.assert_allclose(same, losses, rtol=1e-6)


def test_before_and_after_the_first_sample() -> None:
    X, Y = samples(3)
    one = learner()
    assert one.predict_one(X[0]).tolist() == [0.0, 0.0]
    assert one.predict_many(X).tolist() == [[0.0, 0.0]] * 3
    assert np.isnan(one.score_many(X, Y).predicted).all()  # not to be scored
    one.learn_one(X[0], Y[0])
    assert one.predict_one(X[1]).tolist() == Y[0].tolist()  # the only target so far


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e200])
def test_bad_targets_are_refused_or_skipped(bad: float) -> None:
    X, Y = samples(30, outputs=1)
    spoilt = np.insert(Y, 7, bad, axis=0)
    rows = np.insert(X, 7, 0.0, axis=0)
    strict, lenient, clean = learner(1), learner(1, on_bad="skip"), learner(1)
    with pytest.raises(BadSample, match=r"sample 7: y\[0\]"):
        strict.learn_many(rows, spoilt)
    predicted, _ = lenient.learn_many(rows, spoilt)
    assert (predicted == clean.learn_many(X, Y)[0]).all()
    assert (lenient.skipped, lenient.samples_seen, strict.samples_seen) == (1, 30, 7)
    assert (lenient.predict_many(X) == clean.predict_many(X)).all()
    strict.learn_many(X[7:], Y[7:])
    assert (strict.predict_many(X) == clean.predict_many(X)).all()


def test_squared_error_alone_leaves_targets_as_they_are() -> None:
    X, Y = samples()
    small = Y * 1e-4
    a = OnlineLearner("backprop", SIZES, loss="mse")
    b = OnlineLearner("backprop", SIZES, task="regression", target_scale="none")
    assert (a.learn_many(X, small)[0] == b.learn_many(X, small)[0]).all()
    with pytest.raises(Diverged, match=r"scale the input, or the targets \(target_scale='running'"):
        OnlineLearner("backprop", SIZES, loss="mse", lr=1.0).learn_many(X, Y)


def test_the_network_gets_prepared_targets() -> None:
    X, Y = samples(100)
    one = learner(scale="running")
    _, y = one.prepared(X, Y)  # before learning the scale comes from these rows
    np.testing.assert_allclose(y, (Y - Y.mean(0)) / Y.std(0), rtol=1e-6)
    assert one.predict_one(X[0]).tolist() == [0.0, 0.0]
    one.learn_many(X[:50], Y[:50])
    np.testing.assert_allclose(
        one.prepared(X, Y)[1], (Y - Y[:50].mean(0)) / Y[:50].std(0), rtol=1e-6
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "guess"}, "task: got 'guess'"),
        ({"task": "regression", "loss": "cross_entropy"}, "regression with loss cross_entropy"),
        ({"task": "regression", "classes": (0, 1)}, "regression with classes"),
        ({"task": "regression", "target_scale": "standard"}, "target_scale: got 'standard'"),
        ({"target_scale": "running"}, "classes are not scaled"),
        ({"sizes": (3, 4, 1)}, r"sizes=\(3, 4, 2\), classes="),
        ({"sizes": (3, 4, 1), "loss": "binary_cross_entropy"}, "1 output unit"),
        ({"sizes": (3, 4, 1), "loss": "mse", "classes": ("no", "yes")}, "1 output unit"),
    ],
)
def test_contradictory_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(BadOption, match=message):
        OnlineLearner(**{"rule": "backprop", "sizes": (3, 4, 2)} | options)


def test_one_class_that_is_named_has_one_output() -> None:
    one = OnlineLearner("backprop", (3, 4, 1), classes=("x",))
    one.learn_one([1, 2, 3], "x")
    assert one.predict_one([1, 2, 3]) == "x"


def test_classes_by_squared_error() -> None:
    one = OnlineLearner("backprop", (3, 4, 2), loss="mse", task="classification")
    assert one.classes == (0, 1) and one.predict_one([1, 2, 3]) in (0, 1)
