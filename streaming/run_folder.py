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


def new_folder(source: str, way: str, out: Path | None) -> Path:
    """Make the folder of a run: ``out``, or one named after source, way of learning and time.

    Raises BadOption where there is something in it, UserError where it cannot be made.
    """
    kind = source.partition(":")[0]
    folder = out or Path("runs", f"{kind}-{way}-{datetime.now():%Y%m%d-%H%M%S-%f}")
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
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
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


class Log:
    """A file of JSON lines, at once readable by others; ``lines`` counts them."""

    def __init__(self, path: Path) -> None:
        self.path, self.lines = path, 0

    def add(self, values: dict[str, Any]) -> None:
        """Write one more line."""
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json_line(values) + "\n")
        self.lines += 1

    def sync(self) -> None:
        """Have the lines on the disk before going on."""
        if self.path.exists():
            with open(self.path, "a", encoding="utf-8") as file:
                os.fsync(file.fileno())

    def cut(self, n: int) -> None:
        """Cut what stands after line ``n`` off; DamagedCheckpoint where there are fewer."""
        lines = self.path.read_bytes().splitlines(keepends=True) if self.path.exists() else []
        if len(lines) < n:
            got, expected = f"{len(lines)} lines", f"at least {n}"
            raise DamagedCheckpoint(str(self.path), got=got, expected=expected)
        write_text(self.path, b"".join(lines[:n]).decode())
        self.lines = n


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
