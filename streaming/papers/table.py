"""The table of a paper: published and measured numbers, as entries, text and picture."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from streaming.papers import Cell, Paper, Result

COLUMNS = ("row", "column", "published", "measured", "seeds", "difference")
SIGMAS, POINTS = 3, 0.3  # a difference above the larger of both needs a reason, see `differs`


def entry(
    paper: Paper,
    cell: Cell,
    run: dict[str, Any],
    results: Sequence[Result | None],
    comparable: bool = True,
) -> dict[str, Any]:
    """The entry of a measured cell. results: one per seed, None for those that diverged.

    Values that are None or not finite are left out; a cell without any is undefined.
    gap: measured - published, in the table's unit. difference: gap / √(σ_published² + σ_measured²),
    where σ are standard deviations over runs. An unknown σ_measured counts as 0; the difference is
    None if no σ is published. comparable: False in settings other than the paper's, where gap and
    difference are None.
    """
    known = [result for result in results if result is not None]
    numbers = paper.value(*cell, known) if known else []
    values = [float(v) for v in numbers if v is not None and math.isfinite(v)]
    mean = statistics.fmean(values) if values else None
    if values and paper.mean is not None:
        mean = float(paper.mean(*cell, known))
    std = statistics.stdev(values) if len(values) > 1 else None
    diverged = len(results) - len(known)
    state = "measured" if values else "undefined" if known else "diverged"
    published = paper.published.get(cell)
    gap = mean - published.mean if comparable and published and mean is not None else None
    spread = math.hypot(published.std or 0, std or 0) if published else 0
    known_spread = published is not None and published.std is not None and spread
    return {
        **unmeasured(paper, cell, state),
        "mean": mean,
        "std": std,
        "seeds": len(results),
        "diverged": diverged,
        "values": values,
        "gap": gap,
        "difference": gap / spread if gap is not None and known_spread else None,
        "settings": run,
    }


def unmeasured(paper: Paper, cell: Cell, state: str) -> dict[str, Any]:
    """The entry of a cell that is not measured. state: why not, for the table; its ``reason`` is
    the error of its data set, if there is one."""
    published = paper.published.get(cell)
    return {
        "row": cell[0],
        "column": cell[1],
        "published": published.mean if published else None,
        "published_std": published.std if published else None,
        "where": published.where if published else None,
        "mean": None,
        "std": None,
        "seeds": 0,
        "diverged": 0,
        "values": [],
        "gap": None,
        "difference": None,
        "settings": None,
        "state": state,
        "reason": None,
    }


def line(cell: dict[str, Any]) -> tuple[str, ...]:
    """A cell as texts under `COLUMNS`."""
    measured = cell["state"]
    if cell["mean"] is not None:
        measured = plus_minus(cell["mean"], cell["std"])
    if cell["mean"] is not None and cell["diverged"]:
        measured += f" ({cell['diverged']} diverged)"
    return (
        cell["row"],
        cell["column"],
        "-" if cell["published"] is None else as_published(cell),
        measured,
        str(cell["seeds"] or "-"),
        difference(cell),
    )


def difference(cell: dict[str, Any]) -> str:
    """The gap with the digits of the measured number, and in σ if one was published.

    >>> difference({"mean": 95.67, "gap": 0.57, "difference": 3.5})
    '+0.57 (+3.5 σ)'
    """
    if cell["gap"] is None:
        return "-"
    sigmas = "" if cell["difference"] is None else f" ({cell['difference']:+.1f} σ)"
    return f"{cell['gap']:+.{_digits(cell['mean'])}f}{sigmas}"


def differs(cell: dict[str, Any]) -> bool:
    """Whether the measured number differs from the published one so that it needs a reason.

    It does if the gap is above `POINTS` in the table's unit and above `SIGMAS` standard deviations
    √(σ² published + σ² measured), where an unknown σ counts as 0; and if no seed has a number.

    >>> cell = {"published": 95.1, "published_std": 0.1, "std": 0.13, "state": "measured"}
    >>> differs({**cell, "gap": 0.57}), differs({**cell, "gap": -0.4})
    (True, False)
    """
    if cell["published"] is None:
        return False
    if cell["gap"] is None:
        return cell["state"] in ("diverged", "undefined")
    spread = math.hypot(cell["published_std"] or 0, cell["std"] or 0)
    return abs(float(cell["gap"])) > max(POINTS, SIGMAS * spread)


def plus_minus(mean: float, std: float | None) -> str:
    """
    >>> plus_minus(98.012, 0.09), plus_minus(0.026, None), plus_minus(1338.0, None)
    ('98.01 ± 0.09', '0.0260', '1338')
    """
    digits = _digits(mean)
    spread = "" if std is None else f" ± {std:.{digits}f}"
    return f"{mean:.{digits}f}{spread}"


def _digits(mean: float) -> int:
    size = abs(mean)
    return 0 if size >= 1000 else 2 if size >= 10 else 3 if size >= 1 else 4


def as_published(cell: dict[str, Any]) -> str:
    """The published number with its published digits."""
    spread = cell["published_std"]
    return f"{cell['published']:g}" + ("" if spread is None else f" ± {spread:g}")


def text(cells: Sequence[dict[str, Any]]) -> str:
    """The cells as columns of text, followed by the reasons of cells without data."""
    return "\n".join([aligned([COLUMNS, *map(line, cells)]), *reasons(cells)])


def reasons(cells: Sequence[dict[str, Any]]) -> list[str]:
    """Why cells have no data, a line for each reason."""
    groups: dict[str, list[str]] = {}
    for cell in cells:
        if reason := cell.get("reason"):
            groups.setdefault(reason, []).append(f"{cell['row']}, {cell['column']}")
    return [f"no data for {'; '.join(which)}: {reason}" for reason, which in groups.items()]


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows of texts as columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(each.rstrip() for each in lines)


def picture(cells: Sequence[dict[str, Any]], unit: str, title: str, path: Path) -> None:
    """Draw a line per cell: the published number (open) and the measured one (filled), ± σ."""

    from rate_models.drawing.figures import new_figure
    from rate_models.drawing.style import BLUE, GREY, drawing

    shown = [c for c in cells if c["mean"] is not None]
    with drawing():
        figure = new_figure((6.4, 1.3 + 0.28 * len(shown)))
        axes = figure.subplots()
        for at, cell in enumerate(shown):
            if cell["published"] is not None:
                axes.errorbar(cell["published"], at - 0.12, xerr=cell["published_std"] or None,
                              fmt="o", ms=5, mfc="white", color=GREY)  # fmt: skip
            axes.errorbar(cell["mean"], at + 0.12, xerr=cell["std"] or None, fmt="o", ms=5,
                          color=BLUE)  # fmt: skip
        axes.set_yticks(range(len(shown)), [f"{c['row']}, {c['column']}" for c in shown])
        axes.set_ylim(max(len(shown), 1) - 0.5, -0.5)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel(f"{unit}: published (open), measured (filled)")
        axes.set_title(title)
        figure.savefig(path)
