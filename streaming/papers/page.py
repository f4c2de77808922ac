"""All tables of a folder as Markdown: one page for the papers' settings, one for other settings."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rate_models.errors import UserError
from streaming import papers
from streaming.files.folder import disk, write_text
from streaming.papers import Cell, Paper, table
from streaming.papers.reproduce import NO_DATA, NOT_YET, PAPERS

HEAD = """# Published numbers and ours

Made by `dendrostream paper --results {page} --out {folder}` from the tables that
`dendrostream paper NAME --out {folder}` writes there. Our numbers are mean ± standard deviation
over the seeds. The difference is our number minus the published one, in the table's unit. Where the
paper has a standard deviation, it is also given in units of √(σ² published + σ² ours); for a single
seed our σ is not known and counts as 0. All settings are those of the papers at full length.
Settings that we chose by the compared numbers themselves are listed under the summary. Tables in
smaller settings, which only test that everything runs, are on [a page of their own]({small}).
"""
SMALL = """# Small settings

Results of `dendrostream paper NAME --quick` and of other settings than the papers'. They only test
that everything runs, and are not compared; [results at full length]({page}) are.
"""
SUMMARY = """## Summary

{done} of {all} published numbers have been run at full length.

"""


def write(folder: Path, page: Path) -> None:
    """Write ``page`` from the tables in ``folder``, and next to it the page of small settings.

    Raises UserError if a table is damaged or the folder does not exist.
    """
    if not folder.is_dir():
        remedy = "dendrostream paper NAME --out FOLDER makes them"
        raise UserError("--out", got=f"{folder}, which is not there", expected="a folder of tables",
                        remedy=remedy)  # fmt: skip
    beside = small(page)
    parts, others = list[str](), [SMALL.format(page=page.name)]
    compared, chosen = list[tuple[str, dict[str, Any]]](), list[str]()
    for name in papers.catalogue():
        paper = papers.get(name)
        about = f"## {name}\n\n{papers.citation(paper)}\n\nUnit: {paper.unit}.\n"
        parts.append(about)
        tables = {path: read(path) for path in _tables(folder, name)}
        full = {path: kept for path, kept in tables.items() if kept["setting"] == PAPERS}
        if not full:
            parts.append(_nothing(paper))
        for path, kept in full.items():
            parts += [section(kept), f"[Figure]({_figure(path, page)}).\n"]
        if more := [section(kept) for path, kept in tables.items() if path not in full]:
            others += [about, *more]
        cells = next(iter(full.values()))["cells"] if full else _unmeasured(paper)
        compared += [(_named(name, full, page), c) for c in cells if c["published"] is not None]
        if paper.chosen:
            chosen.append(f"- {name}: {paper.chosen}")
    head = [HEAD.format(page=page, folder=folder, small=beside.name), _summary(compared)]
    if chosen:
        head.append("Chosen by the numbers that are compared here:\n\n" + "\n".join(chosen) + "\n")
    with disk(page):
        write_text(page, "\n".join([*head, *parts]))
        write_text(beside, "\n".join(others))


def small(page: Path) -> Path:
    """The path of the page of small settings that belongs to a page."""
    return page.with_name(f"{page.stem}_small{page.suffix}")


def _summary(compared: list[tuple[str, dict[str, Any]]]) -> str:
    """A line for each published number that has been run, and the count of all."""
    run = [(name, cell) for name, cell in compared if cell["state"] not in (NOT_YET, NO_DATA)]
    lines = [
        (name, cell["row"], cell["column"], *table.line(cell)[2:4], table.difference(cell),
         table.line(cell)[4])
        for name, cell in run
    ]  # fmt: skip
    columns = ("table", "row", "column", "published", "ours", "difference", "seeds")
    return SUMMARY.format(done=len(run), all=len(compared)) + markdown(columns, lines)


def _named(name: str, full: dict[Path, Any], page: Path) -> str:
    """The name of a paper, linked to its figure."""
    return f"[{name}]({_figure(next(iter(full)), page)})" if full else name


def _figure(path: Path, page: Path) -> str:
    """The path of a table's figure relative to the page."""
    return Path(os.path.relpath(path.with_suffix(".png"), page.parent)).as_posix()


def _unmeasured(paper: Paper) -> list[dict[str, Any]]:
    """The published cells of a paper that has not been run at the paper's setting."""
    return [table.unmeasured(paper, cell, _state(paper, cell))
            for cell in paper.cells if cell in paper.published]  # fmt: skip


def _nothing(paper: Paper) -> str:
    cells = _unmeasured(paper)
    text = _rows(cells) if cells else "Not run yet; the paper gives no number.\n"
    return f"### Setting: {PAPERS}\n\n{text}"


def _state(paper: Paper, cell: Cell) -> str:
    run = paper.run(*cell, paper.full)
    return run if isinstance(run, str) else NOT_YET


def _tables(folder: Path, name: str) -> list[Path]:
    """NAME.json, NAME-quick.json and files like NAME-epochs5.json, those that exist."""
    some = [folder / f"{name}.json", folder / f"{name}-quick.json"]
    return [p for p in (*some, *sorted(folder.glob(f"{name}*-epochs*.json"))) if p.is_file()]


def read(path: Path) -> dict[str, Any]:
    """A table from its file; UserError if it is damaged."""
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        if {"name", "cells", "setting", "command", "machine", "date"} <= result.keys():
            cells = [{"gap": None, **cell} for cell in result["cells"]]  # older files lack it
            return {**result, "cells": cells}
    except (ValueError, AttributeError, TypeError):
        pass
    raise UserError(str(path), got="no whole table", remedy="remove it, and compute it again")


def section(result: dict[str, Any]) -> str:
    """A table as Markdown; without published numbers unless it has the paper's setting."""
    origins = [cell["made"] for cell in result["cells"] if "made" in cell]
    every = {name: sorted({one for each in origins for one in each[name]})
             for name in ("command", "date", "cpu", "device")}  # fmt: skip
    commands = ", ".join(f"`{command}`" for command in every.pop("command"))
    where = "; ".join(", ".join(values) for values in every.values())
    rows = _rows(result["cells"], compared=result["setting"] == PAPERS)
    reasons = [f"{reason}.\n" for reason in table.reasons(result["cells"])]
    return "\n".join(
        [f"### Setting: {result['setting']}\n", f"{commands}; {where}.\n", rows, *reasons]
    )


def _rows(cells: list[dict[str, Any]], compared: bool = True) -> str:
    each = [(table.line(cell), cell["where"] or "-") for cell in cells]
    if not compared:
        small_columns = ("row", "column", "ours", "seeds")
        return markdown(small_columns, [(*line[:2], *line[3:5]) for line, _ in each])
    columns = ("row", "column", "published", "where", "ours", "seeds", "difference")
    return markdown(columns, [(*line[:3], where, *line[3:]) for line, where in each])


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table of texts.

    >>> print(markdown(("a", "b"), [("1", "2")]), end="")
    | a | b |
    |---|---|
    | 1 | 2 |
    """
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"
