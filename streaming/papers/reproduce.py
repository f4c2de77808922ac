"""Compute the missing cells of a paper's table, and write the table and the figure."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from rate_models.errors import BadOption, MissingData, UnknownName, UserError
from streaming import papers
from streaming.cluster import cluster
from streaming.files.bounded import DamagedData
from streaming.files.folder import disk, finite, replacing, write_text
from streaming.machine import machine
from streaming.papers import Cell, Context, Paper, Scale, table
from streaming.papers.cells import Store
from streaming.papers.outlook import Outlook
from streaming.papers.spread import Task, spread
from streaming.pictures.drawn import attempt
from streaming.sources import Options

NOT_YET, NO_DATA, PAPERS = "not run yet", "no data", "the paper's"
MOST_SEEDS = 10_000  # more are a mistake
TOGETHER = 100  # seeds of a cell that are computed at once; more would fill the memory
MINUTE = 60.0


class _Job(NamedTuple):
    """The cells of a paper that one call of `reproduce` computes.

    name: the paper's public name. todo: the chosen cells. setting: differences of ``scale`` from
    the paper's, or "".
    """

    paper: Paper
    name: str
    todo: list[Cell]
    scale: Scale
    setting: str
    store: Store

    def entry(self, cell: Cell, run: Any, kept: dict[int, dict[str, Any]]) -> dict[str, Any]:
        """The entry of a cell in the table, from its finished seeds."""
        return _entry(self.paper, cell, run, kept, comparable=not self.setting)


def reproduce(
    name: str, out: Path, *, seeds: int | None = None, epochs: int | None = None,
    quick: bool = False, rows: Sequence[str] | None = None, columns: Sequence[str] | None = None,
    device: str = "cpu", data: Options | None = None, scheduler: str | None = None,
    workers: int | None = None, command: str = "",
    notify: Callable[[str], object] = lambda _: None, bar: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """The table of a paper as a dict for JSON; ``out`` gets NAME.json, NAME.png and the cells.

    rows, columns: those to compute; for all others the table shows what ``out`` has already. Cells
    that ``out`` has are not computed again. scheduler, workers: if one of them is given, several
    workers compute cells at once (see `streaming.cluster.cluster`); cells that they could not
    compute are then computed by this process.
    A cell whose data set is missing or refused has the reason instead of numbers.
    Raises UnknownName and BadOption for wrong arguments, and MissingData or DamagedData if there is
    no data for any of the chosen cells.
    """
    start, paper = time.perf_counter(), papers.get(name)
    reference, name = papers.reference(paper), papers.named(name)
    todo = _todo(paper, rows, columns)
    scale, setting, stem = _scale(paper, name, seeds, epochs, quick)
    if device != "cpu" and not paper.torch:
        raise BadOption("--device", got=device, expected=f"cpu: nothing of {name} runs on torch")
    if setting:
        notify(f"{name}: {setting}: not the paper's setting")
    job = _Job(paper, name, todo, scale, setting, Store(out / "cells", command, notify))
    with tqdm(total=len(todo), desc=name, disable=not bar, leave=False) as shown:
        tick = shown.set_postfix_str if bar else _now_and_then(notify)
        outlook = Outlook(_open(paper, todo, scale, job.store), notify)
        context = Context(outlook, device, data or Options(), tick)
        spreads = (scheduler, workers) != (None, None)
        if spreads and (tasks := _missing(paper, todo, scale, job.store)):
            notify(f"{name}: {len(tasks)} cells are computed by workers")
            with cluster(scheduler, workers, notify=notify) as client:
                _compute_by_workers(spread(client, reference, tasks, context, job.store),
                                    len(tasks), context)  # fmt: skip
        absent = _compute_here(job, context, notify, shown.update)
    cells, results = _collected(job, absent)
    if absent and not results:
        raise next(iter(absent.values()))
    about = {"command": command, "device": device, "seconds": time.perf_counter() - start}
    result = _table(job, cells, about, out / stem)
    _write(paper, result, results, out, stem)
    return result


def _todo(paper: Paper, rows: Sequence[str] | None, columns: Sequence[str] | None) -> list[Cell]:
    """The chosen cells of a paper. Raises UnknownName."""
    some_rows = _chosen("--rows", rows, paper.rows)
    some_columns = _chosen("--columns", columns, paper.columns)
    return [(row, column) for row, column in paper.cells
            if row in some_rows and column in some_columns]  # fmt: skip


def _compute_by_workers(finished: Iterable[tuple[Any, Any]], tasks: int, context: Context) -> None:
    """Wait for the tasks of workers, and report their progress."""
    for n, (_, done) in enumerate(finished, 1):
        context.tick(f"{n} of {tasks} cells by workers")
        for seed in done:
            context.keep(seed, None)


def _compute_here(
    job: _Job, context: Context, notify: Callable[[str], object], done: Callable[[], object]
) -> dict[Cell, UserError]:
    """Compute the missing seeds of all cells; returns the errors of cells without data."""
    absent: dict[Cell, UserError] = {}
    for cell in job.todo:
        run = job.paper.run(*cell, job.scale)
        if isinstance(run, dict):
            context.tick(", ".join(cell))
            kept = job.store.kept(run, range(job.scale.seeds))
            missing = [seed for seed in range(job.scale.seeds) if seed not in kept]
            try:
                for some in _parts(missing):
                    kept |= job.store.compute(job.paper, run, some, context)
            except (MissingData, DamagedData) as error:
                if str(error) not in map(str, absent.values()):
                    notify(f"skipped: {error}")
                absent[cell] = error
            if kept:
                notify(f"{job.name}: " + "  ".join(table.line(job.entry(cell, run, kept))))
        done()
    return absent


def _collected(
    job: _Job, absent: Mapping[Cell, UserError]
) -> tuple[list[dict[str, Any]], papers.Results]:
    """The entries of all cells of the table, and the results of the finished ones.

    All cells are read again, since other runs or other commands may have finished some of them.
    """
    paper, scale = job.paper, job.scale
    cells, results = list[dict[str, Any]](), papers.Results()
    for cell in paper.cells:
        run = paper.run(*cell, scale)
        if run is None:
            continue
        seeds = scale.seeds if cell in job.todo else max(scale.seeds, paper.full.seeds)
        kept = job.store.kept(run, range(seeds)) if isinstance(run, dict) else {}
        if not kept and job.setting and cell not in job.todo:
            continue  # not requested in this setting
        reason = str(absent[cell]) if cell in absent else None
        if not kept:
            why = run if isinstance(run, str) else NO_DATA if cell in absent else NOT_YET
            cells.append({**table.unmeasured(paper, cell, why), "reason": reason})
            continue
        cells.append({**job.entry(cell, run, kept), "reason": reason})
        if known := [r for _, one in sorted(kept.items()) if (r := one["result"]) is not None]:
            results[cell] = known
    return cells, results


def _table(
    job: _Job, cells: list[dict[str, Any]], about: Mapping[str, Any], stem: Path
) -> dict[str, Any]:
    """The table as a dict for JSON. about: command, device, seconds. stem: path of the files."""
    return {
        "name": job.name,
        "citation": papers.citation(job.paper),
        "unit": job.paper.unit,
        "setting": job.setting or PAPERS,
        "scale": job.scale._asdict(),
        "command": about["command"],
        "machine": machine(),
        "device": about["device"],
        "date": f"{datetime.now():%Y-%m-%d}",
        "seconds": round(about["seconds"], 1),
        "json": f"{stem}.json",
        "figure": f"{stem}.png",
        "cells": cells,
    }


def _entry(
    paper: Paper, cell: Cell, run: Any, kept: dict[int, dict[str, Any]], comparable: bool
) -> dict[str, Any]:
    results = [kept[seed]["result"] for seed in sorted(kept)]
    try:
        entry = table.entry(paper, cell, run, results, comparable=comparable)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"finished cell {', '.join(cell)}",
            got=f"a result without what the table needs ({type(error).__name__}: {error})",
            expected=f"what {paper.module} measures",
            remedy="remove the files of this cell in the folder `cells`, and run again",
        ) from error
    return {**entry, "made": _origin(kept.values())}


def _missing(paper: Paper, todo: Sequence[Cell], scale: Scale, store: Store) -> list[Task]:
    """(run, seeds that are not finished) of cells; equal runs once."""
    missing: dict[Path, Task] = {}
    for cell in todo:
        run = paper.run(*cell, scale)
        if not isinstance(run, dict):
            continue
        kept = store.kept(run, range(scale.seeds))
        for seeds in _parts([seed for seed in range(scale.seeds) if seed not in kept]):
            missing[store.path(run, seeds[0])] = run, seeds
    return list(missing.values())


def _parts(seeds: list[int]) -> list[list[int]]:
    return [seeds[at : at + TOGETHER] for at in range(0, len(seeds), TOGETHER)]


def _open(paper: Paper, todo: Sequence[Cell], scale: Scale, store: Store) -> int:
    """How many results there are not yet of cells; those of equal runs count once."""
    runs = [run for cell in todo if isinstance(run := paper.run(*cell, scale), dict)]
    paths = {store.path(run, seed) for run in runs for seed in range(scale.seeds)}
    return sum(not path.exists() for path in paths)


def _now_and_then(notify: Callable[[str], object]) -> Callable[[str], object]:
    """A callback that reports at most one line per minute, for use without a progress bar."""
    due = time.monotonic() + MINUTE

    def tick(text: str) -> None:
        nonlocal due
        if time.monotonic() >= due:
            due = time.monotonic() + MINUTE
            notify(text)

    return tick


def _write(
    paper: Paper, result: dict[str, Any], results: papers.Results, out: Path, stem: str
) -> None:
    with disk(out):
        write_text(out / f"{stem}.json", json.dumps(finite(result), indent=1) + "\n")
        again = "the same command draws it; finished cells are kept"
        with attempt(f"{out / stem}.png", again), replacing(out / f"{stem}.png", ".png") as picture:
            if results and paper.draw is not None:
                paper.draw(results, picture)
            else:
                table.picture(result["cells"], result["unit"], stem, picture)


def _scale(
    paper: Paper, name: str, seeds: int | None, epochs: int | None, quick: bool
) -> tuple[Scale, str, str]:
    """The scale, a text with its differences from the paper's, and the name of the files."""
    for option, number in (("--seeds", seeds), ("--epochs", epochs)):
        if number is not None and number < 1:
            raise BadOption(option, got=number, expected="1 or more")
    if seeds is not None and seeds > MOST_SEEDS:
        raise BadOption("--seeds", got=seeds, expected=f"at most {MOST_SEEDS:,}")
    full = paper.full
    usual = paper.quick if quick else full
    changes = {"seeds": seeds, "epochs": epochs}
    scale = usual._replace(**{k: v for k, v in changes.items() if v is not None})
    differs, stem = [], name
    if quick:
        differs.append("quick")
        stem += "-quick"
    if scale.epochs != full.epochs:
        word = "epoch" if scale.epochs == 1 else "epochs"
        differs.append(f"{scale.epochs} {word}, not {full.epochs}")
    if scale.epochs != usual.epochs:
        stem += f"-epochs{scale.epochs}"
    if scale.samples != full.samples:
        differs.append(f"{scale.samples:,} training samples")
    return scale, ", ".join(differs), stem


def _chosen(option: str, names: Sequence[str] | None, valid: Collection[str]) -> set[str]:
    if names is None:
        return set(valid)
    unknown = [name for name in names if name not in valid]
    if unknown or not names:
        got = repr(unknown[0]) if unknown else "none"
        raise UnknownName(option, got=got, expected=f"among {', '.join(valid)}")
    return set(names)


def _origin(cells: Collection[dict[str, Any]]) -> dict[str, Any]:
    """The commands, devices, processors and dates of finished cells."""
    kinds = {
        "command": {one["command"] for one in cells},
        "device": {str(one.get("device", "cpu")) for one in cells},
        "cpu": {str(one["machine"].get("cpu")) for one in cells},
        "date": {one["date"] for one in cells},
    }
    return {name: sorted(values) for name, values in kinds.items()}
