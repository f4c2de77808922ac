"""Runs: the content of the folder, the stop conditions, and what errors leave behind."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rate_models.errors import BadOption, BadSample, Diverged, MissingData, UserError
from streaming import OnlineLearner
from streaming.files import checkpoint
from streaming.runs.config import RunConfig
from streaming.runs.run import Hooks, Run, resume, run
from streaming.sources import ArraySource, open_source

SMALL = {"source": "synthetic:samples=1500,features=6", "hidden": (8,), "interval": 400}


def small(**options: Any) -> RunConfig:
    return RunConfig.checked(**{**SMALL, **options})


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def stop_at(position: int) -> Hooks:
    """Hooks that stop the run at this sample, as Ctrl-C does."""
    seen = [0]
    return Hooks(
        stop=lambda: seen[0] >= position, watch=lambda run: seen.__setitem__(0, run.position)
    )


def test_the_folder_holds_everything(tmp_path: Path) -> None:
    summary = run(small(epochs=2), tmp_path / "r")
    folder = tmp_path / "r"
    assert sorted(p.name for p in folder.iterdir() if not p.name.endswith(".previous")) == [
        "checkpoint",
        "config.json",
        "learning_curve.png",
        "metrics.jsonl",
        "summary.json",
    ]
    assert json.loads((folder / "summary.json").read_text()) == summary
    assert (folder / "learning_curve.png").read_bytes().startswith(b"\x89PNG")
    config = json.loads((folder / "config.json").read_text())
    assert config["lr"] > 0 and config["scale"] == "none" and config["hidden"] == [8]
    assert OnlineLearner.load(folder / "checkpoint").samples_seen == 3000


def test_lines_come_at_fixed_counts_and_at_ends_of_epochs(tmp_path: Path) -> None:
    run(small(epochs=2), tmp_path / "r")
    found = lines(tmp_path / "r")
    counts = [400, 800, 1200, 1500, 1600, 2000, 2400, 2800, 3000]
    assert [line["samples"] for line in found] == counts
    assert [line["epoch"] for line in found] == [0, 0, 0, 1, 1, 1, 1, 1, 2]
    assert [line["samples"] for line in found if "test_accuracy" in line] == [1500, 3000]
    assert set(found[0]) == {
        "epoch",
        "samples",
        "progressive_accuracy",
        "windowed_accuracy",
        "loss",
        "windowed_loss",
        "seconds",
        "samples_per_second",
    }


def test_the_summary_agrees_with_the_lines_and_the_confusion(tmp_path: Path) -> None:
    summary = run(small(epochs=2), tmp_path / "r")
    confusion, tested = np.array(summary["confusion"]), np.array(summary["test_confusion"])
    assert confusion.sum() == summary["samples_seen"] == 3000
    assert np.trace(confusion) / 3000 == summary["progressive_accuracy"]
    assert np.trace(tested) / tested.sum() == summary["test_accuracy"] > 0.5
    last = lines(tmp_path / "r")[-1]
    shared = last.keys() & summary.keys()
    assert shared >= {"test_loss", "windowed_accuracy", "loss"}
    assert {k: last[k] for k in shared} == {k: summary[k] for k in shared}
    assert [e["test_accuracy"] for e in summary["epochs"]][-1] == summary["test_accuracy"]


def test_a_run_is_the_loop_of_learn_one(tmp_path: Path) -> None:
    config = small(samples=600, dtype="float64", settings={"momentum": 0.5})
    run(config, tmp_path / "r")
    source = config.open()
    learner = OnlineLearner(
        sizes=(6, 8, 4), lr=config.resolved(source).lr or 0, momentum=0.5, seed=0
    )
    X, y = next(source.chunks(epoch=0, size=600))
    for row, label in zip(X, y, strict=True):
        learner.learn_one(row, label)
    loaded = OnlineLearner.load(tmp_path / "r" / "checkpoint").parameters()
    for a, b in zip(loaded["W"], learner.parameters()["W"], strict=True):
        np.testing.assert_array_equal(a, b)


def test_samples_end_a_run_exactly(tmp_path: Path) -> None:
    summary = run(small(samples=501), tmp_path / "r")
    assert (summary["stopped"], summary["samples_seen"]) == ("samples", 501)
    assert [line["samples"] for line in lines(tmp_path / "r")] == [400, 501]
    assert summary["test_accuracy"] is not None


def test_seconds_end_a_run(tmp_path: Path) -> None:
    summary = run(small(source="synthetic:features=6", seconds=1e-6), tmp_path / "r")
    assert summary["stopped"] == "seconds" and summary["samples_seen"] == 256
    assert summary["test_accuracy"] is None and summary["test_confusion"] is None


def test_accuracy_ends_a_run_once_the_window_is_full(tmp_path: Path) -> None:
    summary = run(small(epochs=4, accuracy=0.3), tmp_path / "r")
    assert (summary["stopped"], summary["samples_seen"]) == ("accuracy", 1200)
    assert summary["windowed_accuracy"] >= 0.3


def test_an_endless_stream_is_announced(tmp_path: Path) -> None:
    messages: list[str] = []
    hooks = stop_at(512)
    hooks = Hooks(stop=hooks.stop, watch=hooks.watch, notify=messages.append)
    summary = run(small(source="synthetic:features=6"), tmp_path / "r", hooks)
    assert any("no end" in message for message in messages)
    assert (summary["stopped"], summary["test_accuracy"]) == ("interrupted", None)
    assert OnlineLearner.load(tmp_path / "r" / "checkpoint").samples_seen == 512


def test_metrics_can_be_read_during_the_run(tmp_path: Path) -> None:
    seen: list[int] = []

    def watch(run: Run) -> None:
        if run.position == 1000:
            seen.extend(line["samples"] for line in lines(tmp_path / "r"))

    run(small(), tmp_path / "r", Hooks(watch=watch))
    assert seen in ([], [400, 800])
    assert not seen or seen[-1] == 800


def test_a_folder_in_use_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "note").write_text("mine")
    with pytest.raises(BadOption, match="--resume"):
        run(small(), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["note"]


def test_a_folder_that_cannot_be_written_is_one_clear_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="can be written"):
        run(small(), tmp_path / "file" / "r")


@pytest.mark.parametrize(
    "options",
    [
        {"rule": "nope"},
        {"source": "nope"},
        {"settings": {"nope": 1}},
        {"settings": {"momentum": 2}},
        {"settings": {"decay_epochs": "soon"}},
        {"source": "csv:/nowhere/file.csv"},
        {"source": "synthetic", "settings": {"decay_epochs": [1]}},
    ],
)
def test_invalid_options_leave_no_folder(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        run(small(**options), tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_divergence_keeps_the_last_good_checkpoint_and_the_metrics(tmp_path: Path) -> None:
    def watch(run: Run) -> None:
        if run.position >= 1100:
            run.learner.set(lr=1e30)

    with pytest.raises(Diverged):
        run(small(save_every=500, epochs=5), tmp_path / "r", Hooks(watch=watch))
    _, meta = checkpoint.read(tmp_path / "r" / "checkpoint")
    assert meta["run"]["position"] == 1000
    assert OnlineLearner.load(tmp_path / "r" / "checkpoint").is_finite()
    summary = json.loads((tmp_path / "r" / "summary.json").read_text())
    assert summary["stopped"] == "diverged" and summary["samples_seen"] >= 1100
    assert [line["samples"] for line in lines(tmp_path / "r")][:2] == [400, 800]
    # resumed from the good checkpoint, at the rate of its configuration
    assert resume(tmp_path / "r")["stopped"] == "epochs"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rule": "backprop", "lr": 3}, r"layer 1 silent whatever the input; lower .*\(lr=3\)"),
        ({"rule": "pepita", "lr": 3}, r"a mean loss of \S+e\+\d+ over the last 1,000 samples"),
        ({"rule": "backprop", "lr": 3, "on_bad": "skip"}, "layer 1 silent"),
    ],
)
def test_a_run_that_is_lost_is_stopped_while_its_numbers_are_finite(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(Diverged, match=message) as error:
        run(RunConfig.checked(**options), tmp_path / "r")
    assert str(error.value).endswith(f"what was learned up to sample 0 is kept in {tmp_path / 'r'}")


def test_a_hard_stream_is_no_divergence(tmp_path: Path) -> None:
    """Random labels: the loss is that of a guess, but the network is not dead."""
    hard = RunConfig.checked(source="synthetic:samples=3000,noise=50", epochs=1, scale="running")
    summary = run(hard, tmp_path / "r")
    assert summary["stopped"] == "epochs" and summary["windowed_loss"] > np.log(4)


def arrays(bad: int | None, n: int = 700) -> ArraySource:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 3))
    source = ArraySource(X, (X[:, 0] > 0).astype(int), held_out=0.0)
    if bad is not None:
        order = np.random.default_rng([0, 0]).permutation(n)
        source.train_arrays()[0][order[bad], 1] = np.nan
    return source


def test_a_bad_sample_stops_the_run_with_those_before_it_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RunConfig, "open", lambda self: arrays(bad=300))
    with pytest.raises(BadSample):
        run(small(scale="none"), tmp_path / "r")
    summary = json.loads((tmp_path / "r" / "summary.json").read_text())
    assert (summary["stopped"], summary["samples_seen"]) == ("error", 300)
    assert OnlineLearner.load(tmp_path / "r" / "checkpoint").samples_seen == 300
    monkeypatch.setattr(RunConfig, "open", lambda self: arrays(bad=None))
    with pytest.raises(BadOption, match="a data set that changed since the run stopped"):
        resume(tmp_path / "r")
    # a source without a hash of its data: the user may repair it
    monkeypatch.setattr(ArraySource, "content", lambda self: "")
    meta_path = tmp_path / "r" / "checkpoint"
    arrays_of, meta = checkpoint.read(meta_path)
    checkpoint.write(meta_path, arrays_of, meta | {"run": meta["run"] | {"content": ""}})
    mended, whole = resume(tmp_path / "r"), run(small(scale="none"), tmp_path / "s")
    assert mended["samples_seen"] == 700
    assert mended["progressive_accuracy"] == whole["progressive_accuracy"]


def test_bad_samples_can_be_skipped_and_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RunConfig, "open", lambda self: arrays(bad=300))
    summary = run(small(on_bad="skip"), tmp_path / "r")
    assert (summary["skipped"], summary["samples_seen"]) == (1, 699)


def test_a_full_disk_keeps_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = checkpoint.write
    calls: list[int] = []

    def full(*args: Any) -> None:
        calls.append(1)
        if len(calls) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(*args)

    monkeypatch.setattr(checkpoint, "write", full)
    with pytest.raises(UserError, match="No space left"):
        run(small(save_every=500), tmp_path / "r")
    assert OnlineLearner.load(tmp_path / "r" / "checkpoint").samples_seen == 500
    monkeypatch.setattr(checkpoint, "write", write)
    assert resume(tmp_path / "r")["samples_seen"] == 1500


def test_an_empty_stream_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = arrays(bad=None)
    monkeypatch.setattr(source, "chunks", lambda *args, **named: iter(()))
    monkeypatch.setattr(RunConfig, "open", lambda self: source)
    with pytest.raises(BadOption, match="empty stream"):
        run(small(), tmp_path / "r")


def test_regression_has_losses_and_no_accuracy(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 3))
    rows = [",".join(f"{v:.5f}" for v in [*x, x[0] + 0.5 * x[1]]) for x in X]
    (tmp_path / "data.csv").write_text("\n".join(["a,b,c,target", *rows]) + "\n")
    config = small(source=f"csv:{tmp_path / 'data.csv'}", epochs=3, lr=0.01)
    summary = run(config, tmp_path / "r")
    assert summary["progressive_accuracy"] is None and summary["confusion"] is None
    assert summary["windowed_loss"] < 0.5
    assert (tmp_path / "r" / "learning_curve.png").exists()


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match="--resume"):
        resume(tmp_path)


def test_a_relative_file_is_read_again_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    rows = [",".join(map(str, (*rng.normal(size=2), "ab"[i % 2]))) for i in range(900)]
    (tmp_path / "data.csv").write_text("\n".join(["x,y,label", *rows]) + "\n")
    monkeypatch.chdir(tmp_path)
    stop = Hooks(watch=lambda run: None, stop=lambda: True)
    assert run(small(source="csv:data.csv"), tmp_path / "r", stop)["stopped"] == "interrupted"
    monkeypatch.chdir("/")
    assert resume(tmp_path / "r")["stopped"] == "epochs"


@pytest.mark.parametrize("scale", ["none", "range"])
@pytest.mark.parametrize("rule", ["backprop", "feedback_alignment", "direct_feedback_alignment"])
def test_an_autoencoder_learns_its_own_input(tmp_path: Path, rule: str, scale: str) -> None:
    options = {"source": "digits", "hidden": (32, 8, 32), "epochs": 2, "rule": rule, "scale": scale}
    lr = 0.01 if scale == "range" else 2e-5  # with more, pixels up to 16 make it chaotic
    settings = {"activation": ["tanh", "identity", "tanh"], "decay_at": [], "target_scale": "none"}
    config = RunConfig.checked(target="input", lr=lr, settings=settings, dtype="float64", **options)
    summary = run(config, tmp_path / "r")
    assert summary["sizes"] == [64, 32, 8, 32, 64] and summary["target"] == "input"
    assert summary["epochs"][1]["test_loss"] < summary["epochs"][0]["test_loss"]
    # the same as a plain loop
    digits = open_source("digits")
    learner = OnlineLearner(
        rule, (64, 32, 8, 32, 64), lr, loss="mse", scale=scale, maximum=16, **settings
    )
    for epoch in range(2):
        for X, _ in digits.chunks(epoch):
            learner.learn_many(X, X / 16 if scale == "range" else X)
    saved = OnlineLearner.load(tmp_path / "r" / "checkpoint").parameters()
    for ours, theirs in zip(saved["W"], learner.parameters()["W"], strict=True):
        assert (ours == theirs).all()


def test_invalid_targets_are_refused(tmp_path: Path) -> None:
    for options, message in (
        ({"scale": "running", "settings": {"target_scale": "none"}}, "got scale running"),
        ({"rule": "drtp"}, "loss"),
        ({"task": "classification"}, "--task: got classification"),
    ):
        with pytest.raises(BadOption, match=message):
            run(RunConfig.checked(target="input", **options), tmp_path / "r")
    assert not (tmp_path / "r").exists()
