"""Positions and scores of a checkpoint that cannot be are refused."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_runs import OPTIONS, assert_same, stopped

from rate_models.errors import DamagedCheckpoint
from streaming.files import checkpoint
from streaming.runs.run import Hooks, RunConfig, resume, run

QUIET = Hooks(draw=False)


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "interrupted"
    assert run(RunConfig.checked(**OPTIONS), folder, stopped(2300))["stopped"] == "interrupted"
    return folder


@pytest.fixture
def copy(interrupted: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(interrupted, tmp_path / "r"))


@pytest.mark.parametrize(
    "changes",
    [
        {"position": -1}, {"position": 2**60}, {"position": "1"}, {"position": 1.5},
        {"position": True}, {"epoch": None}, {"index": [1]}, {"seconds": "x"}, {"seconds": -1},
        {"epochs": None}, {"epochs": [1]}, {"epochs": [{"epoch": 1}]},
        {"epochs": [{"epoch": 1, "samples": 2, "test_accuracy": "x"}]}, {"lines": -1},
        {"lines": 10**30}, {"recorded": {}}, {"content": 5}, {"config": [1]}, {"over": 1},
    ],
)  # fmt: skip
def test_invalid_positions_are_refused(copy: Path, changes: dict[str, Any]) -> None:
    arrays, meta = checkpoint.read(copy / "checkpoint")
    checkpoint.write(copy / "checkpoint", arrays, meta | {"run": meta["run"] | changes})
    with pytest.raises(DamagedCheckpoint, match="expected the position of a run"):
        resume(copy, QUIET)


@pytest.mark.parametrize("name", ["position", "epochs", "lines", "run"])
def test_missing_positions_are_refused(copy: Path, name: str) -> None:
    arrays, meta = checkpoint.read(copy / "checkpoint")
    (meta if name == "run" else meta["run"]).pop(name)
    checkpoint.write(copy / "checkpoint", arrays, meta)
    with pytest.raises(DamagedCheckpoint, match="expected the position of a run"):
        resume(copy, QUIET)


@pytest.mark.parametrize("name", ["metrics.counts", "metrics.pairs", "metrics.hits", "run.recent"])
def test_invalid_scores_are_refused(copy: Path, name: str) -> None:
    arrays, meta = checkpoint.read(copy / "checkpoint")
    arrays[name] = np.full(arrays[name].size + 1, -1)
    checkpoint.write(copy / "checkpoint", arrays, meta)
    with pytest.raises(DamagedCheckpoint, match="expected the scores of a run"):
        resume(copy, QUIET)


@pytest.mark.parametrize("at", [150, 2000])
def test_a_regression_that_was_stopped(regression: RunConfig, tmp_path: Path, at: int) -> None:
    """Its scores, its rate and its last predictions equal those of an uninterrupted run."""
    run(regression, tmp_path / "whole", QUIET)
    often = regression.model_copy(update={"save_every": 100})
    run(often, tmp_path / "r", stopped(at))
    resume(tmp_path / "r", QUIET)
    assert_same(tmp_path / "r", tmp_path / "whole")
    written = [(tmp_path / r / "predictions.csv").read_text() for r in ("r", "whole")]
    assert written[0] == written[1] and written[0].count("\n") == 1001


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("metrics.regression.samples", np.array([-1])),
        ("metrics.regression.samples", np.zeros(0, np.int64)),
        ("metrics.regression.samples", np.zeros(1)),
        ("metrics.regression.errors", np.zeros(3)),
        ("metrics.regression.recent", np.zeros((0, 2))),
        ("metrics.regression.recent", np.zeros((999, 2))),
        ("metrics.regression.seen", np.zeros((1000, 3))),
        ("metrics.regression.seen", np.zeros((1000, 0))),
        ("metrics.regression.seen", np.zeros(())),
        ("metrics.regression.targets.count", np.array([-5])),
        ("metrics.regression.targets.m2", np.array([-1.0])),
        ("run.examples", np.full((1, 2, 1), np.nan)),
        ("run.examples", np.zeros(7)),
    ],
)
def test_invalid_scores_of_a_regression_are_refused(
    regression: RunConfig, tmp_path: Path, name: str, value: Any
) -> None:
    run(regression.model_copy(update={"samples": 300}), tmp_path / "r", QUIET)
    (tmp_path / "r" / "summary.json").unlink()
    arrays, meta = checkpoint.read(tmp_path / "r" / "checkpoint")
    assert name in arrays
    checkpoint.write(tmp_path / "r" / "checkpoint", arrays | {name: value}, meta)
    with pytest.raises(DamagedCheckpoint, match="expected the scores of a run"):
        resume(tmp_path / "r", QUIET)
