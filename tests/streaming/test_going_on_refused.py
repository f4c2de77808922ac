"""Options that a run which goes on refuses, and folders that are no run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from command_line import assert_one_error
from going_on import go

from rate_models.errors import DamagedCheckpoint, MissingData, UserError


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--source", "digits"], ["--source digits: ", "labels that the learner does not know: 4"]),
        (["--source", "synthetic:features=7,samples=9"], ["got 7 features; expected 6, as"]),
        (["--hidden", 9], ["--hidden: got beside --from", "start a new run"]),
        (["--rule", "pepita"], ["--rule: got beside --from"]),
        (["--circuit", "pepita"], ["--circuit: got beside"]),
        (["--dtype", "float64"], ["--dtype: got beside"]),
        (["--seed", 1], ["--seed: got beside"]),
        (["--scale", "none"], ["--scale: got beside"]),
        (["--target", "input"], ["--target: got beside"]),
        (["--workers", 2], ["--workers: got beside"]),
        (["--batch", 2], ["--batch: got beside"]),
        (["--set", "bias=true"], ["--set bias: got beside --from"]),
        (["--set", "activation=tanh"], ["--set activation: got beside"]),
        (["--set", "momentun=0.5"], ["momentun", "did you mean 'momentum'"]),
        (["--set", "momentum=2"], ["momentum: got 2"]),
        (["--set", "decay_epochs=x"], ["decay_epochs"]),
        (["--lr", -1], ["--lr: got -1"]),
        (["--epochs", 0], ["--epochs: got 0"]),
        (["--record", "nothing"], ["nothing"]),
        (["--resume", "x"], ["--resume: got --from beside it"]),
        (["--source", "csv:nowhere.csv"], ["nowhere.csv"]),
    ],
)  # fmt: skip
def test_fixed_options_are_refused_before_anything_is_written(
    arguments: list[Any], words: list[str], parent: Path, call: Any, tmp_path: Path
) -> None:
    ended = call("run", "--from", parent, "--out", tmp_path / "r", "--quiet", *arguments)
    assert_one_error(ended, *words)
    assert not (tmp_path / "r").exists()


def test_no_run_to_go_on_from(parent: Path, tmp_path: Path, call: Any) -> None:
    ended = call("run", "--from", tmp_path / "none", "--out", tmp_path / "r")
    assert_one_error(ended, "--from: got no ", "config.json", "OnlineLearner.load")
    assert_one_error(
        call("run", "--from", parent, "--out", parent, "--quiet"), "which is not empty"
    )
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "config.json").write_bytes((parent / "config.json").read_bytes())
    with pytest.raises(DamagedCheckpoint, match="checkpoint"):
        go(tmp_path / "half", tmp_path / "r")
    assert issubclass(MissingData, UserError)
