"""Columns that are no features: those without a name, counts of the rows, and times."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from streaming.tables.numbers import column_kind, number

Rows = Sequence[tuple[int, list[str]]]  # the number of a line, and its cells

NAMELESS = re.compile(r"|Unnamed: \d+")  # pandas' name for an index that it wrote and read back
INDEX = re.compile(r"(row[ _]?)?(id|idx|index|nr|no|number|#)\.?|(row|.*_id)", re.IGNORECASE)
TIME = re.compile(r"(.*[ _])?(time|datetime|timestamp|date)|ts|epoch|unix ?time", re.IGNORECASE)
FEWEST = 3  # rows from which numbers are recognised as times
NO_TIME = "none"  # the option --time none: no column is taken for a time


class LeftOut(NamedTuple):
    """A column that is no feature.

    text: its name and the reason; empty for an empty column. time: whether it has times. numeric:
    whether it could be a feature.
    """

    position: int
    text: str
    time: bool = False
    numeric: bool = False


def recognised(
    names: Sequence[str], rows: Rows, chosen: Collection[int], times: bool
) -> list[LeftOut]:
    """The columns that a person would not take for features.

    chosen: positions of columns with a stated use. times: whether to look for times.

    >>> rows = [(2, ["1", "2024-01-01 10:00", "5"]), (3, ["2", "2024-01-01 10:05", "7"])]
    >>> [one.text for one in recognised(["id", "at", "x"], rows, (), times=True)]
    ["'id' (it counts the rows)", "'at' (timestamps)"]
    """
    found = []
    for i, name in enumerate(names):
        cells = [cells[i].strip() for _, cells in rows]
        if i in chosen:
            continue
        shown = repr(name) if name else f"column {i + 1}"
        if NAMELESS.fullmatch(name):
            some = next(filter(None, cells), "")  # separators at the ends of lines make no column
            found.append(LeftOut(i, f"{shown} (without a name, as an index)" if some else ""))
        elif INDEX.fullmatch(name) and _counts(cells):
            found.append(LeftOut(i, f"{shown} (it counts the rows)", numeric=True))
        elif times and column_kind(cells)[0] == "timestamps":
            found.append(LeftOut(i, f"{shown} (timestamps)", True))
        elif times and TIME.fullmatch(name) and _ascends(cells):
            found.append(LeftOut(i, f"{shown} (a time: it never falls)", True, True))
    return found


def out_of_order(path: str, name: str, position: int, rows: Rows) -> list[str]:
    """A warning if a row is earlier than the one before, by the times in a column; else nothing."""
    for (_, before), (line, cells) in pairwise(rows):
        if _later(_time(before[position]), _time(cells[position])):
            return [
                f"{path}: line {line} is earlier than the line before it, by column {name!r}; rows "
                "are learned in the order of the file"
            ]
    return []


def _counts(cells: Sequence[str]) -> bool:
    """Whether these are whole numbers, each one more than the one before."""
    if len(cells) < 2 or not all(cell.isdecimal() for cell in cells):
        return False
    return all(int(b) - int(a) == 1 for a, b in pairwise(cells))


def _ascends(cells: Sequence[str]) -> bool:
    values = [number(cell) for cell in cells]
    known = [value for value in values if value is not None and value == value]
    enough = len(known) == len(cells) >= FEWEST and 2 * len({*known}) > len(known)
    return enough and all(a <= b for a, b in pairwise(known))


def _time(cell: str) -> float | datetime | None:
    """A number, or a time in ISO format, as something to compare; None for anything else."""
    if (value := number(cell)) is not None:
        return value
    try:
        return datetime.fromisoformat(cell.strip())
    except ValueError:
        return None


def _later(one: float | datetime | None, other: float | datetime | None) -> bool:
    try:
        return bool(one > other)  # type: ignore[operator]
    except TypeError:  # None, a number and a date, or only one of two times has a zone
        return False
