"""All tables that a folder keeps, on one page of Markdown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rate_models.errors import UserError
from streaming import papers
from streaming.papers import table
from streaming.papers.reproduce import NOT_YET, PAPERS
from streaming.run_folder import disk, write_text

HEAD = """# Published numbers and ours

Made by `dendrostream paper --results {page} --out {folder}` from the tables that
`dendrostream paper NAME --out {folder}` keeps there. Numbers of ours are mean ± standard
deviation over the seeds; the difference is in standard deviations, √(σ² published + σ² ours), of
those that are known: with one seed and no σ published there is none. A table in another setting
than the paper's says so; it shows that things run, and is not compared.
"""


def write(folder: Path, page: Path) -> None:
    """Write ``page`` from the tables in ``folder``; papers without one are listed cell by cell.

    Raises UserError where a kept table is damaged, or the folder is not there.
    """
    if not folder.is_dir():
        remedy = "dendrostream paper NAME --out FOLDER makes them"
        raise UserError("--out", got=f"{folder}, which is not there", expected="a folder of tables",
                        remedy=remedy)  # fmt: skip
    parts = [HEAD.format(page=page, folder=folder)]
    for name in papers.catalogue():
        paper = papers.get(name)
        parts.append(f"## {name}\n\n{papers.citation(paper)}\n\nUnit: {paper.UNIT}.\n")
        kept = [read(path) for path in _tables(folder, name)]
        if all(result["setting"] != PAPERS for result in kept):
            parts.append(_nothing(paper))
        parts += [section(result) for result in kept]
    with disk(page):
        write_text(page, "\n".join(parts))


def _nothing(paper: Any) -> str:
    """The published cells of a paper that has not been run in its own setting."""
    cells = [table.unmeasured(paper, (row, column), _state(paper, row, column))
             for row in paper.ROWS for column in paper.COLUMNS
             if (row, column) in paper.PUBLISHED]  # fmt: skip
    said = _rows(cells) if cells else "Not run yet; the paper gives no number.\n"
    return f"### Setting: {PAPERS}\n\n{said}"


def _state(paper: Any, row: str, column: str) -> str:
    run = paper.run(row, column, paper.FULL)
    return run if isinstance(run, str) else NOT_YET


def _tables(folder: Path, name: str) -> list[Path]:
    """NAME.json, NAME-quick.json, NAME-epochs5.json, as far as they are there."""
    some = [folder / f"{name}.json", folder / f"{name}-quick.json"]
    return [p for p in (*some, *sorted(folder.glob(f"{name}*-epochs*.json"))) if p.is_file()]


def read(path: Path) -> dict[str, Any]:
    """A kept table; UserError where it is damaged."""
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        if {"name", "cells", "setting", "command", "machine", "date"} <= result.keys():
            return dict(result)
    except (ValueError, AttributeError):
        pass
    raise UserError(str(path), got="no whole table", remedy="remove it, and make it again")


def section(result: dict[str, Any]) -> str:
    """A kept table as Markdown."""
    made = [cell["made"] for cell in result["cells"] if "made" in cell]
    every = {name: sorted({one for each in made for one in each[name]})
             for name in ("command", "date", "cpu", "device")}  # fmt: skip
    commands = ", ".join(f"`{command}`" for command in every.pop("command"))
    where = "; ".join(", ".join(values) for values in every.values())
    return "\n".join(
        [f"### Setting: {result['setting']}\n", f"{commands}; {where}.\n", _rows(result["cells"])]
    )


def _rows(cells: list[dict[str, Any]]) -> str:
    lines = ["| row | column | published | where | ours | seeds | difference |",
             "|---|---|---|---|---|---|---|"]  # fmt: skip
    for cell in cells:
        row, column, published, measured, seeds, difference = table.line(cell)
        where = cell["where"] or "-"
        lines.append(
            f"| {row} | {column} | {published} | {where} | {measured} | {seeds} | {difference} |"
        )
    return "\n".join(lines) + "\n"
