"""The fast reader for lines of a table without quotes, missing cells or other peculiarities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streaming.tables.columns import Columns


def plain_rows(
    lines: Sequence[str], sep: str, columns: Columns
) -> tuple[NDArray[np.float64], list[str]] | None:
    """Features (n, features) and label texts of lines, read by NumPy.

    None if any line needs a slower reader: it has cells that are no finite numbers in ASCII, or
    another number of cells than the table.
    """
    last = len(columns.names) - 1
    if not all(map(str.isascii, lines)) or {line.count(sep) for line in lines} != {last}:
        return None
    try:
        values = np.loadtxt(lines, delimiter=sep, usecols=columns.features, comments=None, ndmin=2)
    except ValueError:
        return None
    if not np.isfinite(values).all():
        return None
    label = columns.label
    if label == last:
        return values, [line[line.rindex(sep) + 1 :].strip() for line in lines]
    return values, [line.split(sep, label + 1)[label].strip() for line in lines]
