"""The folder of a run: creation, atomic writing of its files, and errors of the file system."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from rate_models.errors import BadOption, UserError

LOCK = "dendrostream.lock"


def new_folder(source: str, method: str, out: Path | None) -> Path:
    """Create the folder of a run: ``out``, or one named after source, learning method and time.

    Raises BadOption if the folder holds other files, UserError if it cannot be created.
    """
    kind = source.partition(":")[0]
    folder = out or Path("runs", f"{kind}-{method}-{datetime.now():%Y%m%d-%H%M%S-%f}")
    if folder.is_dir() and not ((folder / LOCK).exists() or unborn(folder)):
        refuse_used(folder)
    with disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def refuse_used(folder: Path) -> None:
    """Raise BadOption if a folder holds anything but the files of a run that never learned."""
    if not unborn(folder):
        raise BadOption(
            "--out",
            got=f"{folder}, which is not empty",
            expected="a new or empty folder",
            remedy=f"choose another one, or go on with --resume {folder}",
        )


def unborn(folder: Path) -> bool:
    """Whether a folder is empty, or has only the files of a run that ended before its first
    checkpoint, so that nothing was learned there.
    """
    for path in folder.iterdir():
        temporary = path.name.startswith(".config.json.") and path.name.endswith(".new")
        ours = path.name in (LOCK, "checkpoint.new") or temporary
        if not ours and not (path.name == "config.json" and _options_of_a_run(path)):
            return False
    return True


def remove_temporaries(folder: Path) -> None:
    """Remove files that killed processes did not finish; only for the holder of the lock."""
    for path in folder.glob(".*.new"):
        if re.fullmatch(r"\.[a-z_]+\.(json|jsonl|png|csv)\.\d+\.new", path.name):
            path.unlink()


def _options_of_a_run(path: Path) -> bool:
    try:
        options = json.loads(path.read_bytes())
        return {"source", "rule", "hidden", "save_every"} <= set(options)
    except (OSError, ValueError, TypeError, RecursionError):
        return False


def folder_gone(folder: Path) -> UserError:
    """The error for a run whose folder has been removed or moved."""
    return UserError(
        str(folder),
        got="a folder that was removed or moved while the run went on",
        expected="the folder in which the run began",
        remedy="what was learned since the last checkpoint is lost; no new folder was created",
    )


@contextlib.contextmanager
def disk(folder: Path) -> Iterator[None]:
    """Convert errors of the file system to UserError."""
    try:
        yield
    except UserError:
        raise
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not folder.is_dir():
            raise folder_gone(folder) from error
        raise UserError(
            str(error.filename or folder),
            got=error.strerror or error,
            expected="a folder that can be written to, with room in it",
            remedy="what was learned up to the last checkpoint is kept",
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write a file atomically: at any moment there is the whole old file or the whole new one."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """As `write_text`, for bytes."""
    with replacing(path) as temporary, open(temporary, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def replacing(path: Path, ending: str = ".new") -> Iterator[Path]:
    """A temporary path to write to, used by this process only; at the end it replaces ``path``.

    ending: of the temporary name, for writers that infer a format from it. By default it differs
    from that of ``path``, so that the leftover of a killed process is not taken for such a file.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}{ending}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def json_line(values: dict[str, Any]) -> str:
    """One line of JSON."""
    return json.dumps(finite(values), allow_nan=False)


def finite(value: Any) -> Any:
    """``value`` for JSON: arrays as lists, numbers that are not finite as None.

    >>> finite({"loss": float("nan"), "confusion": np.eye(2, dtype=int)})
    {'loss': None, 'confusion': [[1, 0], [0, 1]]}
    """
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return finite(value.tolist())
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
