"""The folder of a run: its lock, its fixed options, damaged text files, and folders that are
incomplete or removed.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_runs import OPTIONS, assert_same, stopped
from project import ROOT

from rate_models.errors import BadOption, DamagedCheckpoint, Diverged, MissingData, UserError
from streaming import OnlineLearner
from streaming.files import checkpoint
from streaming.files import lock as run_lock
from streaming.files.folder import LOCK
from streaming.runs.run import Hooks, Run, RunConfig, resume, run

QUIET = Hooks(draw=False)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "undisturbed"
    run(RunConfig.checked(**OPTIONS), folder, QUIET)
    return folder


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "interrupted"
    assert run(RunConfig.checked(**OPTIONS), folder, stopped(2300))["stopped"] == "interrupted"
    return folder


@pytest.fixture
def copy(interrupted: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(interrupted, tmp_path / "r"))


def test_a_second_process_is_refused_with_the_number_of_the_first(copy: Path) -> None:
    found: list[str] = []

    def second(run: Run) -> None:
        for start in (lambda: resume(copy), lambda: run_again(copy)):
            with pytest.raises(BadOption, match="one process at a time") as refused:
                start()
            found.append(str(refused.value))

    def run_again(folder: Path) -> None:
        run(RunConfig.checked(**OPTIONS), folder, QUIET)

    resume(copy, Hooks(watch=second, draw=False))
    assert len(found) > 2
    assert all(f"process {os.getpid()} is at work" in text for text in found)
    assert not (copy / LOCK).exists()
    assert resume(copy)["stopped"] == "epochs"


def test_a_second_run_into_a_folder_that_has_just_begun(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    with run_lock.locked(tmp_path / "r"), pytest.raises(BadOption, match=f"process {os.getpid()}"):
        run(RunConfig.checked(**OPTIONS), tmp_path / "r", QUIET)


def test_the_lock_of_a_killed_process_is_free(copy: Path) -> None:
    held = "import sys, time\nfrom pathlib import Path\nfrom streaming.files.lock import RunLock\n"
    held += "lock = RunLock(Path(sys.argv[1]))\nprint('held', flush=True)\ntime.sleep(60)"
    child = subprocess.Popen(
        [sys.executable, "-c", held, str(copy)], stdout=subprocess.PIPE, cwd=ROOT
    )
    assert child.stdout is not None
    child.stdout.readline()
    with pytest.raises(BadOption, match=f"process {child.pid} is at work"):
        resume(copy)
    child.kill()
    child.wait()
    child.stdout.close()
    assert (copy / LOCK).exists()
    assert resume(copy, QUIET)["stopped"] == "epochs"


def test_a_removed_lock_file_is_created_again(tmp_path: Path) -> None:
    """A process that waited on a lock file must notice that the file was removed meanwhile."""
    first = run_lock.RunLock(tmp_path)
    first.close()
    second = run_lock.RunLock(tmp_path)
    second.check()
    with pytest.raises(BadOption):
        run_lock.RunLock(tmp_path)
    second.close()
    assert not list(tmp_path.iterdir())


def test_a_file_system_without_locks_is_an_error(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*args: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(run_lock.fcntl, "flock", none)
    with pytest.warns(UserWarning, match="no locks \\(No locks available\\); a second process"):
        assert resume(copy, QUIET)["stopped"] == "epochs"


@pytest.mark.parametrize("times", [1, pytest.param(20, marks=pytest.mark.slow)])
def test_two_at_once(interrupted: Path, undisturbed: Path, tmp_path: Path, times: int) -> None:
    """One process runs and the other one is refused: the folder is that of a single run."""
    wait = "import sys, time\nfrom streaming import cli\nfrom streaming.runs import run\n"
    wait += "print('ready', flush=True)\nsys.stdin.readline()\n"
    wait += "count = run.Run._count\n"
    wait += "def slow(self, *args):\n    time.sleep(0.2)\n    count(self, *args)\n"
    wait += "run.Run._count = slow\ncli.main(sys.argv[1:])"
    for turn in range(times):
        folder = Path(shutil.copytree(interrupted, tmp_path / f"{turn}"))
        two = [
            subprocess.Popen(
                [sys.executable, "-c", wait, "run", "--resume", str(folder), "--quiet"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                text=True, cwd=ROOT,
            ) for _ in range(2)
        ]  # fmt: skip
        for process in two:
            assert process.stdout and process.stdout.readline() == "ready\n"
        for process in two:
            assert process.stdin
            process.stdin.write("\n")
            process.stdin.flush()
        errors = [process.communicate()[1] for process in two]
        ends = sorted(process.returncode for process in two)
        assert ends == [0, 2], errors
        refused = next(text for p, text in zip(two, errors, strict=True) if p.returncode == 2)
        winner = next(p for p in two if p.returncode == 0)
        assert f"process {winner.pid} is at work" in refused and refused.count("\n") == 1
        assert_same(folder, undisturbed)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("seed", 5, "seed: got 5; expected 0, with which"),
        ("rule", "backprop", "rule: got 'backprop'; expected 'pepita'"),
        ("lr", 0.5, "lr: got 0.5; expected 0.003"),
        ("source", "synthetic:samples=1800,features=6,seed=3", "source: got 'synthetic:"),
        ("hidden", [9, 6], "hidden: got [9, 6]; expected [8, 6]"),
        ("epochs", 5, "epochs: got 5; expected 2"),
        ("schedule", "delayed:2", "schedule: got 'delayed:2'"),
        (
            "settings",
            {"momentum": 0.5, "dropout": 0.2, "decay_at": []},
            "settings.momentum: got 0.5",
        ),
    ],
)
@pytest.mark.parametrize("over", [False, True])
def test_options_that_changed_are_named(
    request: pytest.FixtureRequest, tmp_path: Path, name: str, value: Any, message: str, over: bool
) -> None:
    which = "undisturbed" if over else "interrupted"
    folder = Path(shutil.copytree(request.getfixturevalue(which), tmp_path / "r"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {name: value}))
    before = (folder / "checkpoint" / checkpoint.SIDECAR).read_bytes()
    with pytest.raises(BadOption) as refused:
        resume(folder, QUIET)
    assert message in str(refused.value) and "config.json" in str(refused.value)
    assert (folder / "checkpoint" / checkpoint.SIDECAR).read_bytes() == before


def test_data_may_lie_elsewhere(copy: Path, undisturbed: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"data": "/elsewhere"}))
    resume(copy, QUIET)
    assert_same(copy, undisturbed)


def test_the_checkpoint_of_another_run(copy: Path, tmp_path: Path) -> None:
    run(RunConfig.checked(**{**OPTIONS, "seed": 3}), tmp_path / "s", stopped(900))
    shutil.rmtree(copy / "checkpoint")
    shutil.copytree(tmp_path / "s" / "checkpoint", copy / "checkpoint")
    with pytest.raises(BadOption, match="seed: got 0; expected 3"):
        resume(copy, QUIET)


def earlier(folder: Path) -> None:
    """The checkpoint in an old format, without options, digests and pairs."""
    for name in ("checkpoint", "checkpoint.previous"):
        arrays, meta = checkpoint.read(folder / name)
        table, n = arrays.pop("metrics.pairs"), int(arrays.pop("metrics.classes")[0])
        arrays["metrics.confusion"] = np.zeros((n, n), np.int64)
        arrays["metrics.confusion"][tuple(table[:, :2].T)] = table[:, 2]
        del arrays["run.recent"]
        for new in ("config", "over", "lines_digest", "recorded_digest", "summary_digest"):
            meta["run"].pop(new, None)
        shutil.rmtree(folder / name)
        checkpoint.write(folder / name, arrays, meta)


def test_old_checkpoints_can_be_resumed(copy: Path, undisturbed: Path) -> None:
    earlier(copy)
    resume(copy, QUIET)
    assert_same(copy, undisturbed)


def damage(path: Path, at: int, value: int | None = None) -> None:
    data = bytearray(path.read_bytes())
    data[at] = data[at] ^ 1 if value is None else value
    path.write_bytes(data)


@pytest.mark.parametrize("value", [0x80, 0xFF, 0, ord("x"), ord("\r"), ord("\n"), ord("{")])
def test_a_wrong_byte_in_the_metrics(copy: Path, undisturbed: Path, value: int) -> None:
    damage(copy / "metrics.jsonl", 400, value)
    with pytest.warns(UserWarning, match=r"metrics\.jsonl: .*; the learner is not affected"):
        summary = resume(copy, QUIET)
    assert summary["stopped"] == "epochs"
    ours, theirs = (OnlineLearner.load(f / "checkpoint") for f in (copy, undisturbed))
    for a, b in zip(ours.parameters()["W"], theirs.parameters()["W"], strict=True):
        np.testing.assert_array_equal(a, b)
    # not splitlines(): a carriage return between two values is white space in JSON
    for line in (copy / "metrics.jsonl").read_bytes().split(b"\n")[:-1]:
        json.loads(line)


def test_a_changed_digit_is_seen(copy: Path) -> None:
    data = (copy / "metrics.jsonl").read_bytes()
    (copy / "metrics.jsonl").write_bytes(data.replace(b'"samples": 600', b'"samples": 601'))
    with pytest.warns(UserWarning, match=r"metrics\.jsonl: its first 7 lines were changed"):
        resume(copy, QUIET)


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[1]", b"\x80", b'{"stopped": "epochs"}', b"[" * 99999]
)
def test_a_damaged_summary_is_written_again(undisturbed: Path, tmp_path: Path, text: bytes) -> None:
    folder = Path(shutil.copytree(undisturbed, tmp_path / "r"))
    (folder / "summary.json").write_bytes(text)
    with pytest.warns(UserWarning, match=r"summary\.json: damaged; it is written again"):
        resume(folder, QUIET)
    assert_same(folder, undisturbed)


def test_a_changed_digit_of_the_summary_is_seen(undisturbed: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(undisturbed, tmp_path / "r"))
    text = (folder / "summary.json").read_text()
    (folder / "summary.json").write_text(
        text.replace('"samples_seen": 3600', '"samples_seen": 3601')
    )
    with pytest.warns(UserWarning, match=r"summary\.json: damaged"):
        assert resume(folder, QUIET)["samples_seen"] == 3600
    assert_same(folder, undisturbed)


def test_a_missing_summary_is_written_again(undisturbed: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(undisturbed, tmp_path / "r"))
    (folder / "summary.json").unlink()
    resume(folder, QUIET)
    assert_same(folder, undisturbed)


FILES = (
    "config.json", "metrics.jsonl", "summary.json", "checkpoint/arrays.safetensors",
    "checkpoint/checkpoint.json", "checkpoint.previous/arrays.safetensors",
    "checkpoint.previous/checkpoint.json",
)  # fmt: skip


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("times", [4, pytest.param(45, marks=pytest.mark.slow)])
def test_any_damage_is_named_or_does_no_harm(
    interrupted: Path, undisturbed: Path, tmp_path: Path, name: str, times: int
) -> None:
    rng = np.random.default_rng([FILES.index(name), times])
    for turn in range(times):
        folder = Path(shutil.copytree(interrupted, tmp_path / f"{turn}"))
        data = bytearray((folder / name).read_bytes())
        if turn % 4 == 3:
            data = data[: rng.integers(len(data))]
        else:
            data[rng.integers(len(data))] ^= 1 << rng.integers(8)
        (folder / name).write_bytes(data)
        try:
            with np.errstate(all="ignore"):
                resume(folder, QUIET)
        except (DamagedCheckpoint, BadOption, MissingData) as error:
            assert name == "config.json" and "config.json" in str(error)
            continue
        ours, theirs = (OnlineLearner.load(f / "checkpoint") for f in (folder, undisturbed))
        for a, b in zip(ours.parameters()["W"], theirs.parameters()["W"], strict=True):
            np.testing.assert_array_equal(a, b)
        if name != "metrics.jsonl":
            assert_same(folder, undisturbed)


@pytest.mark.parametrize("left", [(), ("config",), ("config", "checkpoint.new"), ("temporary",)])
def test_a_folder_that_never_began(
    undisturbed: Path, tmp_path: Path, left: tuple[str, ...]
) -> None:
    folder = tmp_path / "r"

    def leave() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / LOCK).write_text("123\n")
        if "config" in left:
            shutil.copy(undisturbed / "config.json", folder)
        if "checkpoint.new" in left:
            (folder / "checkpoint.new").mkdir()
            (folder / "checkpoint.new" / checkpoint.ARRAYS).write_bytes(b"half")
        if "temporary" in left:
            (folder / ".config.json.99.new").write_text("{")

    leave()
    run(RunConfig.checked(**OPTIONS), folder, QUIET)
    assert_same(folder, undisturbed)
    names = {path.name for path in folder.iterdir()}
    assert not names & {LOCK, "checkpoint.new", ".config.json.99.new"}
    leave()
    if "config" in left:
        resume(folder, QUIET)
        assert_same(folder, undisturbed)
    else:
        with pytest.raises(MissingData):
            resume(folder, QUIET)


@pytest.mark.parametrize("name", ["config.json", "checkpoint", "lock", "notes.txt"])
def test_folders_of_others_are_not_ours(tmp_path: Path, name: str) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / name).write_text('{"mine": 1}')
    with pytest.raises(BadOption, match="not empty"):
        run(RunConfig.checked(**OPTIONS), tmp_path / "r", QUIET)
    assert [p.name for p in (tmp_path / "r").iterdir()] == [name]


@pytest.mark.parametrize("how", ["removed", "moved", "replaced"])
def test_a_folder_that_goes_while_the_run_is_on(tmp_path: Path, how: str) -> None:
    folder = tmp_path / "r"

    def watch(run: Run) -> None:
        if run.position == 900:
            if how == "moved":
                folder.rename(tmp_path / "elsewhere")
            else:
                shutil.rmtree(folder)
            if how == "replaced":
                folder.mkdir()
                (folder / "theirs").write_text("")

    with pytest.raises(UserError, match="was removed or moved while the run went on") as error:
        run(RunConfig.checked(**OPTIONS), folder, Hooks(watch=watch, draw=False))
    assert "kept in" not in str(error.value)
    if how == "replaced":
        assert [path.name for path in folder.iterdir()] == ["theirs"]
    else:
        assert not folder.exists()
    if how == "moved":
        assert resume(tmp_path / "elsewhere", QUIET)["stopped"] == "epochs"


def test_a_diverged_learner_does_not_replace_a_checkpoint(tmp_path: Path) -> None:
    """Even if checkpoints are more frequent than metrics lines, which check the loss."""
    exploding = RunConfig.checked(rule="pepita", lr=3, interval=10_000, save_every=100, epochs=40)
    with pytest.raises(Diverged, match="mean loss"):
        run(exploding, tmp_path / "r", QUIET)
    learner = OnlineLearner.load(tmp_path / "r" / "checkpoint")
    first = learner.samples_seen
    assert all(np.abs(w).max() < 1e6 for w in learner.parameters()["W"])
    for _ in range(2):  # a resumed run ends at the same sample
        with pytest.raises(Diverged, match="mean loss"):
            resume(tmp_path / "r", QUIET)
        assert OnlineLearner.load(tmp_path / "r" / "checkpoint").samples_seen == first


def test_the_samples_learned_last_are_part_of_the_state(copy: Path) -> None:
    """They serve to detect a dead layer, also in a resumed run."""
    arrays, _ = checkpoint.read(copy / "checkpoint")
    assert arrays["run.recent"].shape == (32, 6)
    seen: list[Any] = []
    resume(copy, Hooks(stop=lambda: True, watch=lambda run: seen.append(run.recent), draw=False))
    again, _ = checkpoint.read(copy / "checkpoint")
    np.testing.assert_array_equal(arrays["run.recent"], again["run.recent"])


def test_a_full_disk_reports_the_last_saved_sample(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, through, saves = tmp_path / "r", checkpoint._write_through, [0]

    def full(path: Path, data: bytes) -> None:
        saves[0] += path.name == checkpoint.ARRAYS
        if saves[0] > 2:  # after those of 0 and 700 samples
            raise OSError(errno.ENOSPC, "No space left on device")
        through(path, data)

    monkeypatch.setattr(checkpoint, "_write_through", full)
    with pytest.raises(UserError, match=r"No space left.*learned up to sample 700 is kept"):
        run(RunConfig.checked(**OPTIONS), folder, QUIET)
    assert OnlineLearner.load(folder / "checkpoint").samples_seen == 700
    monkeypatch.undo()
    resume(folder, QUIET)
    assert_same(folder, undisturbed)
