"""Regression: running target scaling, scores in raw units, and given or guessed tasks."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from rate_models.errors import BadOption, BadSample, Diverged, UserError
from streaming.files import checkpoint
from streaming.learner.learner import OnlineLearner
from streaming.pictures import examples
from streaming.runs import run
from streaming.runs.run import Hooks, RunConfig
from streaming.runs.summary import score_rows
from streaming.samples.target_scaling import TargetScaler
from streaming.scores.evaluate import held_out, progressive_val_score
from streaming.scores.metrics import Metrics
from streaming.scores.regression import RegressionScores
from streaming.sources import ArraySource, Options, open_source

SIZES = (4, 6, 2)


def samples(n: int = 200, outputs: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Targets far from 0 with different standard deviations."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4))
    Y = np.stack([5000 + 300 * (X[:, 0] + X[:, 1] ** 2), -0.02 + 0.001 * X[:, 2]], axis=1)
    return X, Y[:, :outputs]


def learner(outputs: int = 2, **options: Any) -> OnlineLearner:
    sizes = (*SIZES[:-1], outputs)
    return OnlineLearner(
        **{"rule": "backprop", "sizes": sizes, "lr": 0.02, "task": "regression"} | options
    )


def moments(Y: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation in two passes; NaN and 0 without samples."""
    axis = 0 if kind == "running" else None
    if not len(Y):
        return np.full(Y.shape[1], np.nan), np.zeros(Y.shape[1])
    shape = (Y.shape[1],)
    return tuple(np.broadcast_to(f(Y, axis=axis), shape) for f in (np.mean, np.std))


def standardised(Y: np.ndarray, kind: str) -> np.ndarray:
    """Each row scaled by the rows up to and including it."""
    z = np.zeros(Y.shape)
    for t in range(len(Y)):
        mean, spread = moments(Y[: t + 1], kind)
        z[t] = np.where(spread > 0, (Y[t] - mean) / np.where(spread > 0, spread, 1), 0)
    return z


# --- target scaling


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


# --- the learner


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


# --- scores


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


# --- what the task is


def table(folder: Path, labels: list[Any], name: str = "price") -> str:
    rows = [f"{i % 7},{i % 5},{label}" for i, label in enumerate(labels)]
    (folder / "t.csv").write_text("\n".join([f"a,b,{name}", *rows]) + "\n")
    return f"csv:{folder / 't.csv'}"


@pytest.mark.parametrize(
    ("labels", "options", "classes", "guess"),
    [
        ([0.5, 1, 2] * 9, {}, None, "task: regression (column 'price' has numbers with decimals)"),
        ([0, 1, 2] * 9, {}, (0, 1, 2), "task: classification (column 'price' has 3 different"),
        ([0, 1] * 9, {"loss": "mse"}, None, "task: regression (column 'price' has 2 different"),
        (range(0, 6000, 100), {}, None, "task: regression (column 'price' has 60 different whole"),
        ([*range(25)] * 20, {}, tuple(range(25)), "task: classification"),
        ([0, 1, 2] * 9, {"task": "regression"}, None, ""),
        (range(25), {"task": "classification"}, tuple(range(25)), ""),
        ([0.5, 1] * 5, {"task": "classification"}, ("0.5", "1"), ""),
        (["x", "y"] * 5, {"loss": "mse"}, ("x", "y"), ""),
    ],
)
def test_the_task_of_a_table_is_guessed_or_given(
    tmp_path: Path, labels: Any, options: dict[str, Any], classes: Any, guess: str
) -> None:
    source = open_source(table(tmp_path, labels), Options(**options))
    assert source.classes == classes
    assert source.guess.startswith(guess) and bool(source.guess) == bool(guess)
    if classes is None:
        y = np.concatenate([y for _, y in source.chunks(0)])
        assert y.dtype == np.float64 and set(y) <= set(labels)


def test_texts_are_no_regression(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"line 2, column 'price'.*regression"):
        open_source(table(tmp_path, ["x", "y"]), Options(task="regression"))
    with pytest.raises(BadOption, match="task: got rank; expected"):
        Options(task="rank")


def test_the_task_of_arrays_is_guessed_or_given() -> None:
    X = np.zeros((60, 2))
    assert ArraySource(X, [0.5, 1] * 30).guess.startswith("task: regression (y of arrays has")
    assert ArraySource(X, np.arange(60)).classes is None
    assert ArraySource(X, np.arange(60), task="classification").classes == tuple(range(60))
    numbers = ArraySource(X, [1, 2] * 30, task="regression")
    assert numbers.classes is None and next(numbers.chunks(0))[1].dtype == np.float64
    assert ArraySource(X, [True, False] * 30).guess == ""
    assert ArraySource(X, ["a", "b"] * 30).guess == ""
    for wrong in (
        {"y": [0.5, 1] * 30, "task": "classification"},
        {"y": ["a", "b"] * 30, "task": "regression"},
        {"y": [0, 1] * 30, "task": "regression", "classes": (0, 1)},
        {"y": [0, 1] * 30, "task": "rank"},
    ):
        with pytest.raises(BadOption, match=r"got .*expected"):
            ArraySource(X, **wrong)


# --- runs


def config(source: str, **options: Any) -> RunConfig:
    given = {"rule": "backprop", "hidden": (8,), "lr": 0.01, "dtype": "float64", "epochs": 1}
    return RunConfig.checked(**given | {"source": source, **options})


def test_a_run_predicts_in_the_units_of_the_table(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(50, 20, (900, 3))
    y = 3 * X[:, 0] - X[:, 1] + 7000
    (tmp_path / "t.csv").write_text(
        "\n".join(["a,b,c,load", *(",".join(map(repr, map(float, r))) for r in np.c_[X, y])])
    )
    messages: list[str] = []
    what = config(f"csv:{tmp_path / 't.csv'}", epochs=3, held_out=0.2)
    whole = run.run(what, tmp_path / "whole", Hooks(notify=messages.append))
    assert any(line.startswith("task: regression (column 'load'") for line in messages)
    assert whole["test_r2"] > 0.95 and whole["test_rmse"] < 20 and whole["r2"] > 0.5
    lines = [json.loads(x) for x in (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()]
    assert {"r2", "rmse", "mae", "windowed_r2", "windowed_rmse"} <= lines[0].keys()
    assert lines[-1]["test_r2"] == whole["epochs"][-1]["test_r2"] == whole["test_r2"]
    shown = dict(score_rows(whole))
    assert shown["held-out R2"] == f"{whole['test_r2']:.4f}"
    assert shown["progressive RMSE"] == f"{whole['rmse']:.6g}"
    # the examples are the held-out samples
    true, predicted = examples.read(tmp_path / "whole")
    assert r2_score(true, predicted) == pytest.approx(whole["test_r2"], rel=1e-6)
    # stopped and resumed: not a bit is different
    stops = iter([False, False, False, True])
    stopped = Hooks(stop=lambda: next(stops), draw=False)
    assert run.run(what, tmp_path / "parts", stopped)["stopped"] == "interrupted"
    resumed = run.resume(tmp_path / "parts")
    for name in ("r2", "rmse", "mae", "windowed_r2", "test_r2", "test_rmse", "loss"):
        assert resumed[name] == whole[name]
    a, b = (checkpoint.read(tmp_path / name / "checkpoint")[0] for name in ("whole", "parts"))
    assert a.keys() == b.keys() and all((a[k] == b[k]).all() for k in a)
    assert (tmp_path / "parts" / "learning_curve.png").stat().st_size > 10_000


def test_old_runs_go_on_as_they_were(tmp_path: Path) -> None:
    """A run of a version without tasks, target scaling and regression scores."""
    source = table(tmp_path, list(range(60)) * 9)  # 60 values were classes in that version
    for task, classes in (("classification", 60), ("regression", 1)):
        out = tmp_path / task
        what = config(source, task=task, settings={} if classes > 1 else {"target_scale": "none"})
        stops = iter([False, True])
        run.run(what, out, Hooks(stop=lambda stops=stops: next(stops), draw=False))
        text = json.loads((out / "config.json").read_text())
        del text["task"]
        text["settings"].pop("target_scale", None)
        (out / "config.json").write_text(json.dumps(text))
        arrays, meta = checkpoint.read(out / "checkpoint")
        del meta["learner"]["target_scale"], meta["learner"]["task"], meta["run"]["config"]
        arrays = {k: a for k, a in arrays.items() if not k.startswith("metrics.regression.")}
        checkpoint.write(out / "checkpoint", arrays, meta)
        again = run.resume(out, Hooks(draw=False))
        assert again["stopped"] == "epochs" and again["sizes"][-1] == classes


def test_a_source_of_classes_can_be_a_regression(tmp_path: Path) -> None:
    summary = run.run(
        config("digits", task="regression", samples=600), tmp_path / "r", Hooks(draw=False)
    )
    assert summary["sizes"][-1] == 1 and summary["classes"] is None
    assert summary["windowed_r2"] > 0.1
    assert json.loads((tmp_path / "r" / "config.json").read_text())["task"] == "regression"


@pytest.mark.parametrize("scale", ["running", "global"])
def test_an_autoencoder_on_scaled_input_learns_what_it_sees(tmp_path: Path, scale: str) -> None:
    out = tmp_path / "r"
    summary = run.run(
        config(
            "digits", target="input", scale=scale, samples=400, lr=0.001, settings={"decay_at": []}
        ),
        out,
    )
    digits = open_source("digits")
    X = np.concatenate([X for X, _ in digits.chunks(0)])[:400].astype(float)
    seen = standardised(X, scale)
    loop = OnlineLearner("backprop", (64, 8, 64), lr=0.001, loss="mse")
    _, losses = loop.learn_many(seen, seen)
    saved = OnlineLearner.load(out / "checkpoint")
    assert summary["loss"] == pytest.approx(losses.mean(), rel=1e-6)
    np.testing.assert_allclose(saved.parameters()["W"][1], loop.parameters()["W"][1], rtol=1e-6)
    mean, spread = moments(X, scale)
    x = (X[:5] - mean) / np.where(spread > 0, spread, np.inf)
    np.testing.assert_allclose(
        saved.predict_many(X[:5]), mean + spread * loop.predict_many(x), rtol=1e-6, atol=1e-6
    )


def test_a_first_autoencoder_of_images(tmp_path: Path) -> None:
    summary = run.run(config("digits", target="input", hidden=(64,), epochs=3), tmp_path / "r")
    assert summary["test_r2"] > 0.7  # 0.86; around zero, as the pixels are, 0.6
    true, predicted = examples.read(tmp_path / "r")
    assert true.shape == predicted.shape and true.max() == 16  # in grey levels
    assert (tmp_path / "r" / "learning_curve.png").stat().st_size > 10_000
