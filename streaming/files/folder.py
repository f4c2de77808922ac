"""The files of a run's folder: made once, whole at any moment, or one clear message."""

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


def new_folder(source: str, way: str, out: Path | None) -> Path:
    """Make the folder of a run: ``out``, or one named after source, way of learning and time.

    Raises BadOption where there is something in it, UserError where it cannot be made.
    """
    kind = source.partition(":")[0]
    folder = out or Path("runs", f"{kind}-{way}-{datetime.now():%Y%m%d-%H%M%S-%f}")
    if folder.is_dir() and not ((folder / LOCK).exists() or unborn(folder)):
        refuse_used(folder)
    with disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def refuse_used(folder: Path) -> None:
    """Raise BadOption where something other than a run that never began is in a folder."""
    if not unborn(folder):
        raise BadOption(
            "--out",
            got=f"{folder}, which is not empty",
            expected="a new or empty folder",
            remedy=f"choose another one, or go on with --resume {folder}",
        )


def unborn(folder: Path) -> bool:
    """Whether a folder is empty, or holds no more than what a run leaves that ended before its
    first checkpoint: nothing was learned there.
    """
    for path in folder.iterdir():
        temporary = path.name.startswith(".config.json.") and path.name.endswith(".new")
        ours = path.name in (LOCK, "checkpoint.new") or temporary
        if not ours and not (path.name == "config.json" and _options_of_a_run(path)):
            return False
    return True


def tidy(folder: Path) -> None:
    """Remove what processes that were killed were writing; for whoever is alone in the folder."""
    for path in folder.glob(".*.new"):
        if re.fullmatch(r"\.[a-z_]+\.(json|jsonl|png|csv)\.\d+\.new", path.name):
            path.unlink()


def _options_of_a_run(path: Path) -> bool:
    try:
        options = json.loads(path.read_bytes())
        return {"source", "rule", "hidden", "save_every"} <= set(options)
    except (OSError, ValueError, TypeError, RecursionError):
        return False


def gone(folder: Path) -> UserError:
    """What there is to say of a run whose folder is no longer there."""
    return UserError(
        str(folder),
        got="a folder that was removed or moved while the run went on",
        expected="the folder in which the run began",
        remedy="what was learned since the last checkpoint is lost, and nothing was made anew",
    )


@contextlib.contextmanager
def disk(folder: Path) -> Iterator[None]:
    """Turn what the file system refuses into one clear message."""
    try:
        yield
    except UserError:
        raise
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not folder.is_dir():
            raise gone(folder) from error
        raise UserError(
            str(error.filename or folder),
            got=error.strerror or error,
            expected="a folder that can be written to, with room in it",
            remedy="what was learned up to the last checkpoint is kept",
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write a file so that at any moment it is whole: the old one or the new one."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """As `write_text`."""
    with replacing(path) as temporary, open(temporary, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def replacing(path: Path, ending: str = ".new") -> Iterator[Path]:
    """A name to write to, of this process alone; what stands there afterwards replaces ``path``.

    ending: of the name, where whoever writes goes by it; nothing that looks for files like ``path``
    should find what a killed process has left.
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
    """``value`` as JSON has it: arrays as lists, what is not finite as None.

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
