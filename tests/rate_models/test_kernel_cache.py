"""Compiled kernels on disk: kept, believed only where they may be, made anew where damaged."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np
import pytest
from project import ROOT

from rate_models.compiler import cache as kernel_cache
from rate_models.compiler.cache import DIGEST, KernelCache, Place, distrust, place
from rate_models.compiler.kernel import FLAGS, specialise
from rate_models.compiler.records import Record, kind_of, opened

administrator = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="gives folders to other users"
)


def _twice(x: Any) -> Any:
    return x[0] + x[0]


def hits(kept: Place, dtype: str = "float64") -> int:
    """A new process's kernel in little: what it computes is right, how much it found compiled."""
    compiled = numba.njit(**FLAGS)(_twice)
    compiled._cache = KernelCache(_twice, kept)
    assert compiled(np.ones(1, dtype)) == 2
    return sum(compiled.stats.cache_hits.values())


def test_a_kernel_is_compiled_once_for_each_signature(tmp_path: Path) -> None:
    kept = Place(tmp_path)
    assert [hits(kept), hits(kept)] == [0, 1]
    assert [hits(kept, "float32"), hits(kept, "float32"), hits(kept)] == [0, 1, 1]
    assert len(list(tmp_path.iterdir())) == 2


class Rates(NamedTuple):
    rate: float
    decay: float


class Swapped(NamedTuple):
    decay: float
    rate: float


Swapped.__qualname__ = Rates.__qualname__  # as after an edit of the file


def _rate(address: int) -> Any:
    return opened(address, KIND).rate  # type: ignore[name-defined]  # noqa: F821


def test_a_kernel_of_records_is_compiled_once_for_each_kind(tmp_path: Path) -> None:
    """Also where only the order of the fields differs: one place's number is another's name."""

    def found(values: Any) -> int:
        record = Record(values)
        code: Any = specialise(_rate, "rate", KIND=kind_of(values))
        code._cache = KernelCache(code.py_func, Place(tmp_path))
        assert code(record.address) == 0.5
        return sum(code.stats.cache_hits.values())

    several = [Rates(rate=0.5, decay=2.0), Swapped(rate=0.5, decay=2.0), Rates(np.float32(0.5), 2)]
    assert [found(values) for values in several] == [0, 0, 0]
    assert [found(values) for values in several] == [1, 1, 1]


@pytest.mark.parametrize(
    "damage",
    [
        lambda old: b"",
        lambda old: old[:DIGEST],
        lambda old: old[: len(old) // 2],
        lambda old: old[:-1],
        lambda old: bytes(len(old)),
        lambda old: old[:2000] + bytes([old[2000] ^ 1]) + old[2001:],
        lambda old: old + b"more",
        lambda old: b"no pickle at all",
    ],
    ids=["emptied", "digest", "half", "last byte", "zeros", "one bit", "longer", "other"],
)
def test_a_damaged_file_is_compiled_anew(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    kept = Place(tmp_path)
    hits(kept)
    (file,) = tmp_path.iterdir()
    file.write_bytes(damage(file.read_bytes()))
    assert [hits(kept), hits(kept)] == [0, 1]
    assert list(tmp_path.iterdir()) == [file]


def test_what_is_whole_but_no_kernel_is_compiled_anew(tmp_path: Path) -> None:
    kept = Place(tmp_path)
    hits(kept)
    (file,) = tmp_path.iterdir()
    other = kernel_cache.dumps(("not", "a", "kernel"))  # type: ignore[no-untyped-call]
    file.write_bytes(kernel_cache.hashlib.sha256(other).digest() + other)
    assert [hits(kept), hits(kept)] == [0, 1]


def test_code_that_an_interruption_left_in_memory_alone_is_used_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = KernelCache.save_overload

    def interrupted(self: KernelCache, signature: Any, compiled: Any) -> None:
        compiled.library._compiled_object = None
        save(self, signature, compiled)

    monkeypatch.setattr(KernelCache, "save_overload", interrupted)
    assert hits(Place(tmp_path)) == 0
    assert not list(tmp_path.iterdir())
    monkeypatch.undo()
    assert [hits(Place(tmp_path)), hits(Place(tmp_path))] == [0, 1]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_what_cannot_be_kept_is_used_all_the_same_and_names_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(self: Path, content: bytes) -> int:
        raise OSError(code, os.strerror(code), str(self))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.warns(RuntimeWarning, match=f"{tmp_path} .{os.strerror(code)}.*DENDROSTREAM_CACHE"):
        assert hits(Place(tmp_path)) == 0
    assert not list(tmp_path.iterdir())


def test_what_is_there_is_read_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hits(Place(tmp_path))

    def refuse(self: Path, *_: Any) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    assert hits(Place(tmp_path)) == 1


def test_without_a_folder_each_process_compiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    monkeypatch.setenv("DENDROSTREAM_CACHE", str(blocked))
    kept = place("key")
    assert kept.folder is None and str(blocked) in kept.why
    with pytest.warns(RuntimeWarning, match=f"no folder for them .{blocked}"):
        assert hits(kept) == 0


def test_a_user_without_a_home_has_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "DENDROSTREAM_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def nobody(self: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", nobody)
    assert place("key") == Place(None, "this user has no home folder")


def test_folders_are_created_readable_for_others_and_writable_for_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DENDROSTREAM_CACHE", str(tmp_path / "cache"))
    before = os.umask(0)
    try:
        folder = place("key").folder
    finally:
        os.umask(before)
    assert folder == tmp_path / "cache" / "kernels" / "key"
    for made in (folder, folder.parent, folder.parent.parent):
        assert stat.S_IMODE(made.stat().st_mode) == 0o755


@pytest.mark.parametrize("level", ["cache", "cache/kernels", "cache/kernels/key"])
@pytest.mark.parametrize("mode", [0o757, 0o777, 0o1777])
def test_a_folder_that_others_can_write_to_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, level: str, mode: int
) -> None:
    monkeypatch.setenv("DENDROSTREAM_CACHE", str(tmp_path / "cache"))
    assert place("key").folder
    (tmp_path / level).chmod(mode)
    kept = place("key")
    if level == "cache" and mode & stat.S_ISVTX:  # as /tmp is: nobody moves what another made
        assert kept.folder
    else:
        assert kept.folder is None
        assert kept.why == f"others can write to {tmp_path / level}: chmod go-w {tmp_path / level}"


def test_a_folder_that_a_group_can_write_to_is_not_believed(tmp_path: Path) -> None:
    tmp_path.chmod(0o775)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel_cache, "_private", lambda about: False)
        assert "others can write" in distrust(tmp_path)
        patch.setattr(kernel_cache, "_private", lambda about: True)
        assert not distrust(tmp_path)


@administrator
def test_what_another_user_owns_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DENDROSTREAM_CACHE", str(tmp_path))
    (tmp_path / "kernels" / "key").mkdir(parents=True)
    os.chown(tmp_path / "kernels" / "key", 54321, 54321)
    kept = place("key")
    assert kept.folder is None and "belongs to another user (number 54321)" in kept.why
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    assert place("key").folder  # that user believes the administrator and himself


USER = """
import os, sys
sys.path[:0] = sys.argv[1:]
from rate_models.compiler import cache
import test_kernel_cache
kept = cache.place("key")
assert os.geteuid() and kept.folder and not os.access(kept.folder, os.W_OK), kept
print(test_kernel_cache.hits(kept))
"""


@administrator
@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("setpriv"), reason="becomes another user by setpriv")
def test_another_user_runs_what_the_administrator_compiled(tmp_path: Path) -> None:
    kept = tmp_path / "kernels" / "key"
    kept.mkdir(parents=True)
    assert hits(Place(kept)) == 0
    paths = str(ROOT), str(ROOT / "tests"), str(ROOT / "tests/rate_models")
    caps = "+dac_read_search"  # reads all, as this Python may lie in a closed home
    user = ["setpriv", "--reuid", "54321", "--regid", "54321", "--clear-groups"]
    done = subprocess.run(
        [*user, "--inh-caps", caps, "--ambient-caps", caps, sys.executable, "-c", USER, *paths],
        env={**os.environ, "DENDROSTREAM_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "1", done.stderr
