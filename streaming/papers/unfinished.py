"""Where measurements are that were interrupted: a checkpoint a seed, gone once it is a cell."""

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

EVERY = 60.0  # seconds; a checkpoint is twice the weights


class Checkpoints:
    """Of a run's seeds, in a folder. name: of a seed's."""

    def __init__(self, folder: Path, name: Callable[[int], str]) -> None:
        self.folder, self.name = folder, name
        self._due: dict[int, float] = {}

    def read(self, seed: int) -> Unfinished | None:
        """The last whole one of a seed, or None."""
        try:
            arrays, meta = checkpoint.read(self._path(seed))
            return Unfinished(arrays, json.loads(meta["text"]))
        except (DamagedCheckpoint, LookupError, TypeError, ValueError):
            return None

    def write(self, seed: int, make: Callable[[], Unfinished]) -> None:
        """Write one, if the last is a minute old or more, and the disk takes it."""
        now = time.monotonic()
        if now < self._due.setdefault(seed, now + EVERY):
            return
        arrays, meta = make()
        with contextlib.suppress(UserError):  # or another process writes the same: time is lost
            # as text, because a checkpoint's JSON has no NaN and a loss may be one
            checkpoint.write(self._path(seed), arrays, {"text": json.dumps(meta)})
        self._due[seed] = time.monotonic() + EVERY

    def remove(self, seed: int) -> None:
        """What is finished needs none."""
        path = self._path(seed)
        for one in (path, path.with_name(f"{path.name}.previous")):
            shutil.rmtree(one, ignore_errors=True)
        with contextlib.suppress(OSError):  # others are in it, or it was never made
            self.folder.rmdir()

    def _path(self, seed: int) -> Path:
        return self.folder / self.name(seed)
