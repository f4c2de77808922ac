"""A sweep: the same run over all combinations of some options, on workers of Dask.

A combination is a cell. Workers send their results over Dask and leave no files, so that the
machines need no common folder. The client writes each result at once, one file per cell.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
import platform
import re
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from rate_models.errors import BadOption, Diverged, UserError
from streaming.cluster import cluster, computed, scratch
from streaming.files.folder import disk
from streaming.machine import machine
from streaming.papers.cells import Store
from streaming.records import option_of
from streaming.runs.config import RunConfig, not_by_set, parse_value
from streaming.runs.record import Recorder
from streaming.runs.run import Hooks, run
from streaming.sources import Source, content
from streaming.sweeps import table as sweep_table

Values = Sequence[Any]
FIELDS = option_of(RunConfig).keys() - {"settings"}
MOST = 100_000  # cells of a sweep; more are a mistake, and would fill the memory before any run
LONGEST = 40  # digits of an end of a range
# Fields of a configuration that decide no numbers, or are kept with the result.
APART = {name for name, option in option_of(RunConfig).items() if not option.decides}
APART |= {"seed", "lineage"}


class Cell(NamedTuple):
    """One run of a sweep.

    varied: the values in which it differs from the others. config: the resolved configuration.
    content: hash of the source's file, so that another file of the same name is another run. data:
    hash of the data set, kept with the result; if it has changed, the cell is computed again.
    """

    varied: dict[str, Any]
    config: RunConfig
    content: str = ""
    data: str = ""

    @property
    def run(self) -> dict[str, Any]:
        """Everything that decides the numbers except the seed, for JSON."""
        content = {"content": self.content} if self.content else {}
        whole = self.config.model_dump(mode="json", exclude=APART)
        return {"experiment": "run", **whole, **content}


def parse_over(items: Iterable[str]) -> dict[str, Values]:
    """``name=values`` texts as a dict; values are a list with commas, a range a..b, or JSON.

    >>> parse_over(["rule=pepita,drtp", "seed=0..3,7", "momentum=0,0.9", "hidden=[[64, 32], 256]"])
    ... # doctest: +NORMALIZE_WHITESPACE
    {'rule': ['pepita', 'drtp'], 'seed': [0, 1, 2, 3, 7], 'momentum': [0, 0.9],
     'hidden': [[64, 32], 256]}
    """
    over: dict[str, Values] = {}
    for item in items:
        name, equals, text = item.partition("=")
        if not (name and equals and text):
            expected = "name=values, e.g. --over lr=0.03,0.1 --over seed=0..4"
            raise BadOption("--over", got=item, expected=expected)
        if name in over:
            raise BadOption("--over", got=f"{name} twice", expected="all its values in one")
        if name not in FIELDS and not_by_set(name):
            raise BadOption("--over", got=item, expected="an option of `dendrostream run`")
        whole = _parsed(text)
        if isinstance(whole, list):
            over[name] = whole
        else:
            several = [_values(part) for part in text.split(",")]
            _check_count("--over", item, sum(map(_count, several)))
            over[name] = [value for values in several for value in values]
        if not over[name]:
            raise BadOption("--over", got=f"{item}, which is no value", expected="some")
    return over


def _values(text: str) -> Values:
    """One value, or the range a..b."""
    ends = re.fullmatch(r"(-?\d+)\.\.(-?\d+)", text)
    if ends is None:
        return [_parsed(text)]
    if max(map(len, ends.groups())) > LONGEST:
        raise BadOption("--over", got=f"{text[:80]}", expected=f"at most {LONGEST} digits")
    return range(int(ends[1]), int(ends[2]) + 1)


def _parsed(text: str) -> Any:
    try:
        return parse_value(text)
    except RecursionError:
        got, expected = f"{text[:60]}...", "lists in a list at most: hidden=[[64, 32], 256]"
        raise BadOption("--over", got=got, expected=expected) from None


def _count(values: Values) -> int:
    """The number of values, also of a range that is too long for `len`."""
    return max(0, values.stop - values.start) if isinstance(values, range) else len(values)


def _check_count(option: str, got: str, n: int) -> None:
    if n > MOST:
        raise BadOption(
            option,
            got=f"{got[:80]}, which is {n:,} runs",
            expected=f"at most {MOST:,}",
            remedy="sweep over a part of them, and then over the next",
        )


def cells(options: Mapping[str, Any], over: Mapping[str, Values]) -> list[Cell]:
    """The runs of all combinations of ``over``; the values of the last name change fastest.

    options: fields of `RunConfig` that all runs share. Combinations with the same resolved
    configuration are one cell. Every network is built once, to find wrong options before any run.
    Raises UserError with the combination.
    """
    counts = {name: _count(values) for name, values in over.items()}
    _check_count("--over", " x ".join(f"{name} ({n:,})" for name, n in counts.items()),
                 math.prod(counts.values()))  # fmt: skip
    distinct: dict[str, Cell] = {}
    resolved: dict[str, tuple[RunConfig, str]] = {}
    sources: dict[str, tuple[Source, str]] = {}
    hashed = functools.cache(content)
    for values in itertools.product(*over.values()):
        varied = dict(zip(over, values, strict=True))
        requested = _requested(options, varied)
        key = requested.model_dump_json(exclude={"seed"})
        if key not in resolved:
            try:
                resolved[key] = _resolved(requested, sources)
            except UserError as error:
                which = " ".join(f"{k}={v}" for k, v in varied.items() if k != "seed")
                error.args = (f"{which}: {error}" if which else str(error),)
                raise
        config = resolved[key][0].model_copy(update={"seed": requested.seed})
        cell = Cell(varied, config, hashed(config.source), resolved[key][1])
        distinct.setdefault(config.model_dump_json(), cell)
    return list(distinct.values())


def _requested(options: Mapping[str, Any], varied: Mapping[str, Any]) -> RunConfig:
    """The configuration of a combination, before defaults are filled in."""
    fields = {k: v for k, v in varied.items() if k in FIELDS}
    settings = {k: v for k, v in varied.items() if k not in FIELDS and v is not None}
    common = options.get("settings", {})
    for name in settings.keys() & common.keys():
        raise BadOption("--over", got=f"{name}, which --set has too", expected="one of the two")
    return RunConfig.checked(**{**options, **fields, "settings": {**common, **settings}})


def _resolved(
    requested: RunConfig, sources: dict[str, tuple[Source, str]]
) -> tuple[RunConfig, str]:
    """The configuration with all defaults, and a hash of the data set for sources without a file.

    The learner is built once as in `streaming.runs.run.run`, to find wrong options.
    """
    key = requested.opening()
    if key not in sources:
        opened = requested.open()
        sources[key] = opened, content("", opened)
    source, data = sources[key]
    config = requested.resolved(source)
    if source.length is None and not (config.samples or config.seconds or config.accuracy):
        expected = "--samples, --seconds or --accuracy: the stream has no end"
        raise BadOption("--source", got=source.name, expected=expected)
    Recorder(config.record, config.learner(source), source)
    return config, data


def compute(options: Mapping[str, Any], folder: str | None = None) -> dict[str, Any]:
    """The task of a worker: one run; returns {result, notes, machine}.

    options: fields of `RunConfig`. result: the summary of the run, or only ``stopped`` and
    ``error`` of a run that diverged or failed. folder: the folder that keeps the run folder; None
    to keep none.
    """
    notes: list[str] = []
    with contextlib.ExitStack() as open_:
        if folder is None:
            out = open_.enter_context(scratch())
        else:
            with disk(Path(folder)):
                Path(folder).mkdir(parents=True, exist_ok=True)
                out = Path(tempfile.mkdtemp(prefix="run-", dir=folder))
        warned = open_.enter_context(warnings.catch_warnings(record=True))
        try:
            hooks = Hooks(notify=notes.append, draw=folder is not None)
            result = run(RunConfig.checked(**options), out, hooks)
        except UserError as error:
            stopped = "diverged" if isinstance(error, Diverged) else "error"
            text = str(error) if folder else str(error).partition("; what was learned is kept")[0]
            result = {"stopped": stopped, "error": text}
        notes += [f"warning: {one.message}" for one in warned]
    if folder is None:
        result.pop("out", None)
    return {"result": result, "notes": notes, "machine": {**machine(), "host": platform.node()}}


def sweep(
    options: Mapping[str, Any], over: Mapping[str, Values], out: Path, *,
    table: Path | None = None, scheduler: str | None = None, workers: int | None = None,
    runs: Path | None = None, dashboard: bool = False, command: str = "",
    notify: Callable[[str], object] = lambda _: None, bar: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Run all `cells` whose results ``out`` does not have yet, on workers, and write the table.

    table: a name that ends in .csv or .parquet; None: ``out``/sweep.csv. scheduler, workers,
    dashboard: see `streaming.cluster.cluster`. runs: folder on the workers' machines that keeps
    their run folders. Cells that diverged are kept; those that failed otherwise are tried again
    by the next call. Returns a dict for JSON. Raises UserError before any run if an option is
    wrong.
    """
    table = out / "sweep.csv" if table is None else table
    write = sweep_table.writer(table)
    every = cells(options, over)
    if runs is None and any(cell.config.record for cell in every):
        expected = "--runs too: recordings are in the run folders"
        raise BadOption("--record", got="no --runs", expected=expected)
    with disk(table.parent):
        table.parent.mkdir(parents=True, exist_ok=True)
    store = Store(out / "cells", command, notify)
    kept = [_kept(store, cell) for cell in every]
    todo = [i for i, one in enumerate(kept) if one is None]
    n, missing = len(every), len(todo)
    notify(f"sweep: {n} cells; {n - missing} there already, in {store.folder}; {missing} to run")
    if todo:
        folder = None if runs is None else str(runs.absolute())
        tasks = [(every[i].config.model_dump(mode="json"), folder) for i in todo]
        shown = tqdm(total=n, initial=n - missing, desc="sweep", disable=not bar, leave=False)
        report = functools.partial(shown.write, file=sys.stderr) if bar else notify
        with shown, cluster(scheduler, workers, dashboard=dashboard, notify=report) as client:
            for at, got in computed(client, compute, tasks):
                cell = every[todo[at]]
                one = got if isinstance(got, dict) else {"result": _failed(got)}
                kept[todo[at]] = one
                if one["result"]["stopped"] != "error":
                    store.keep(cell.run, cell.config.seed, **one, data=cell.data)
                shown.update()
                line = sweep_table.line(cell.varied, one["result"])
                shown.set_postfix_str(line) if bar else notify(f"sweep: {line}")
    rows = [sweep_table.row(cell.varied, one) for cell, one in zip(every, kept, strict=True) if one]
    write(rows)
    return {
        "cells": n,
        "kept": n - missing,
        "diverged": sum(row["stopped"] == "diverged" for row in rows),
        "failed": sum(row["stopped"] == "error" for row in rows),
        "table": str(table),
        "settings": sweep_table.over_seeds(rows, [name for name in over if name != "seed"]),
        "rows": rows,
    }


def _kept(store: Store, cell: Cell) -> dict[str, Any] | None:
    """The kept result of a cell, if it is the result of this run on this data; else None."""
    kept = store.read(cell.run, cell.config.seed)
    if kept is None:
        return None
    why = ""
    if not sweep_table.is_result(kept["result"]):
        why = "not the result of a run"
    elif cell.data and kept.get("data", cell.data) != cell.data:
        why = "the result on other data of this name"
    if why:
        store.notify(f"{store.path(cell.run, cell.config.seed)}: {why}, computed again")
        return None
    return kept


def _failed(error: BaseException) -> dict[str, Any]:
    """The result of a cell whose workers were lost, or that raised an unexpected error."""
    return {"stopped": "error", "error": f"{type(error).__name__}: {' '.join(str(error).split())}"}
