"""Runs whose classes are not known beforehand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import assert_one_error, called
from command_runs import assert_same

from rate_models.errors import BadOption
from streaming import OnlineLearner
from streaming.runs.going_on import go_on
from streaming.runs.run import Hooks, RunConfig, resume, run


def growing_table(path: Path, n: int = 400, kinds: str = "abcd") -> str:
    """A table whose classes appear one after another."""
    rng = np.random.default_rng(0)
    rows = ["p,q,kind"]
    for t in range(n):
        k = int(rng.integers(1 + t * len(kinds) // n))
        x, y = rng.normal((np.cos(k * 1.5) * 3, np.sin(k * 1.5) * 3), 0.5)
        rows.append(f"{x:.4f},{y:.4f},{kinds[k]}")
    path.write_text("\n".join(rows) + "\n")
    return f"csv:{path}"


def config(source: str, **more: Any) -> RunConfig:
    return RunConfig.checked(source=source, hidden=16, classes="grow", interval=50, **more)


def test_output_units_are_added_as_labels_appear(tmp_path: Path) -> None:
    source = growing_table(tmp_path / "t.csv")
    sizes = []
    hooks = Hooks(watch=lambda r: sizes.append((r.position, r.learner.sizes[-1])), draw=False)
    summary = run(config(source, epochs=2), tmp_path / "r", hooks)
    assert sizes[0][1] == 2 and sizes[-1][1] == 4
    assert [n for _, n in sizes] == sorted(n for _, n in sizes)
    assert summary["classes"] == ["a", "b", "c", "d"] and summary["sizes"] == [2, 16, 4]
    confusion = np.array(summary["confusion"])
    assert confusion.shape == (4, 4) and confusion.sum() == 2 * 400 - 1  # of the first: nothing
    assert summary["progressive_accuracy"] == confusion.trace() / 800 > 0.85
    assert OnlineLearner.load(tmp_path / "r" / "checkpoint").classes == ("a", "b", "c", "d")


def test_a_stopped_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    source = growing_table(tmp_path / "t.csv")
    run(config(source, save_every=70), tmp_path / "whole", Hooks(draw=False))
    states = iter([False, False, False, True])
    run(config(source, save_every=70), tmp_path / "r",
        Hooks(stop=lambda: next(states, True), draw=False))  # fmt: skip
    stopped = OnlineLearner.load(tmp_path / "r" / "checkpoint")
    assert len(stopped.classes or ()) < 4
    resume(tmp_path / "r", Hooks(draw=False))
    assert_same(tmp_path / "r", tmp_path / "whole")


def test_labels_that_were_never_learned_are_wrong(tmp_path: Path) -> None:
    source = growing_table(tmp_path / "t.csv")
    summary = run(config(source, held_out=0.5), tmp_path / "r")
    assert summary["classes"] == ["a", "b"]  # the others are all in the second half
    confusion = np.array(summary["test_confusion"])
    assert confusion.shape == (2, 2) and confusion.sum() < 200
    assert summary["test_accuracy"] == pytest.approx(confusion.trace() / 200)
    assert np.isfinite(summary["test_loss"])
    assert (tmp_path / "r" / "learning_curve.png").exists()


def test_a_learner_goes_on_with_labels_that_it_did_not_know(tmp_path: Path) -> None:
    first, second = (growing_table(tmp_path / f"{k}.csv", kinds=k) for k in ("ab", "bce"))
    run(config(first), tmp_path / "one", Hooks(draw=False))
    summary = go_on(tmp_path / "one", {"source": second}, tmp_path / "two", Hooks(draw=False))
    assert summary["classes"] == ["a", "b", "c", "e"] and summary["sizes"][-1] == 4
    with pytest.raises(BadOption, match="--classes"):
        go_on(tmp_path / "one", {"source": second, "classes": "grow"}, tmp_path / "three")
    fixed = RunConfig.checked(source=first, hidden=16)
    run(fixed, tmp_path / "fixed", Hooks(draw=False))
    with pytest.raises(BadOption, match=r"does not know: 'c', 'e'.*--classes grow"):
        go_on(tmp_path / "fixed", {"source": second}, tmp_path / "four")


def test_names_of_classes_follow_their_order(tmp_path: Path) -> None:
    summary = run(
        RunConfig.checked(source="digits", hidden=8, samples=400, classes="grow", seed=2),
        tmp_path / "r", Hooks(draw=False),
    )  # fmt: skip
    assert sorted(summary["classes"]) == list(range(10)) != summary["classes"]
    assert summary["sizes"] == [64, 8, 10]


def test_filled_cells_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b,label\n1,,x\n2,3,y\n,,x\n4,1,y\n")
    how = {"source": f"csv:{path}", "hidden": 4}
    filled = run(RunConfig.checked(**how, missing="mean"), tmp_path / "r", Hooks(draw=False))
    assert (filled["missing"], filled["skipped"], filled["samples_seen"]) == (3, 0, 4)
    skipped = run(RunConfig.checked(**how, missing="skip"), tmp_path / "s", Hooks(draw=False))
    assert (skipped["missing"], skipped["skipped"], skipped["samples_seen"]) == (0, 2, 2)


def test_the_command_says_what_it_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = "".join(f'2024-01-{t + 1:02},{t % 3},"{"ab"[t % 2]}, or so"\n' for t in range(20))
    Path("t.csv").write_text('"at","v","kind"\n' + rows)
    said = called(capsys, "run", "--source", "csv:t.csv", "--classes", "grow", "--hidden", 4,
                  "--time", "at", "--label", "kind", "--out", "r")  # fmt: skip
    assert said.code == 0 and "left out" not in said.err
    said = called(capsys, "run", "--source", "csv:t.csv", "--hidden", 4, "--out", "s")
    assert said.err.splitlines()[0].endswith(
        "t.csv: label 'kind', features 'v'; left out: 'at' (timestamps); "
        "--label, --drop and --time change this"
    )
    run_ = ("run", "--source", "csv:t.csv", "--out", "t", "--label", "kind")
    assert_one_error(called(capsys, *run_, "--time", "nope"), "--time: got 'nope'")
    run_ = (*run_, "--time", "at")
    assert_one_error(
        called(capsys, "run", "--source", "digits", "--time", "at"), "--time", "a table"
    )
    assert_one_error(
        called(capsys, *run_, "--classes", "grow", "--schedule", "delayed:2"), "grow: got schedule"
    )
    assert_one_error(
        called(capsys, *run_, "--classes", "grow", "--record", "weight_norms"), "--record"
    )
    assert not Path("t").exists()
