"""Ctrl-C: two signals within a second count as one, a third within three seconds ends at once,
ignored signals stay ignored, and the held-out test can be interrupted.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from command_runs import ARGUMENTS, OPTIONS, assert_same, script
from project import ROOT

from streaming import OnlineLearner, progress
from streaming.files import checkpoint
from streaming.progress import Interrupts
from streaming.runs.run import Hooks, Run, RunConfig, resume, run

# A command-line run that sends itself a signal after a number of samples, and further ones after
# the given seconds. The operation that follows is slow, as with a slow disk.
SEVERAL = """
import os, signal, sys, threading, time
from streaming.runs import run
from streaming.cli import main

at, pauses = int(sys.argv[1]), [float(pause) for pause in sys.argv[2].split(",")]
count, save = run.Run._count, run.Run.save

def send():
    for pause in pauses:
        time.sleep(pause)
        os.kill(os.getpid(), signal.SIGINT)

def counted(self, scored, taken):
    count(self, scored, taken)
    if self.position - taken < at <= self.position:
        self.slow = True
        threading.Thread(target=send).start()
        time.sleep(0.05)

def saved(self):
    for _ in range(20 * hasattr(self, "slow")):
        time.sleep(0.05)
    save(self)

run.Run._count, run.Run.save = counted, saved
main(sys.argv[3:])
"""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "undisturbed"
    run(RunConfig.checked(**OPTIONS), folder, Hooks(draw=False))
    return folder


@pytest.mark.parametrize("pauses", ["0,0.005", "0,0.7"])
def test_two_are_one(undisturbed: Path, tmp_path: Path, pauses: str) -> None:
    folder = tmp_path / "r"
    done = script(SEVERAL, 1000, pauses, "run", "--out", folder, "--quiet", *ARGUMENTS)
    assert done.returncode == 130 and "Traceback" not in done.stderr
    assert f"interrupted; go on with: dendrostream run --resume {folder}" in done.stderr
    assert OnlineLearner.load(folder / "checkpoint").samples_seen >= 1000
    resume(folder, Hooks(draw=False))
    assert_same(folder, undisturbed)


def test_the_third_ends_at_once_and_reports_lost_samples(undisturbed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "r"
    done = script(SEVERAL, 1000, "0,0.1,0.1", "run", "--out", folder, "--quiet", *ARGUMENTS)
    assert done.returncode == 130 and "Traceback" not in done.stderr
    assert "interrupted: samples 700 to 1," in done.stderr
    assert f"are lost; go on with: dendrostream run --resume {folder}" in done.stderr
    assert OnlineLearner.load(folder / "checkpoint").samples_seen == 700
    resume(folder, Hooks(draw=False))
    assert_same(folder, undisturbed)


def arrivals(times: list[float], monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For signals at these times, which ones raise."""
    clock = iter(times)
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    interrupts, raised = Interrupts(), []
    interrupts()
    for _ in times:
        try:
            interrupts._handle(signal.SIGINT, None)
            raised.append(False)
        except KeyboardInterrupt:
            raised.append(True)
    assert interrupts()
    return raised


@pytest.mark.parametrize(
    ("times", "raised"),
    [
        ([0.0, 0.005], [False, False]),
        ([0.0, 5.0], [False, False]),
        ([0.0, 0.005, 2.0], [False, False, True]),
        ([0.0, 1.0, 2.0], [False, False, True]),
        ([0.0, 0.005, 4.0], [False, False, False]),
        ([0.0, 10.0, 11.0, 12.0], [False, False, False, True]),
    ],
)
def test_which_of_several_end_at_once(
    times: list[float], raised: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert arrivals(times, monkeypatch) == raised


def test_before_anything_was_learned_the_first_ends_at_once() -> None:
    interrupts = Interrupts()
    with interrupts.caught():
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)  # the same one, arriving twice


def test_an_ignored_signal_stays_ignored(tmp_path: Path) -> None:
    """As `nohup` and `&` in a shell have it."""
    folder = tmp_path / "r"
    done = subprocess.run(
        ["sh", "-c", 'trap "" INT; exec "$@"', "sh", sys.executable, "-c", SEVERAL, "1000", "0",
         "run", "--out", str(folder), *ARGUMENTS],
        capture_output=True, text=True, cwd=ROOT, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads((folder / "summary.json").read_text())["stopped"] == "epochs"


def test_only_the_main_thread_catches_signals() -> None:
    ended: list[bool] = []
    before = signal.getsignal(signal.SIGINT)

    def other() -> None:
        with Interrupts().caught():
            ended.append(True)

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert ended and signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("at", ["end of an epoch", "end of the run"])
def test_a_signal_during_the_test(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """It ends the test between two chunks. The learner was saved before the test."""
    config = RunConfig.checked(**OPTIONS)
    if at == "end of the run":
        config = RunConfig.checked(**{**OPTIONS, "samples": 2500})
        run(config, tmp_path / "whole", Hooks(draw=False))
        undisturbed = tmp_path / "whole"
    end, asked, saved = {"end of an epoch": 1800}.get(at, 2500), [False], []
    score = OnlineLearner.score_many
    source = config.open()
    X, y = (np.concatenate(part) for part in zip(*(source.test() or ()), strict=True))
    parts = [(X[i : i + 50], y[i : i + 50]) for i in range(0, len(y), 50)]
    monkeypatch.setattr(type(source), "test", lambda self, size=0: iter(parts))

    def scored(self: OnlineLearner, X: object, y: object) -> object:
        asked[0] = self.samples_seen == end
        saved.append(checkpoint.read(tmp_path / "r" / "checkpoint")[1]["samples_seen"])
        return score(self, X, y)

    monkeypatch.setattr(OnlineLearner, "score_many", scored)
    hooks = Hooks(stop=lambda: asked[0], draw=False)
    assert run(config, tmp_path / "r", hooks)["stopped"] == "interrupted"
    assert saved[-1] == end
    meta = checkpoint.read(tmp_path / "r" / "checkpoint")[1]["run"]
    assert meta["position"] == end and meta["over"] is (at == "end of an epoch")
    monkeypatch.undo()
    resume(tmp_path / "r", Hooks(draw=False))
    assert_same(tmp_path / "r", undisturbed)


def test_the_test_of_an_epoch_is_done_before_the_run_is_over(tmp_path: Path) -> None:
    """If the run ends together with an epoch whose test was interrupted."""
    config = RunConfig.checked(**{**OPTIONS, "samples": 1800})
    run(config, tmp_path / "whole", Hooks(draw=False))

    class Killed(BaseException):
        pass

    def die(*args: object) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Run, "_test", die)
        run(config, tmp_path / "r", Hooks(draw=False))
    resume(tmp_path / "r", Hooks(draw=False))
    assert_same(tmp_path / "r", tmp_path / "whole")
