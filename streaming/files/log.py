"""The JSON lines and the summary of a run. Damage in them is detected, and stops no run."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from itertools import takewhile
from pathlib import Path
from typing import Any

from streaming.files.folder import json_line, write_bytes, write_text


class Log:
    """A file of JSON lines, each readable by other programs at once; ``lines`` counts them.

    keys: the keys that every line has at least.
    """

    def __init__(self, path: Path, keys: tuple[str, ...]) -> None:
        self.path, self.lines, self._keys = path, 0, keys
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> str:
        """The digest of all lines."""
        return self._hash.hexdigest()[:16]

    def add(self, values: dict[str, Any]) -> None:
        """Append a line."""
        line = json_line(values).encode() + b"\n"
        with open(self.path, "ab") as file:
            file.write(line)
        self._hash.update(line)
        self.lines += 1

    def sync(self) -> None:
        """Return once the lines are on the disk."""
        if self.path.exists():
            with open(self.path, "ab") as file:
                os.fsync(file.fileno())

    def cut(self, n: int, digest: str | None = None) -> None:
        """Cut the file after line ``n``, or before the first damaged line.

        digest: the value of `digest` after n lines, if it is known. Warns if lines were changed or
        lost.
        """
        data = self.path.read_bytes() if self.path.exists() else b""
        lines = data.split(b"\n")[:-1][:n]
        whole = list(takewhile(self._is_whole, lines))
        kept = b"".join(line + b"\n" for line in whole)
        self.lines, self._hash = len(whole), hashlib.sha256(kept)
        if len(whole) < n:
            what = f"line {len(whole) + 1} is {'damaged' if len(lines) > len(whole) else 'missing'}"
            self._warn(f"{what}, of {n}; the {len(whole)} lines before it are kept")
        elif digest is not None and digest != self.digest:
            self._warn(f"its first {n} lines were changed since the checkpoint was written")
        if kept != data:
            write_bytes(self.path, kept)

    def _warn(self, what: str) -> None:
        text = f"{self.path}: {what}; the learner is not affected"
        warnings.warn(text, stacklevel=3)

    def _is_whole(self, line: bytes) -> bool:
        try:
            values = json.loads(line.decode())
        except (ValueError, RecursionError):
            return False
        return isinstance(values, dict) and values.keys() >= set(self._keys)


def summary_digest(summary: dict[str, Any]) -> str:
    """The digest of a summary, the same before writing and after reading."""
    return hashlib.sha256(json_line(summary).encode()).hexdigest()[:16]


def write_summary(path: Path, summary: dict[str, Any]) -> dict[str, Any]:
    """Write summary.json; returns its content as it would be read back."""
    text = json_line(summary)
    write_text(path, text + "\n")
    return dict(json.loads(text))


def read_summary(path: Path) -> dict[str, Any] | None:
    """The summary that `write_summary` wrote; None without a file, and, with a warning, for a
    damaged one."""
    try:
        summary = json.loads(path.read_bytes().decode())
        if isinstance(summary, dict) and summary.keys() >= {"stopped", "samples_seen", "out"}:
            return summary
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        pass
    warn_of_summary(path)
    return None


def warn_of_summary(path: Path) -> None:
    """Warn that a summary is damaged."""
    warnings.warn(f"{path}: damaged; it is written again", stacklevel=3)
