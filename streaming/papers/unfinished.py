"""Checkpoints of unfinished measurements: one per seed, removed when its cell is finished."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from rate_models.errors import DamagedCheckpoint, UserError
from streaming.files import checkpoint
from streaming.papers import Unfinished

EVERY = 60.0  # seconds; a checkpoint has twice the size of the weights


class Checkpoints:
    """The checkpoints of a run's seeds in ``folder``; name(seed): the name of one of them."""

    def __init__(self, folder: Path, name: Callable[[int], str]) -> None:
        self.folder, self.name = folder, name
        self._due: dict[int, float] = {}

    def read(self, seed: int) -> Unfinished | None:
        """The last whole checkpoint of a seed, or None."""
        try:
            arrays, meta = checkpoint.read(self._path(seed))
            return Unfinished(arrays, json.loads(meta["text"]))
        except (DamagedCheckpoint, LookupError, TypeError, ValueError):
            return None

    def write(self, seed: int, make: Callable[[], Unfinished]) -> None:
        """Write a checkpoint if the last is at least `EVERY` seconds old; errors are ignored."""
        now = time.monotonic()
        if now < self._due.setdefault(seed, now + EVERY):
            return
        arrays, meta = make()
        with contextlib.suppress(UserError):  # of the disk: only time is lost
            # as text, because a loss may be NaN, which a checkpoint's JSON does not allow
            checkpoint.write(self._path(seed), arrays, {"text": json.dumps(meta)})
        self._due[seed] = time.monotonic() + EVERY

    def remove(self, seed: int) -> None:
        """Remove the checkpoint of a finished seed."""
        path = self._path(seed)
        for one in (path, path.with_name(f"{path.name}.previous")):
            shutil.rmtree(one, ignore_errors=True)
        with contextlib.suppress(OSError):  # not empty, or never created
            self.folder.rmdir()

    def _path(self, seed: int) -> Path:
        return self.folder / self.name(seed)
