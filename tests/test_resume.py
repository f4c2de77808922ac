"""A run that is killed or interrupted anywhere goes on as if nothing had happened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rate_models.errors import DamagedCheckpoint
from streaming import OnlineLearner
from streaming.run import FINISHED, Hooks, Run, RunConfig, resume, run

ROOT = Path(__file__).parents[1]
TIMES = ("seconds", "samples_per_second", "memory", "latency", "out")

# A run of the command line that sends itself a signal once it has taken so many samples.
SIGNALLED = """
import os, sys
from streaming import run
from streaming.app import main

at, number = int(sys.argv[1]), int(sys.argv[2])
count = run.Run._count

def counted(self, scored, taken):
    count(self, scored, taken)
    if self.position - taken < at <= self.position:
        os.kill(os.getpid(), number)

run.Run._count = counted
main(sys.argv[3:])
"""

# The same, dying in the n-th rename: where checkpoints and files are put into place.
DYING = """
import os, sys
from streaming.app import main

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

OPTIONS = {
    "source": "synthetic:samples=1800,features=6",
    "hidden": (8, 6),
    "epochs": 2,
    "interval": 300,
    "save_every": 700,
    "scale": "running",
    "lr": 0.003,
    "settings": {"momentum": 0.9, "dropout": 0.2},
}
ARGUMENTS = [
    *("--source", "synthetic:samples=1800,features=6", "--hidden", "8,6", "--epochs", "2"),
    *("--interval", "300", "--save-every", "700", "--scale", "running"),
    *("--lr", "0.003", "--set", "momentum=0.9", "--set", "dropout=0.2"),
]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "undisturbed"
    assert run(RunConfig.checked(**OPTIONS), folder)["stopped"] == "epochs"
    return folder


def script(source: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", source, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=300,
    )


def untimed(values: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in values.items() if k not in TIMES}


def assert_same(ours: Path, theirs: Path) -> None:
    """Parameters, lines and summaries of two runs are the same, bit for bit."""
    a, b = (OnlineLearner.load(folder / "checkpoint").parameters() for folder in (ours, theirs))
    assert a.keys() == b.keys()
    for name in a:
        for x, y in zip(a[name], b[name], strict=True):
            np.testing.assert_array_equal(x, y)
    lines = [
        [untimed(json.loads(line)) for line in (f / "metrics.jsonl").read_text().splitlines()]
        for f in (ours, theirs)
    ]
    assert lines[0] == lines[1]
    summaries = [untimed(json.loads((f / "summary.json").read_text())) for f in (ours, theirs)]
    assert summaries[0] == summaries[1]


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
    between = not (folder / "checkpoint").exists()  # died with the old one moved away
    if between:
        with pytest.warns(UserWarning, match="previous"):
            resume(folder)
    else:
        resume(folder)
    assert_same(folder, undisturbed)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_saves_says_how_to_go_on_and_tells_the_shell(
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


def test_what_was_written_after_the_checkpoint_is_cut_off(
    undisturbed: Path, tmp_path: Path
) -> None:
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
    """Killed between the last checkpoint and the summary, a run is over all the same."""
    config = RunConfig.checked(**{**OPTIONS, "lr": 0.03, "settings": {}, "accuracy": 0.5})
    summary = run(config, tmp_path / "r")
    assert summary["stopped"] == "accuracy"
    (tmp_path / "r" / "summary.json").unlink()
    again = resume(tmp_path / "r")
    assert untimed(again) == untimed(summary)


def test_a_finished_run_hands_its_summary_back(undisturbed: Path) -> None:
    said: list[str] = []
    before = os.stat(undisturbed / "checkpoint" / "checkpoint.json").st_mtime_ns
    summary = resume(undisturbed, Hooks(say=said.append))
    assert summary == json.loads((undisturbed / "summary.json").read_text())
    assert any("finished already" in message for message in said)
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
