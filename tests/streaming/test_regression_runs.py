"""Runs that learn numbers: the task of a source, units, autoencoders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import r2_score
from targets import moments, standardised

from rate_models.errors import BadOption, UserError
from streaming.files import checkpoint
from streaming.learner.learner import OnlineLearner
from streaming.pictures import examples
from streaming.runs import run
from streaming.runs.run import Hooks, RunConfig
from streaming.runs.summary import score_rows
from streaming.sources import ArraySource, Options, open_source


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
