"""The store of finished cells, one file each, written atomically; missing cells are computed."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import NoneType
from typing import Any

from rate_models.errors import Diverged, UserError
from streaming.files.folder import disk, finite, json_line, write_text
from streaming.machine import machine
from streaming.papers import Context, Paper, Result
from streaming.papers.unfinished import Checkpoints

Run = dict[str, Any]
UNFINISHED = "unfinished"  # a folder beside the cells
FIELDS: Mapping[str, type | tuple[type, ...]] = {
    "run": dict,
    "result": (dict, NoneType),
    "command": str,
    "machine": dict,
    "date": str,
}


def digest(cell: Mapping[str, Any]) -> str:
    """The digest of a cell's run, seed and result, by which a change of any of them is detected."""
    text = json.dumps([finite(cell[name]) for name in ("run", "seed", "result")], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _whole(kept: Any) -> bool:
    """Whether this is a complete cell; older cells without a digest are accepted."""
    if not isinstance(kept, dict) or type(kept.get("seed")) is not int:
        return False
    if not all(isinstance(kept.get(name, 0), kinds) for name, kinds in FIELDS.items()):
        return False
    return "digest" not in kept or kept["digest"] == digest(kept)


class Store:
    """A folder of finished cells.

    command: the command that is written into new cells. notify: called with lines to report.
    """

    def __init__(self, folder: Path, command: str, notify: Callable[[str], object]) -> None:
        self.folder, self.command, self.notify = folder, command, notify
        with disk(folder):
            folder.mkdir(parents=True, exist_ok=True)

    def path(self, run: Run, seed: int) -> Path:
        """The path of the result of a run with this seed."""
        text = json.dumps([run, seed], sort_keys=True, allow_nan=False)
        key = hashlib.sha256(text.encode()).hexdigest()[:16]
        return self.folder / f"{run['experiment'].replace(' ', '-')}-{key}.json"

    def read(self, run: Run, seed: int) -> dict[str, Any] | None:
        """{run, seed, result, command, machine, date, ...}, or None if there is no complete cell.

        A file that is damaged, cannot be read or holds the result of another run is ignored and
        reported. Raises UserError if there is a folder at its path.
        """
        path = self.path(run, seed)
        if path.is_dir():
            remedy = "move it away"
            raise UserError(str(path), got="a folder", expected="a finished cell", remedy=remedy)
        try:
            kept = json.loads(path.read_bytes())
            why = "" if _whole(kept) else "not a whole cell"
        except FileNotFoundError:
            return None
        except OSError as error:
            why = error.strerror or repr(error)
        except (ValueError, RecursionError):
            why = "not a whole cell"
        if not why and (kept["seed"] != seed or kept["run"] != json.loads(json.dumps(run))):
            why = "the result of another run"
        if why:
            self.notify(f"{path}: {why}, computed again")
            return None
        return dict(kept)

    def kept(self, run: Run, seeds: Iterable[int]) -> dict[int, dict[str, Any]]:
        """{seed: cell} of the finished seeds."""
        cells = {seed: self.read(run, seed) for seed in seeds}
        return {seed: cell for seed, cell in cells.items() if cell is not None}

    def keep(self, run: Run, seed: int, result: Result | None, **more: Any) -> None:
        """Write the result of a run with this seed, with command, machine, date and ``more``."""
        when = {"machine": machine(), "date": f"{datetime.now():%Y-%m-%d}"}
        cell = {"run": run, "seed": seed, "result": result, "command": self.command, **when, **more}
        self.write({**cell, "digest": digest(cell)})

    def write(self, cell: dict[str, Any]) -> None:
        """Write a cell to the path at which `read` looks for it."""
        with disk(self.folder):
            write_text(self.path(cell["run"], cell["seed"]), json_line(cell) + "\n")

    def compute(
        self, paper: Paper, run: Run, seeds: Sequence[int], context: Context
    ) -> dict[int, dict[str, Any]]:
        """{seed: cell} of a run. The seeds are computed together, each is kept when it finishes."""
        if not seeds:
            return {}
        start, notes, finished = time.perf_counter(), list[str](), set[int]()

        def note(text: str) -> None:
            notes.append(text)
            self.notify(text)

        def keep(seed: int, result: Result | None) -> None:
            self.keep(
                run,
                seed,
                result,
                seconds_so_far=round(time.perf_counter() - start, 1),  # of all seeds together
                seeds_together=list(seeds),
                notes=notes,
                device=context.device,
            )
            finished.add(seed)
            points.remove(seed)
            context.keep(seed, result)

        points = Checkpoints(self.folder / UNFINISHED, lambda seed: self.path(run, seed).stem)
        context_here = context._replace(
            keep=keep, note=note, unfinished=points.read, checkpoint=points.write
        )
        try:
            paper.measure(run, seeds, context_here)
        except Diverged:
            for seed in set(seeds) - finished:
                keep(seed, None)
        return self.kept(run, seeds)
