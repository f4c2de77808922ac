"""Finished cells, one file each, whole or not there at all; what is missing is computed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from rate_models.errors import Diverged
from streaming.machine import machine
from streaming.papers import Context, Result
from streaming.run_folder import disk, json_line, write_text

Run = dict[str, Any]


class Store:
    """A folder of finished cells. command: what is noted as having made new ones."""

    def __init__(self, folder: Path, command: str, say: Callable[[str], object]) -> None:
        self.folder, self.command, self.say = folder, command, say
        with disk(folder):
            folder.mkdir(parents=True, exist_ok=True)

    def path(self, run: Run, seed: int) -> Path:
        """Where the result of a run with this seed is, once there is one."""
        text = json.dumps([run, seed], sort_keys=True, allow_nan=False)
        key = hashlib.sha256(text.encode()).hexdigest()[:16]
        return self.folder / f"{run['experiment'].replace(' ', '-')}-{key}.json"

    def read(self, run: Run, seed: int) -> dict[str, Any] | None:
        """{run, seed, result, seconds, command, machine, date, device}, or None."""
        path = self.path(run, seed)
        with contextlib.suppress(FileNotFoundError):
            try:
                kept = json.loads(path.read_text(encoding="utf-8"))
                if {"run", "seed", "result"} <= kept.keys() and kept["seed"] == seed:
                    return dict(kept)
            except (ValueError, AttributeError):
                pass
            self.say(f"{path}: not a whole cell, computed again")
        return None

    def complete(
        self, paper: ModuleType, run: Run, seeds: Sequence[int], context: Context
    ) -> dict[int, dict[str, Any]]:
        """{seed: cell} of a run, computing the seeds that are not kept yet."""
        missing = [seed for seed in seeds if self.read(run, seed) is None]
        start = time.perf_counter()

        def keep(seed: int, result: Result | None) -> None:
            cell = {
                "run": run,
                "seed": seed,
                "result": result,
                "seconds_so_far": round(time.perf_counter() - start, 1),  # of all seeds together
                "seeds_together": missing,
                "command": self.command,
                "device": context.device,
                "machine": machine(),
                "date": f"{datetime.now():%Y-%m-%d}",
            }
            with disk(self.folder):
                write_text(self.path(run, seed), json_line(cell) + "\n")
            context.keep(seed, result)

        if missing:
            try:
                paper.measure(run, missing, context._replace(keep=keep))
            except Diverged:
                for seed in missing:
                    if self.read(run, seed) is None:
                        keep(seed, None)
        kept = {seed: self.read(run, seed) for seed in seeds}
        return {seed: cell for seed, cell in kept.items() if cell is not None}
