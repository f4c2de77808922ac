"""Cells as numbers: exactly ``float(text)`` for numbers in ASCII; anything else is refused."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Texts that pandas, R, Excel, SAS and the UCI files write for a missing value.
MISSING = frozenset(
    {"", "NA", "N/A", "n/a", "<NA>", "#N/A", "#NA", "NaN", "nan", "NAN", "-nan", "-NaN"}
    | {"NULL", "null", "Null", "None", "NaT", "?", "-", "."}
)
NUMBER = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*", re.ASCII)
TRUTH = {"True": 1.0, "False": 0.0, "TRUE": 1.0, "FALSE": 0.0, "true": 1.0, "false": 0.0}
_WORDS = dict.fromkeys(MISSING, "nan") | {text: str(value) for text, value in TRUTH.items()}


def number(text: str, decimal: str = ".") -> float | None:
    """The number in a cell; NaN for a missing cell, None for anything but a finite ASCII number.

    >>> number(" 1e3"), number("?"), number("1_000"), number("inf"), number("1,5", ",")
    (1000.0, nan, None, None, 1.5)
    """
    if text.strip() in MISSING:
        return np.nan
    if decimal != ".":
        text = "" if "." in text else text.replace(decimal, ".")
    if not NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if np.isfinite(value) else None


def feature(text: str, decimal: str = ".") -> float | None:
    """As `number`, with True and False in their usual spellings as 1 and 0.

    >>> feature("True"), feature("1e-3"), feature("yes")
    (1.0, 0.001, None)
    """
    value = TRUTH.get(text.strip())
    return number(text, decimal) if value is None else value


def numbers(cells: Sequence[str], decimal: str = ".") -> NDArray[np.float64] | None:
    """All cells as `feature` parses them, (n,); None if some may not be numbers.

    >>> numbers(["1", "", "2.5"])
    array([1. , nan, 2.5])
    """
    text = "".join(cells)
    if not text.isascii() or "_" in text:
        return None
    if decimal != ".":
        if "." in text:
            return None
        cells = [cell.replace(decimal, ".") for cell in cells]
    try:
        values = _floats(cells)
    except ValueError:
        try:
            values = _floats([_WORDS.get(cell, cell) for cell in cells])
        except ValueError:
            return None
    return None if np.isinf(values).any() else values


def _floats(cells: Sequence[str]) -> NDArray[np.float64]:
    return np.fromiter(map(float, cells), np.float64, len(cells))


def column_kind(cells: Sequence[str], decimal: str = ".") -> tuple[str, str]:
    """The kind of a column, "" for numbers, and an example of a cell that is no number.

    A column has numbers unless more than half of its cells, of two at least, are something else.

    >>> column_kind(["2020-01-02", "2020-01-03"])
    ('timestamps', '2020-01-02')
    >>> column_kind(["1,5", "2,25"]), column_kind(["", "1.5"]), column_kind(["", "NA"])
    (('decimal commas', '1,5'), ('', ''), ('nothing', ''))
    """
    known = [cell.strip() for cell in cells if cell.strip() not in MISSING]
    if not known:
        return ("nothing", "") if len(cells) > 1 else ("", "")
    odd = [cell for cell in known if feature(cell, decimal) is None and not INFINITE(cell)]
    if len(cells) < 2 or 2 * len(odd) <= len(known):
        return "", ""
    for kind, form in _KINDS.items():
        if sum(bool(form.fullmatch(cell)) for cell in odd) * 2 > len(odd):
            return kind, odd[0]
    return "text", odd[0]


INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE).fullmatch
_KINDS: dict[str, re.Pattern[Any]] = {
    "timestamps": re.compile(
        r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}.*|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}.*|\d{1,2}:\d{2}.*"
    ),
    "numbers with thousands separators": re.compile(r"[+-]?\d{1,3}([,.' ]\d{3})+([.,]\d+)?"),
    "decimal commas": re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?"),
}
