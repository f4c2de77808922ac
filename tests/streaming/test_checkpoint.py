"""Checkpoints: whole at every instant, refused when changed, and never at the cost of old ones."""

from __future__ import annotations

import errno
import json
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from rate_models.errors import BadOption, DamagedCheckpoint, UserError
from streaming.files import checkpoint

META = {"n": 2**70, "rate": 0.1 + 0.2, "names": ["a", "ü"], "none": None, "inner": {"1": True}}
ARRAYS = {
    "w": np.arange(6, dtype=np.float32).reshape(2, 3).T,
    "empty": np.zeros((0, 4)),
    "count": np.asarray(2**60, np.int64),
    "hits": np.array([True, False]),
}


def save(folder: Path, version: int) -> None:
    checkpoint.write(folder, {"v": np.full(3, version)}, {"version": version})


def version(folder: Path) -> int:
    """Which version is read; arrays and meta always belong together."""
    arrays, meta = checkpoint.read(folder)
    assert (arrays["v"] == meta["version"]).all()
    return int(meta["version"])


def test_round_trip(tmp_path: Path) -> None:
    checkpoint.write(tmp_path / "deep" / "c", ARRAYS, META)
    arrays, meta = checkpoint.read(tmp_path / "deep" / "c")
    assert meta == META
    assert arrays.keys() == ARRAYS.keys()
    for name, array in arrays.items():
        assert array.dtype == ARRAYS[name].dtype
        np.testing.assert_array_equal(array, ARRAYS[name], strict=True)


def test_the_one_before_stays_and_nothing_else(tmp_path: Path) -> None:
    for i in range(4):
        save(tmp_path / "c", i)
    assert version(tmp_path / "c") == 3
    assert version(tmp_path / "c.previous") == 2
    assert {p.name for p in tmp_path.iterdir()} == {"c", "c.previous"}


def test_meta_that_json_cannot_hold_touches_nothing(tmp_path: Path) -> None:
    save(tmp_path / "c", 1)
    with pytest.raises(ValueError, match="not JSON compliant"):
        checkpoint.write(tmp_path / "c", {}, {"x": float("nan")})
    assert version(tmp_path / "c") == 1


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-3] ^= 4
    path.write_bytes(data)


def other_number(path: Path) -> None:
    path.write_text(path.read_text().replace('"version": 2', '"version": 3'))


def garbage(path: Path) -> None:
    path.write_bytes(b'{"content": [')


def nonsense(path: Path) -> None:
    path.write_text("[[[1]]]")


def remove(path: Path) -> None:
    path.unlink()


DAMAGE = [
    (truncate, checkpoint.ARRAYS),
    (flip, checkpoint.ARRAYS),
    (remove, checkpoint.ARRAYS),
    (truncate, checkpoint.SIDECAR),
    (other_number, checkpoint.SIDECAR),
    (garbage, checkpoint.SIDECAR),
    (nonsense, checkpoint.SIDECAR),
    (remove, checkpoint.SIDECAR),
]


@pytest.mark.parametrize(("damage", "name"), DAMAGE)
def test_damage_is_seen_and_the_previous_one_read(tmp_path: Path, damage, name: str) -> None:
    save(tmp_path / "c", 1)
    save(tmp_path / "c", 2)
    damage(tmp_path / "c" / name)
    with pytest.warns(UserWarning, match=rf"{name}.*going on from .*previous"):
        assert version(tmp_path / "c") == 1
    # the next write must not give up the only whole one before it is whole itself
    save(tmp_path / "c", 3)
    assert version(tmp_path / "c") == 3
    assert version(tmp_path / "c.previous") == 1


@pytest.mark.parametrize(("damage", "name"), DAMAGE)
def test_damage_without_a_previous_one(tmp_path: Path, damage, name: str) -> None:
    save(tmp_path / "c", 2)
    damage(tmp_path / "c" / name)
    with pytest.raises(DamagedCheckpoint, match=name):
        checkpoint.read(tmp_path / "c")


def test_every_flipped_byte_of_the_json_is_seen(tmp_path: Path) -> None:
    save(tmp_path / "c", 2)
    path = tmp_path / "c" / checkpoint.SIDECAR
    good = path.read_bytes()
    for i in range(len(good)):
        path.write_bytes(good[:i] + bytes([good[i] ^ 1]) + good[i + 1 :])
        try:
            _, meta = checkpoint.read(tmp_path / "c")
        except DamagedCheckpoint:
            continue
        assert meta == {"version": 2}, "only white space may change unseen"


def test_absent(tmp_path: Path) -> None:
    with pytest.raises(DamagedCheckpoint, match=r"checkpoint\.json: got No such file"):
        checkpoint.read(tmp_path / "c")


def test_reading_while_a_run_saves(tmp_path: Path) -> None:
    """The one before or the one after is read, and no damage is seen (warnings are errors)."""
    folder, done = tmp_path / "c", threading.Event()
    checkpoint.write(folder, {"a": np.full(1000, 0)}, {"n": 0})

    def save() -> None:
        n = 0
        while not done.is_set():
            n += 1
            checkpoint.write(folder, {"a": np.full(1000, n)}, {"n": n})

    writer = threading.Thread(target=save)
    writer.start()
    try:
        seen = 0
        while seen < 20:
            arrays, meta = checkpoint.read(folder)
            assert (arrays["a"] == meta["n"]).all() and meta["n"] >= seen
            seen = meta["n"]
    finally:
        done.set()
        writer.join()


def test_newer_format_is_not_passed_over(tmp_path: Path) -> None:
    save(tmp_path / "c", 1)
    save(tmp_path / "c", 2)
    path = tmp_path / "c" / checkpoint.SIDECAR
    content = {**json.loads(path.read_text())["content"], "format": checkpoint.FORMAT + 1}
    path.write_text(json.dumps({"content": content, "sha256": checkpoint._digest(content)}))
    with pytest.raises(DamagedCheckpoint, match=r"got checkpoint format 2.*upgrade"):
        checkpoint.read(tmp_path / "c")


STEPS = ("mkdir", "open", "fsync", "rename", "unlink", "rmdir")


def each_step(monkeypatch: pytest.MonkeyPatch, act) -> None:
    """Call ``act(step)`` before every change of the file system that a write makes."""

    def before(original):
        def wrapped(*args, **kwargs):
            act(original.__name__)
            return original(*args, **kwargs)

        return wrapped

    for name in STEPS:
        monkeypatch.setattr(os, name, before(getattr(os, name)))


class FailAt:
    """Raises ``error`` at the k-th step, counted from 0."""

    def __init__(self, k: int, error: BaseException) -> None:
        self.k, self.error, self.seen = k, error, 0

    def __call__(self, step: str) -> None:
        self.seen += 1
        if self.seen == self.k + 1:
            raise self.error


def earlier(root: Path, state: str) -> int:
    """Bring ``root`` into a state that a crash can leave; the version to be read there."""
    save(root / "c", 1)
    if state == "first":
        return 1
    save(root / "c", 2)
    if state == "killed between the renames":
        shutil.copytree(root / "c", root / "c.new")
        shutil.rmtree(root / "c")
        return 1
    if state == "damaged":
        truncate(root / "c" / checkpoint.ARRAYS)
        return 1
    if state == "leftover":
        (root / "c.new").mkdir()
        (root / "c.new" / checkpoint.ARRAYS).write_bytes(b"half")
    return 2


STATES = ["first", "usual", "killed between the renames", "damaged", "leftover"]


@pytest.mark.filterwarnings("ignore:.*going on from")
@pytest.mark.parametrize("state", STATES)
def test_killed_at_any_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    """The disk as it is before each step holds the old or the new one, and takes the next."""
    work, seen = tmp_path / "work", []
    old = earlier(work, state)
    with monkeypatch.context() as patch:

        def photograph(step: str) -> None:
            with monkeypatch.context() as off:  # copying is no part of the write
                for name in STEPS:
                    off.setattr(os, name, originals[name])
                shutil.copytree(work, tmp_path / f"{len(seen)}")
                seen.append(step)

        originals = {name: getattr(os, name) for name in STEPS}
        each_step(patch, photograph)
        save(work / "c", 9)
    assert seen.count("rename") >= 1
    assert seen.count("fsync") >= 4
    for i in range(len(seen)):
        assert version(tmp_path / f"{i}" / "c") in (old, 9)
        save(tmp_path / f"{i}" / "c", 10)
        assert version(tmp_path / f"{i}" / "c") == 10
        assert not (tmp_path / f"{i}" / "c.new").exists()


@pytest.mark.filterwarnings("ignore:.*going on from")
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_failing_at_any_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, error: BaseException
) -> None:
    """A full disk (or Ctrl-C) at the k-th step: one clear message, the old one is there."""
    k, done = 0, False
    while not done:
        root, steps = tmp_path / f"{k}", FailAt(k, error)
        old = earlier(root, state)
        with monkeypatch.context() as patch:
            each_step(patch, steps)
            try:
                save(root / "c", 9)
                done = steps.seen <= k
            except UserError as refused:
                assert "No space left; expected a folder that can be written" in str(refused)
            except KeyboardInterrupt:
                pass
        assert version(root / "c") in (old, 9)
        if not done and state in ("first", "usual"):
            assert checkpoint._is_whole(root / "c")
        if steps.seen > k + 1:  # cleaning up went on after the failure
            assert not (root / "c.new").exists()
        k += 1
    assert k > 8


def test_full_disk_while_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "c", 1)

    def full(path: Path, data: bytes) -> None:
        path.write_bytes(data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "_write_through", full)
    with pytest.raises(UserError, match=r"No space left on device; expected a folder.*make room"):
        save(tmp_path / "c", 2)
    assert version(tmp_path / "c") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["c"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_read_only_folder(tmp_path: Path) -> None:
    save(tmp_path / "c", 1)
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(UserError, match="Permission denied"):
            save(tmp_path / "c", 2)
        assert version(tmp_path / "c") == 1
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize("where", ["c", "c.previous", "c.new"])
def test_foreign_folders_are_left_alone(tmp_path: Path, where: str) -> None:
    (tmp_path / where).mkdir()
    (tmp_path / where / checkpoint.SIDECAR).write_text("mine")
    (tmp_path / where / "thesis.tex").write_text("mine")
    with pytest.raises(BadOption, match=f"{where}: got something else"):
        save(tmp_path / "c", 1)
    assert {p.name for p in tmp_path.iterdir()} == {where}
    assert len(list((tmp_path / where).iterdir())) == 2


def test_the_current_folder_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    for name in (Path("."), here, Path("../here")):
        with pytest.raises(BadOption, match=r"here: got the current folder; .* e\.g\. checkpoint"):
            save(name, 1)
    assert here.samefile(".") and not list(here.iterdir())
    save(Path("checkpoint"), 1)
    assert version(here / "checkpoint") == 1
    monkeypatch.chdir(here / "checkpoint")  # of a run that goes on from there
    save(here / "checkpoint", 2)
    assert version(here / "checkpoint") == 2 and version(here / "checkpoint.previous") == 1


def test_a_file_where_a_folder_is_needed(tmp_path: Path) -> None:
    (tmp_path / "c").write_text("mine")
    with pytest.raises(BadOption, match="something else"):
        save(tmp_path / "c", 1)
    with pytest.raises(UserError, match="expected a folder that can be written"):
        save(tmp_path / "c" / "d", 1)
    assert (tmp_path / "c").read_text() == "mine"
