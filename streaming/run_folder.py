"""The files of a run's folder: made once, whole at any moment, or one clear message."""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from rate_models.errors import BadOption, DamagedCheckpoint, UserError


def new_folder(source: str, rule: str, out: Path | None) -> Path:
    """Make the folder of a run: ``out``, or one named after source, rule and time.

    Raises BadOption where there is something in it, UserError where it cannot be made.
    """
    kind = source.partition(":")[0]
    folder = out or Path("runs", f"{kind}-{rule}-{datetime.now():%Y%m%d-%H%M%S-%f}")
    if folder.is_dir() and any(folder.iterdir()):
        raise BadOption(
            "--out",
            got=f"{folder}, which is not empty",
            expected="a new or empty folder",
            remedy=f"choose another one, or go on with --resume {folder}",
        )
    with disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def disk(folder: Path) -> Iterator[None]:
    """Turn what the file system refuses into one clear message."""
    try:
        yield
    except UserError:
        raise
    except OSError as error:
        raise UserError(
            str(error.filename or folder),
            got=error.strerror or error,
            expected="a folder that can be written to, with room in it",
            remedy="what was learned up to the last checkpoint is kept",
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write a file so that at any moment it is whole: the old one or the new one."""
    temporary = path.with_name(f".{path.name}.new")
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def keep_lines(path: Path, n: int) -> None:
    """Cut a file of lines off after line ``n``; DamagedCheckpoint where there are fewer."""
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    if len(lines) < n:
        raise DamagedCheckpoint(str(path), got=f"{len(lines)} lines", expected=f"at least {n}")
    write_text(path, b"".join(lines[:n]).decode())


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
