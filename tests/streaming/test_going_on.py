"""Runs that start with the learner of another run, on the same or on other data."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from going_on import OPTIONS, go
from project import ROOT

from rate_models.errors import BadOption, BadSample
from streaming import OnlineLearner
from streaming.files import checkpoint
from streaming.runs.going_on import go_on
from streaming.runs.run import Hooks, Run, RunConfig, resume, run

TIMES = ("seconds", "samples_per_second", "memory", "latency", "out")

DIGITS: dict[str, Any] = {
    "source": "digits", "hidden": 8, "lr": 0.02, "epochs": 2, "interval": 400,
    "settings": {"decay_at": [2000], "momentum": 0.5},
}  # fmt: skip


def learned(folder: Path) -> dict[str, Any]:
    """All state of a run's learner."""
    return checkpoint.read(folder / "checkpoint")[0]


def assert_same_learner(ours: Path, theirs: Path) -> None:
    a, b = ({k: v for k, v in learned(f).items() if not k.startswith("metrics.")}
            for f in (ours, theirs))  # fmt: skip
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def files(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("options", [OPTIONS, DIGITS], ids=["synthetic", "digits"])
def test_epochs_in_several_runs_are_those_of_one(options: dict[str, Any], tmp_path: Path) -> None:
    """Weights, velocities, scaling, masks, order of samples and decay: bit for bit."""
    config = RunConfig.checked(**options)
    run(config.model_copy(update={"epochs": 4}), tmp_path / "whole", Hooks(draw=False))
    run(config, tmp_path / "a", Hooks(draw=False))
    before = files(tmp_path / "a")
    b = go(tmp_path / "a", tmp_path / "b")
    c = go(tmp_path / "b", tmp_path / "c", source=options["source"], epochs=1)
    assert_same_learner(tmp_path / "c", tmp_path / "whole")
    assert files(tmp_path / "a") == before
    whole = json.loads((tmp_path / "whole" / "summary.json").read_text())
    assert c["test_accuracy"] == whole["test_accuracy"]
    per_epoch = whole["samples_seen"] // 4
    assert b["samples_seen"] == c["samples_seen"] == per_epoch
    lineage = json.loads((tmp_path / "c" / "config.json").read_text())["lineage"]
    assert lineage["parent"] == str(tmp_path / "b")
    assert (lineage["samples_seen"], lineage["epoch"]) == (3 * per_epoch, 3)
    saved = (tmp_path / "b" / "checkpoint" / "arrays.safetensors").read_bytes()
    assert lineage["sha256"] == hashlib.sha256(saved).hexdigest()
    assert c["lineage"]["parent"] == lineage["parent"]


def test_going_on_in_python_equals_the_command(parent: Path, tmp_path: Path) -> None:
    go(parent, tmp_path / "r", source="synthetic:samples=500,features=6,seed=4")
    learner = OnlineLearner.load(parent / "checkpoint")
    source = RunConfig.checked(source="synthetic:samples=500,features=6,seed=4").open()
    for X, y in source.chunks(0):
        learner.learn_many(X, y)
    other = OnlineLearner.load(tmp_path / "r" / "checkpoint")
    for name, value in learner.parameters().items():
        for a, b in zip(value, other.parameters()[name], strict=True):
            np.testing.assert_array_equal(a, b)


class Killed(BaseException):
    pass


@pytest.mark.parametrize("at", [200, 900, 1500])
def test_a_killed_run_that_went_on_is_resumed_bit_for_bit(
    at: int, parent: Path, tmp_path: Path
) -> None:
    given = {"epochs": 2, "lr": 0.002, "settings": {"momentum": 0.5}, "save_every": 400}

    def die(this: Run) -> None:
        if this.position >= at:
            raise Killed

    go(parent, tmp_path / "whole", **given)
    with pytest.raises(Killed):
        go_on(parent, given, tmp_path / "r", Hooks(watch=die, draw=False))
    resume(tmp_path / "r", Hooks(draw=False))
    assert_same_learner(tmp_path / "r", tmp_path / "whole")
    a, b = (json.loads((tmp_path / n / "summary.json").read_text()) for n in ("r", "whole"))
    assert {k: v for k, v in a.items() if k not in TIMES} == (
        {k: v for k, v in b.items() if k not in TIMES}
    )


SIGNALLED = """
import os, sys
from streaming.runs import run
from streaming.cli import main
count = run.Run._count
def counted(self, scored, taken):
    count(self, scored, taken)
    if self.position >= 500:
        os.kill(os.getpid(), 9)
run.Run._count = counted
main(sys.argv[1:])
"""


def test_kill_9_and_the_command_line(parent: Path, tmp_path: Path, call: Any) -> None:
    arguments = ["run", "--from", parent, "--epochs", 2, "--save-every", 300, "--out"]
    words = [sys.executable, "-c", SIGNALLED, *map(str, [*arguments, tmp_path / "r"])]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, timeout=300)
    assert done.returncode == -signal.SIGKILL
    assert call(*arguments, tmp_path / "whole", "--json", "--quiet").code == 0
    ended = call("run", "--resume", tmp_path / "r")
    assert ended.code == 0 and f"goes on from          {parent}, 1,800 samples" in ended.out
    assert_same_learner(tmp_path / "r", tmp_path / "whole")


def test_a_stopped_run_goes_on_with_a_new_pass(tmp_path: Path) -> None:
    run(RunConfig.checked(**{**DIGITS, "samples": 500}), tmp_path / "a", Hooks(draw=False))
    b = go(tmp_path / "a", tmp_path / "b")
    assert (b["stopped"], b["samples_seen"]) == ("epochs", 1437)
    assert json.loads((tmp_path / "b" / "config.json").read_text())["lineage"]["epoch"] == 1


def table(path: Path, header: str, rows: list[str]) -> str:
    path.write_text("\n".join([header, *rows, ""]))
    return f"csv:{path}"


def numbers(n: int, seed: int, labels: str = "0123") -> list[str]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 6)).round(3)
    return [f"{','.join(map(str, x))},{labels[i % len(labels)]}" for i, x in enumerate(X)]


NAMES = "a,b,c,d,e,f,label"


def test_a_file_that_has_grown_is_new_data(tmp_path: Path) -> None:
    source = table(tmp_path / "t.csv", NAMES, numbers(100, 0))
    options = {**OPTIONS, "source": source, "epochs": 1}
    run(RunConfig.checked(**options), tmp_path / "a", Hooks(draw=False))
    table(tmp_path / "t.csv", NAMES, numbers(150, 0))
    b = go(tmp_path / "a", tmp_path / "b", source=source)
    assert b["samples_seen"] > 100
    assert json.loads((tmp_path / "b" / "config.json").read_text())["lineage"]["epoch"] == 0


def test_some_of_the_classes_are_enough(parent: Path, tmp_path: Path) -> None:
    source = table(tmp_path / "t.csv", NAMES, numbers(200, 1, labels="31"))
    found = go(parent, tmp_path / "r", source=source)
    assert found["classes"] == [0, 1, 2, 3]
    confusion = np.array(found["confusion"])
    assert confusion.shape == (4, 4) and confusion[[0, 2]].sum() == 0
    assert confusion[[1, 3]].sum() == found["samples_seen"]
    assert (tmp_path / "r" / "checkpoint").exists()


@pytest.mark.parametrize(
    ("header", "labels", "words"),
    [
        (NAMES, "0124", ["labels that the learner does not know: 4", "among 0, 1, 2, 3"]),
        (NAMES, "abc", ["does not know: 'a', 'b', 'c'"]),
        ("b,a,c,d,e,f,label", "0123", ["columns in another order: 'b', 'a'", "'a', 'b'"]),
        ("a,b,c,d,e,g,label", "0123", ["columns of other names", "'f'"]),
    ],
)
def test_tables_that_do_not_fit(header: str, labels: str, words: list[str], tmp_path: Path) -> None:
    options = {**OPTIONS, "source": table(tmp_path / "a.csv", NAMES, numbers(100, 0)), "epochs": 1}
    run(RunConfig.checked(**options), tmp_path / "a", Hooks(draw=False))
    source = table(tmp_path / "b.csv", header, numbers(100, 1, labels))
    with pytest.raises(BadOption) as error:
        go(tmp_path / "a", tmp_path / "b", source=source)
    assert all(word in str(error.value) for word in (*words, "b.csv")), error.value
    assert not (tmp_path / "b").exists()


def test_a_new_rate_is_the_rate(tmp_path: Path) -> None:
    """Past decays would change it, so they are removed; later ones are kept."""
    options = {**DIGITS, "settings": {"decay_at": [100, 5000]}}
    run(RunConfig.checked(**options), tmp_path / "a", Hooks(draw=False))
    lines: list[str] = []
    go_on(tmp_path / "a", {"lr": 0.05}, tmp_path / "b", Hooks(notify=lines.append, draw=False))
    optimizer = OnlineLearner.load(tmp_path / "b" / "checkpoint").network.optimizer
    assert (optimizer.lr, optimizer.decay_at) == (0.05, (5000,))
    assert any("2,874 samples learned, lr 0.05" in line for line in lines)
    go(tmp_path / "a", tmp_path / "c", settings={"decay_epochs": [1]}, epochs=2)
    optimizer = OnlineLearner.load(tmp_path / "c" / "checkpoint").network.optimizer
    assert (optimizer.lr, optimizer.decay_at) == (0.02, (100, 2874 + 1437))
    go(tmp_path / "a", tmp_path / "d")
    assert OnlineLearner.load(tmp_path / "d" / "checkpoint").network.optimizer.decay_at == (
        100, 5000,
    )  # fmt: skip


def test_stop_conditions_are_not_inherited(tmp_path: Path) -> None:
    options = {**OPTIONS, "source": "synthetic:features=6", "samples": 600}
    run(RunConfig.checked(**{**options, "epochs": None}), tmp_path / "a", Hooks(draw=False))
    b = go(tmp_path / "a", tmp_path / "b", source="synthetic:samples=700,features=6")
    assert (b["stopped"], b["samples_seen"], b["skipped"]) == ("epochs", 700, 0)
    c = go(tmp_path / "b", tmp_path / "c", samples=300)
    assert (c["stopped"], c["samples_seen"]) == ("samples", 300)


def test_a_regression_goes_on_with_numbers_alone(tmp_path: Path) -> None:
    rows = [row[:-1] + "0.5" for row in numbers(100, 0)]
    rows = [row + str(i) for i, row in enumerate(rows)]
    source = table(tmp_path / "t.csv", NAMES, rows)
    options = {**OPTIONS, "source": source, "epochs": 1, "rule": "backprop", "settings": {}}
    run(RunConfig.checked(**options), tmp_path / "a", Hooks(draw=False))
    assert go(tmp_path / "a", tmp_path / "b")["samples_seen"] > 50
    texts = table(tmp_path / "texts.csv", NAMES, [f"{row.rpartition(',')[0]},no" for row in rows])
    with pytest.raises(BadSample, match="a number, for a regression"):
        go(tmp_path / "a", tmp_path / "c", source=texts)


@pytest.mark.parametrize(
    "options",
    [
        {"circuit": "pepita", "hidden": 5, "settings": {}},
        {"schedule": "delayed:2", "settings": {}},
        {"batch": 4, "settings": {"momentum": 0.5}},
        {"rule": "node_perturbation", "settings": {}},
    ],
)
def test_every_kind_of_learner_can_go_on(options: dict[str, Any], tmp_path: Path) -> None:
    config = RunConfig.checked(
        **{**OPTIONS, "source": "synthetic:samples=96,features=6", **options}
    )
    run(config.model_copy(update={"epochs": 2}), tmp_path / "whole", Hooks(draw=False))
    run(config.model_copy(update={"epochs": 1}), tmp_path / "a", Hooks(draw=False))
    go(tmp_path / "a", tmp_path / "b")
    assert_same_learner(tmp_path / "b", tmp_path / "whole")


@pytest.mark.parametrize("name", ["digits", "fashion"])
def test_other_data_of_the_same_name_is_not_resumed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from data_sets import write_data_sets

    write_data_sets(tmp_path, monkeypatch)
    options = {"source": "fashion_mnist", "data": tmp_path, "hidden": 4, "epochs": 2}
    hooks = Hooks(stop=lambda: True, draw=False)
    run(RunConfig.checked(**options), tmp_path / "r", hooks)
    folder = tmp_path / "FashionMNIST" / "raw"
    images = sorted(folder.glob("t10k-images*" if name == "digits" else "train-labels*"))[0]
    other = tmp_path / "MNIST" / "raw" / images.name.removesuffix(".gz")
    images.unlink()
    (folder / other.name).write_bytes(other.read_bytes())
    with pytest.raises(BadOption, match="fashion_mnist: got a data set that changed"):
        resume(tmp_path / "r")
    # a checkpoint of a version that did not store the hash of the data
    arrays, meta = checkpoint.read(tmp_path / "r" / "checkpoint")
    meta["run"]["content"] = ""
    checkpoint.write(tmp_path / "r" / "checkpoint", arrays, meta)
    assert resume(tmp_path / "r", Hooks(draw=False))["stopped"] == "epochs"
