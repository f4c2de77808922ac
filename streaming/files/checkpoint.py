"""Checkpoints that survive a crash: arrays as safetensors, the rest as JSON, never pickle.

A checkpoint is a folder with ``arrays.safetensors`` and ``checkpoint.json``, which has digests of
both. A new one is written beside it as ``NAME.new``, flushed to the disk and then renamed. The one
before is kept as ``NAME.previous``. So a whole checkpoint can be read at every moment.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from rate_models.errors import BadOption, DamagedCheckpoint, UserError, quoted

FORMAT = 1
ARRAYS = "arrays.safetensors"
SIDECAR = "checkpoint.json"
ATTEMPTS = 5  # to read a checkpoint that is replaced meanwhile
PAUSE = 0.01  # seconds in between

Arrays = dict[str, NDArray[Any]]


class NewerCheckpoint(DamagedCheckpoint):
    """A checkpoint that was written by a later version of this program."""


def write(
    folder: str | os.PathLike[str], arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]
) -> None:
    """Write a checkpoint to ``folder``; an earlier one there becomes ``folder.previous``.

    arrays: of numbers or bools. meta: values that JSON represents exactly, without NaN; tuples come
    back as lists.
    Raises BadOption if ``folder`` holds other files or is the current folder and empty, UserError
    if the disk cannot be written. An earlier checkpoint is then unchanged.
    """
    folder = _resolved(folder)
    _refuse_current(folder)
    new, previous = _siblings(folder)
    data = safetensors.numpy.save({k: np.asarray(v, order="C") for k, v in arrays.items()})
    about = {"file": ARRAYS, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    content = {"format": FORMAT, "arrays": about, "meta": dict(meta)}
    sidecar = {"sha256": _digest(content), "content": content}
    try:
        for path in (folder, new, previous):
            _refuse_foreign(path)
        folder.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(sidecar, indent=1, allow_nan=False)
        _swap_in(folder, new, previous, {ARRAYS: data, SIDECAR: text.encode()})
    except OSError as error:
        raise UserError(
            f"checkpoint {folder}",
            got=error.strerror or repr(error),
            expected=f"a folder that can be written, with {len(data) / 1e6:.1f} MB to spare",
            remedy="make room or choose another folder; an earlier checkpoint is as it was",
        ) from error


def _swap_in(folder: Path, new: Path, previous: Path, files: Mapping[str, bytes]) -> None:
    """Write the files to ``new``, then rename ``folder`` to ``previous`` and ``new`` to it."""
    moved = False
    try:
        _remove(new)
        new.mkdir()
        for name, data in files.items():
            _write_through(new / name, data)
        _flush_folder(new)
        if _is_whole(folder):
            _remove(previous)
            os.rename(folder, previous)
            moved = True
        else:  # absent or damaged: the previous one may be the only whole checkpoint
            _remove(folder)
        os.rename(new, folder)
        moved = False
        _flush_folder(folder.parent)
    finally:
        with contextlib.suppress(OSError):
            if moved:
                os.rename(previous, folder)
            _remove(new)


def read(folder: str | os.PathLike[str]) -> tuple[Arrays, dict[str, Any]]:
    """The arrays and the meta of the checkpoint at ``folder``.

    If it is damaged or missing and ``folder.previous`` is whole, that one is read, with a warning.
    Otherwise raises DamagedCheckpoint with the file and what is wrong with it. A run may replace
    the checkpoint at the same time: the one before or the one after is read.
    """
    folder = _resolved(folder)
    _, previous = _siblings(folder)
    try:
        return _load_settled(folder)
    except NewerCheckpoint:
        raise
    except DamagedCheckpoint as damaged:
        try:
            content = _load(previous)
        except DamagedCheckpoint:
            raise damaged from None
        warnings.warn(f"{damaged}; going on from {previous}", stacklevel=2)
        return content


def _load_settled(folder: Path) -> tuple[Arrays, dict[str, Any]]:
    """What `_load` returns, of one and the same checkpoint where another replaces it meanwhile."""
    for _ in range(ATTEMPTS - 1):
        before = _identity(folder)
        try:
            return _load(folder)
        except NewerCheckpoint:
            raise
        except DamagedCheckpoint:
            if before is not None and before == _identity(folder):
                raise
        time.sleep(PAUSE)  # between two renames there is no checkpoint of that name
    return _load(folder)


def _identity(folder: Path) -> tuple[int, ...] | None:
    """What changes when another folder takes this one's name; None if there is no such folder."""
    try:
        about = folder.stat()
    except OSError:
        return None
    return about.st_dev, about.st_ino, about.st_ctime_ns


def part(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> Arrays:
    """The arrays whose names start with ``prefix``, under their names without it.

    >>> part("a.", {"a.x": np.zeros(1), "b.x": np.ones(1)})
    {'x': array([0.])}
    """
    return {k.removeprefix(prefix): a for k, a in arrays.items() if k.startswith(prefix)}


def _load(folder: Path) -> tuple[Arrays, dict[str, Any]]:
    path = folder / SIDECAR
    try:
        content = _content(path)
        about, meta = content["arrays"], content["meta"]
        size, digest = about["bytes"], about["sha256"]
        if not isinstance(meta, dict):
            raise DamagedCheckpoint(
                str(path), got=type(meta).__name__, expected="an object as meta"
            )
        path = folder / ARRAYS
        data = path.read_bytes()
        if len(data) != size:
            raise DamagedCheckpoint(str(path), got=f"{len(data)} bytes", expected=f"{size} bytes")
        if hashlib.sha256(data).hexdigest() != digest:
            expected = f"the digest in {SIDECAR}"
            raise DamagedCheckpoint(str(path), got="changed bytes", expected=expected)
        return safetensors.numpy.load(data), meta
    except DamagedCheckpoint:
        raise
    except OSError as error:
        raise DamagedCheckpoint(
            str(path), got=error.strerror, expected="a file of a checkpoint"
        ) from None
    except Exception as error:  # a crafted file can raise any exception
        got = f"{type(error).__name__} ({str(error)[:200]})"
        what = "the JSON" if path.name == SIDECAR else "the arrays"
        raise DamagedCheckpoint(str(path), got=got, expected=f"{what} of a checkpoint") from None


def _content(path: Path) -> Any:
    """The content of a checkpoint's JSON, after a check of its digest and format."""
    sidecar = json.loads(path.read_bytes())
    content = sidecar["content"]
    if _digest(content) != sidecar["sha256"]:
        raise DamagedCheckpoint(str(path), got="changed content", expected="its own digest")
    if content["format"] > FORMAT:
        raise NewerCheckpoint(
            str(path),
            got=f"checkpoint format {content['format']}",
            expected=f"format {FORMAT} or older",
            remedy="a newer dendrostream wrote it: upgrade with pip install -U dendrostream",
        )
    return content


def _is_whole(folder: Path) -> bool:
    try:
        _load(folder)
    except NewerCheckpoint:
        return True
    except DamagedCheckpoint:
        return False
    return True


def _digest(content: Any) -> str:
    """The digest of a value's JSON as Python writes it, which is the same after reading it back."""
    return hashlib.sha256(json.dumps(content, allow_nan=False).encode()).hexdigest()


def _resolved(folder: str | os.PathLike[str]) -> Path:
    """``folder`` as an absolute path; BadOption if it is not a valid name."""
    try:
        if os.fspath(folder) not in ("", b""):
            os.fsencode(folder)
            return Path(folder).resolve()
    except (TypeError, ValueError, OSError, RuntimeError):
        pass
    raise BadOption("checkpoint", got=quoted(folder), expected="the name of a folder")


def _siblings(folder: Path) -> tuple[Path, Path]:
    """The paths of the new checkpoint, while it is written, and of the previous one."""
    return folder.parent / f"{folder.name}.new", folder.parent / f"{folder.name}.previous"


def _refuse_current(folder: Path) -> None:
    """Refuse an empty current folder: saving replaces it, and leaves its processes without one."""
    with contextlib.suppress(OSError):  # of a current folder that was removed
        if folder.samefile(".") and not any(folder.iterdir()):
            raise BadOption(
                f"checkpoint {folder}",
                got="the current folder",
                expected="the name of a folder of its own, which each save replaces",
                remedy="name one inside, e.g. checkpoint",
            )


def _refuse_foreign(path: Path) -> None:
    """Raise BadOption for anything but a checkpoint, so that it is never renamed or removed."""
    if path.exists() and (
        not path.is_dir() or any(p.name not in (ARRAYS, SIDECAR) for p in path.iterdir())
    ):
        raise BadOption(
            f"checkpoint {path}",
            got="something else of that name",
            expected="a new folder or an earlier checkpoint",
            remedy="choose another folder",
        )


def _remove(folder: Path) -> None:
    """Remove a checkpoint and nothing else: rmdir fails for a folder with other files."""
    if folder.exists():
        for name in (SIDECAR, ARRAYS):
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()


def _write_through(path: Path, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    if os.name == "posix":  # elsewhere folders cannot be opened
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
