"""A run that is killed or interrupted at any moment resumes with identical results."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from command_runs import ARGUMENTS, OPTIONS, SIGNALLED, assert_same, script, untimed

from rate_models.errors import DamagedCheckpoint
from streaming import OnlineLearner
from streaming.runs.run import FINISHED, Hooks, Run, RunConfig, resume, run

# The same, killed at the n-th rename, which moves checkpoints and files to their final names.
DYING = """
import os, sys
from streaming.cli import main

left = int(sys.argv[1])

def dying(real):
    def rename(*args, **named):
        global left
        left -= 1
        if left == 0:
            os._exit(9)
        return real(*args, **named)
    return rename

os.rename, os.replace = dying(os.rename), dying(os.replace)
main(sys.argv[2:])
"""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "undisturbed"
    assert run(RunConfig.checked(**OPTIONS), folder)["stopped"] == "epochs"
    return folder


@pytest.mark.parametrize("at", [650, 2300])
def test_kill_9(undisturbed: Path, tmp_path: Path, at: int) -> None:
    folder = tmp_path / "r"
    done = script(SIGNALLED, at, signal.SIGKILL.value, "run", "--out", folder, *ARGUMENTS)
    assert done.returncode == -signal.SIGKILL
    assert not (folder / "summary.json").exists()
    resume(folder)
    assert_same(folder, undisturbed)


# Renames 1 and 2 are config.json and the first checkpoint; then two for each checkpoint.
@pytest.mark.parametrize("rename", [3, 4, 7, 8])
def test_death_in_the_middle_of_a_checkpoint(
    undisturbed: Path, tmp_path: Path, rename: int
) -> None:
    folder = tmp_path / "r"
    done = script(DYING, rename, "run", "--out", folder, *ARGUMENTS)
    assert done.returncode == 9
    between = not (folder / "checkpoint").exists()  # killed after the old one was moved away
    if between:
        with pytest.warns(UserWarning, match="previous"):
            resume(folder)
    else:
        resume(folder)
    assert_same(folder, undisturbed)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_saves_prints_how_to_resume_and_sets_the_exit_code(
    undisturbed: Path, tmp_path: Path, number: signal.Signals
) -> None:
    folder = tmp_path / "r"
    done = script(SIGNALLED, 1000, number.value, "run", "--out", folder, "--json", *ARGUMENTS)
    assert done.returncode == 128 + number
    assert f"--resume {folder}" in done.stderr and "Traceback" not in done.stderr
    summary = json.loads(done.stdout)
    assert summary == json.loads((folder / "summary.json").read_text())
    assert summary["stopped"] == "interrupted"
    assert OnlineLearner.load(folder / "checkpoint").samples_seen == summary["samples_seen"] < 1300
    assert (folder / "learning_curve.png").exists()
    resume(folder)
    assert_same(folder, undisturbed)


@pytest.mark.parametrize("at", [1, 300, 700, 1800, 2048, 3500, 3600])
def test_a_stop_anywhere(undisturbed: Path, tmp_path: Path, at: int) -> None:
    def until(at: int) -> Hooks:
        seen = [0]
        return Hooks(
            stop=lambda: seen[0] >= at, watch=lambda run: seen.__setitem__(0, run.position)
        )

    stopped = run(RunConfig.checked(**OPTIONS), tmp_path / "r", until(at))["stopped"]
    assert stopped == ("epochs" if at == 3600 else "interrupted")
    while stopped not in FINISHED:  # in steps, each interrupted again
        at += 900
        stopped = resume(tmp_path / "r", until(at))["stopped"]
    assert_same(tmp_path / "r", undisturbed)


def test_lines_after_the_checkpoint_are_cut_off(undisturbed: Path, tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    def die(run: Run) -> None:
        if run.position >= 2000:
            raise Killed

    with pytest.raises(Killed):
        run(RunConfig.checked(**OPTIONS), tmp_path / "r", Hooks(watch=die))
    with open(tmp_path / "r" / "metrics.jsonl", "a") as file:
        file.write('{"samples": 9999}\n{"torn li')
    resume(tmp_path / "r")
    assert_same(tmp_path / "r", undisturbed)


def test_stop_conditions_hold_after_a_kill(tmp_path: Path) -> None:
    """A run that is killed between the last checkpoint and the summary is still finished."""
    config = RunConfig.checked(**{**OPTIONS, "lr": 0.03, "settings": {}, "accuracy": 0.5})
    summary = run(config, tmp_path / "r")
    assert summary["stopped"] == "accuracy"
    (tmp_path / "r" / "summary.json").unlink()
    again = resume(tmp_path / "r")
    assert untimed(again) == untimed(summary)


def test_a_finished_run_returns_its_summary(undisturbed: Path) -> None:
    lines: list[str] = []
    before = os.stat(undisturbed / "checkpoint" / "checkpoint.json").st_mtime_ns
    summary = resume(undisturbed, Hooks(notify=lines.append))
    assert summary == json.loads((undisturbed / "summary.json").read_text())
    assert any("finished already" in message for message in lines)
    assert os.stat(undisturbed / "checkpoint" / "checkpoint.json").st_mtime_ns == before


def test_lost_lines_are_noticed(tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    def die(run: Run) -> None:
        if run.position >= 2000:
            raise Killed

    with pytest.raises(Killed):
        run(RunConfig.checked(**OPTIONS), tmp_path / "r", Hooks(watch=die))
    (tmp_path / "r" / "metrics.jsonl").unlink()
    with pytest.warns(UserWarning, match=r"metrics\.jsonl: line 1 is missing, of 5"):
        assert resume(tmp_path / "r")["samples_seen"] == 3600


def test_a_damaged_configuration_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"source": ')
    with pytest.raises(DamagedCheckpoint, match=r"config\.json"):
        resume(tmp_path)
