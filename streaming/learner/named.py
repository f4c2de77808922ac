"""Samples with feature names: rows and tables of pandas, polars and pyarrow, dicts, named tuples.

None of these libraries is imported. Their objects are recognised by common attributes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rate_models.errors import BadSample

Name = str | int


def plain(value: Any) -> Any:
    """A scalar of NumPy, torch or the like as a Python scalar; anything else unchanged.

    >>> plain(np.int64(3)), plain(np.str_("a")), plain(np.array(2.5)), plain("b")
    (3, 'a', 2.5, 'b')
    """
    if type(value) in (str, int, float, bool) or getattr(value, "shape", None) != ():
        return value
    return value.item() if hasattr(value, "item") else value


def plain_names(names: Iterable[Any]) -> tuple[Name, ...]:
    """Feature names as Python strings and integers. Raises BadSample for other types."""
    converted = tuple(map(plain, names))
    for name in converted:
        if type(name) not in (str, int):
            raise BadSample("feature name", got=repr(name)[:60], expected="text or a whole number")
    return converted


def mapping_of(x: object) -> Mapping[Any, Any] | None:
    """One sample as {feature: value}; None if it has no feature names.

    A row of a DataFrame with the default columns 0, 1, 2, ... of pandas has no names.
    """
    if isinstance(x, Mapping):
        return x
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return dict(zip(x._fields, x, strict=True))
    index = getattr(x, "index", None)
    if index is None or callable(index) or not hasattr(x, "to_numpy") or np.ndim(index) != 1:
        return None
    if _numbered(index):
        return None
    values: Any = x
    names, numbers = _unique(index), np.asarray(values.to_numpy())
    if numbers.shape[:1] != (len(names),):
        got, expected = f"values of shape {numbers.shape}", f"{len(names)}, one for each name"
        raise BadSample("x", got=got, expected=expected)
    return dict(zip(names, numbers, strict=True))


class Table:
    """Rows with column names, as from a DataFrame. A slice is a table; an item is a dict."""

    def __init__(self, names: tuple[Name, ...], values: NDArray[Any]) -> None:
        self.names, self.values = names, values

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: Any) -> Any:
        if isinstance(rows, slice):
            return Table(self.names, self.values[rows])
        return dict(zip(self.names, self.values[rows], strict=True))

    def ordered(self, features: Sequence[Name]) -> Table:
        """The same table with these columns in this order; those that it lacks are NaN."""
        if tuple(features) == self.names:
            return self
        index = {name: i for i, name in enumerate(self.names)}
        if index.keys() >= {*features}:
            return Table(tuple(features), self.values[:, [index[name] for name in features]])
        kind = object if self.values.dtype.kind == "O" else np.float64
        values = np.full((len(self), len(features)), np.nan, kind)
        for i, name in enumerate(features):
            if name in index:
                values[:, i] = self.values[:, index[name]]
        return Table(tuple(features), values)


def table_of(X: object) -> Table | None:
    """A DataFrame of pandas or polars, or a table of pyarrow; None for anything else.

    The default columns 0, 1, 2, ... of pandas are not names: then the result is None too.
    """
    columns = getattr(X, "column_names", None)
    columns = getattr(X, "columns", None) if columns is None else columns
    if columns is None or callable(columns) or isinstance(X, np.ndarray | Mapping):
        return None
    if not (hasattr(X, "to_numpy") or hasattr(X, "__array__")) or np.ndim(columns) != 1:
        return None
    if _numbered(columns):
        return None
    frame: Any = X
    values = frame.to_numpy() if hasattr(frame, "to_numpy") else np.asarray(frame)
    return Table(_unique(columns), values)


def one_column(y: object) -> object:
    """The column of a DataFrame that has only one; anything else unchanged."""
    table = table_of(y)
    return table.values[:, 0] if table is not None and len(table.names) == 1 else y


def same_rows(X: object, y: object) -> None:
    """Raise BadSample if X and y of pandas have the same rows in a different order."""
    of_X: Any = getattr(X, "index", None)
    of_y: Any = getattr(y, "index", None)
    if not (hasattr(of_X, "equals") and hasattr(of_y, "equals")) or of_X.equals(of_y):
        return
    if len(of_X) == len(of_y) and of_X.sort_values().equals(of_y.sort_values()):
        raise BadSample(
            "X and y",
            got="the same rows in another order: their indices differ",
            expected="as many rows, in one order",
            remedy="y = y.loc[X.index]",
        )


def _unique(names: Iterable[Any]) -> tuple[Name, ...]:
    """Feature names. Raises BadSample if a name occurs twice."""
    known = plain_names(names)
    if len(set(known)) != len(known):
        twice = next(name for name in known if known.count(name) > 1)
        raise BadSample("x", got=f"two features called {twice!r}", expected="a name for each")
    return known


def _numbered(names: Any) -> bool:
    """Whether these are the default numbers of rows or columns in pandas."""
    return type(names).__name__ == "RangeIndex" and list(names[:1]) in ([], [0])
