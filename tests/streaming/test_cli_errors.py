"""Errors of the command line: one line each, and its exit code."""

from __future__ import annotations

import json
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from command_line import assert_one_error, called

from rate_models.errors import MissingData
from streaming import OnlineLearner

SMALL = ["--source", "synthetic:samples=1500,features=6", "--hidden", "8", "--quiet"]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Any:
    """``call("run", ...)``: exit code, stdout, stderr of the command line."""
    return partial(called, capsys)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rule", "pepitta"], ["pepita", "backprop"]),
        (["--source", "minst"], ["mnist", "digits"]),
        (["--source", "csv:/nowhere/file.csv"], ["/nowhere/file.csv"]),
        (["--source", "synthetic:colour=red"], ["colour"]),
        (["--set", "momentun=0.9"], ["momentun", "did you mean 'momentum'"]),
        (["--set", "momentum=2"], ["momentum", "2"]),
        (["--set", "momentum"], ["name=value"]),
        (["--set", "lr=0.1"], ["--lr"]),
        (["--hidden", "8;4"], ["--hidden", "256,128"]),
        (["--hidden", "0"], ["--hidden"]),
        (["--lr", "-0.1"], ["--lr"]),
        (["--lr", "nan"], ["--lr"]),
        (["--epochs", "0"], ["--epochs"]),
        (["--seed", "-1"], ["--seed"]),
        (["--accuracy", "2"], ["--accuracy"]),
        (["--circuit", "pepitta"], ["circuit", "bmvr", "did you mean 'pepita'"]),
        (["--circuit", "bmvr", "--rule", "pepita"], ["rule of circuit bmvr", "'bmvr' or none"]),
        (["--circuit", "pepita", "--set", "taw=5"], ["tau_memory", "did you mean 'tau'", "mode"]),
        (["--circuit", "pepita", "--set", "tau=-5"], ["tau", "-5", "greater than 0"]),
        (["--circuit", "pepita", "--set", "mode=fast"], ["mode", "'steady' or 'continuous'"]),
        (["--circuit", "pepita", "--set", "cut=feedbck"], ["feedbck", "feedback", "W_1"]),
        (["--circuit", "pepita", "--set", "silence=eror"], ["eror", "error", "hidden_1"]),
        (["--circuit", "pepita", "--set", "momentum=0.9"], ["momentum of a circuit"]),
        (["--circuit", "pepita", "--set", "asymmetry=0.1"], ["mirror images"]),
        (["--set", "mode=continuous"], ["mode", "feedback_scale"]),
        (["--schedule", "pipelin"], ["schedule: got 'pipelin'", "delayed:3"]),
        (["--schedule", "delayed:2", "--set", "momentum=0.5"], ["delayed:2", "no momentum"]),
        (["--schedule", "pipelined", "--rule", "backprop"], ["backprop", "S(t+1,1) waits for"]),
        (["--schedule", "pipelined", "--circuit", "pepita"], ["pipelined, 1", "circuits"]),
        (["--workers", "0"], ["--workers", "greater than 0"]),
        (["--record", "W"], ["--record", "one of", "weight_norms"]),
    ],
)
def test_every_error_is_one_line(
    call: Any, tmp_path: Path, arguments: list[str], words: list[str]
) -> None:
    assert_one_error(call("run", *SMALL, "--out", tmp_path / "r", *arguments), *words)
    assert not (tmp_path / "r").exists()


def test_missing_data_names_the_folder(call: Any, tmp_path: Path) -> None:
    ended = call("run", "--source", "mnist", "--data", tmp_path, "--out", tmp_path / "r")
    assert_one_error(ended, str(tmp_path), "--download")


def test_bad_cells_are_named_by_their_line(call: Any, tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("a,b,label\n1,2,x\n3,oops,y\n")
    ended = call("run", "--source", f"csv:{path}", "--out", tmp_path / "r")
    assert_one_error(ended, "line 3", "oops")


def test_a_folder_in_use(call: Any, tmp_path: Path) -> None:
    (tmp_path / "note").write_text("")
    assert_one_error(call("run", *SMALL, "--out", tmp_path), "not empty", "--resume")


def test_divergence_has_its_own_exit_code(call: Any, tmp_path: Path) -> None:
    ended = call("run", *SMALL, "--lr", "1e30", "--out", tmp_path / "r")
    assert_one_error(ended, "lr", code=3)
    assert OnlineLearner.load(tmp_path / "r" / "checkpoint").is_finite()


def test_resume_takes_no_other_options(call: Any, tmp_path: Path) -> None:
    first = call("run", *SMALL, "--json", "--out", tmp_path / "r")
    assert_one_error(call("run", "--resume", tmp_path / "r", "--epochs", 3), "--epochs")
    assert_one_error(call("run", "--resume", tmp_path / "r", "--set", "momentum=0"), "--set")
    again = call("run", "--resume", tmp_path / "r", "--json")
    assert again.code == 0 and json.loads(again.out) == json.loads(first.out)
    assert "finished already" in again.err


def test_resume_of_nothing(call: Any, tmp_path: Path) -> None:
    assert_one_error(call("run", "--resume", tmp_path / "none"), "--resume")


def test_a_damaged_checkpoint_is_refused(call: Any, tmp_path: Path) -> None:
    call("run", *SMALL, "--out", tmp_path / "r")
    (tmp_path / "r" / "summary.json").unlink()
    for name in ("checkpoint", "checkpoint.previous"):
        (tmp_path / "r" / name / "arrays.safetensors").write_bytes(b"no")
    assert_one_error(call("run", "--resume", tmp_path / "r"), "arrays.safetensors")


def test_the_previous_checkpoint_is_used_with_a_warning(call: Any, tmp_path: Path) -> None:
    first = json.loads(call("run", *SMALL, "--json", "--out", tmp_path / "r").out)
    (tmp_path / "r" / "summary.json").unlink()
    (tmp_path / "r" / "checkpoint" / "arrays.safetensors").write_bytes(b"no")
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        again = call("run", "--resume", tmp_path / "r", "--json")
    assert again.err.startswith("warning: ") and again.err.count("\n") == 1
    assert json.loads(again.out)["confusion"] == first["confusion"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--workers", 0], ["workers", "got 0"]),
        (["--delay", -1], ["delay", "got -1"]),
        (["--rule", "backprop"], ["backprop", "S(t+1,1) waits for M(t,1) (W_1)", "batch"]),
        (["--standard-times", "1,2"], ["--modulated-times"]),
        (["--standard-times", "x", "--modulated-times", "1"], ["--standard-times"]),
        (["--layers", "4,3,2", "--standard-times", "1", "--modulated-times", "1"], ["2 finite"]),
        (["--set", "inject=9"], ["inject"]),
        (["--out", "/nowhere/at/all.png"], ["--out"]),
    ],
)
def test_invalid_schedules_are_refused(
    call: Any, arguments: list[object], words: list[str]
) -> None:
    assert_one_error(call("schedule", *arguments), *words)


@pytest.mark.parametrize(
    "arguments", [["run", "--epoch", "1"], ["runn"], ["run", "--lr", "x"], ["run", "--target", "y"]]
)
def test_typos_in_names(call: Any, arguments: list[str]) -> None:
    ended = call(*arguments)
    assert ended.code == 2 and "Error" in ended.err and "Traceback" not in ended.err


def test_ctrl_c_before_anything_was_learned(
    call: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupted(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("streaming.runs.config.open_source", interrupted)
    ended = call("run", *SMALL, "--out", tmp_path / "r")
    assert (ended.code, ended.out, ended.err) == (130, "", "interrupted\n")


def test_errors_know_files(call: Any) -> None:
    """MissingData is an OSError too; it must not be mistaken for a full disk."""
    assert issubclass(MissingData, OSError)
    assert_one_error(call("run", "--source", "csv:/nowhere.csv"), "/nowhere.csv")
