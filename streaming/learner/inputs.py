"""Conversion of samples, labels and random draws to arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rate_models.errors import BadOption, BadSample, quoted
from rate_models.support.arguments import elements
from streaming.learner.as_numbers import as_float, on_the_host, short
from streaming.learner.named import Table, one_column, same_rows, table_of

Array = NDArray[Any]


def several(what: str, rows: Any) -> Any:
    """Samples as an array, a table or a list that can be sliced. Masked entries become NaN."""
    if isinstance(rows, list | tuple):
        return rows
    if type(rows) is not np.ndarray:
        rows = on_the_host(rows)
        if (table := table_of(rows)) is not None:
            return table
    if isinstance(rows, np.ma.MaskedArray) and rows.dtype.kind in "biuf" and rows.ndim:
        return as_float(rows)
    try:
        array = np.asarray(rows)
    except Exception as problem:  # as in `numbers`
        raise BadSample(what, got=short(rows), expected="an array or a list") from problem
    if array.ndim == 0:
        raise BadSample(what, got=short(rows), expected="an array or a list, one row a sample")
    return array


def pair(X: Any, y: Any) -> tuple[Any, Any]:
    """X and y as arrays, tables or lists. Raises BadSample unless their lengths are equal."""
    same_rows(X, y)
    X, y = several("X", X), several("y", one_column(y))
    y = y.values if isinstance(y, Table) else y
    if len(X) != len(y):
        raise BadSample("X and y", got=f"{len(X)} and {len(y)} rows", expected="as many")
    return X, y


def draws(
    what: str, given: Sequence[ArrayLike] | None, widths: Sequence[int], n: int
) -> list[Array] | None:
    """Given masks or noise, each of shape (width,) or (n, width), as (n, width) arrays."""
    if given is None:
        return None
    expected = f"{len(widths)} arrays of numbers, of shapes {[(n, width) for width in widths]}"
    parts = elements(what, given, expected)
    if len(parts) != len(widths):
        raise BadOption(what, got=f"{len(parts)} arrays", expected=f"{len(widths)}")
    try:
        return [
            np.broadcast_to(np.asarray(part, np.float64), (n, width))
            for part, width in zip(parts, widths, strict=True)
        ]
    except Exception:  # conversion of a foreign object can raise anything
        raise BadOption(what, got=quoted(given), expected=expected) from None
