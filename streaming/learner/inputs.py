"""Conversion of samples, labels and random draws to arrays; the names of features."""

from __future__ import annotations

import copy
import threading
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rate_models.errors import BadOption, BadSample, quoted
from rate_models.support.arguments import elements
from streaming.learner.as_numbers import as_float, on_the_host, short
from streaming.learner.labels import listed
from streaming.learner.named import (
    Name,
    Table,
    one_column,
    plain,
    plain_names,
    same_rows,
    table_of,
)

Array = NDArray[Any]
_FIRST = threading.Lock()


class Features:
    """The names of the features, in the order of the inputs of a network.

    size: how many features there are. names: None until a sample with names came. gaps: whether a
    sample may lack features. new: whether features may be new; then ``names`` may have fewer than
    ``size``, and the others have no name yet.
    """

    def __init__(
        self, size: int, names: tuple[Name, ...] | None, *, gaps: bool = False, new: bool = False
    ) -> None:
        self.size, self.names, self.gaps, self.new = size, names, gaps, new

    def of(self, given: Collection[Any]) -> tuple[Name, ...]:
        """The names in their order, for a sample with those given.

        Raises BadSample if it lacks features, or has others, and may not.
        """
        names = self.names
        if names is None or self.new:
            valid = plain_names(given)
            names = (names or ()) if self.new else valid
        complete = self.new or len(names) == self.size
        if complete and len(given) == len(names) and set(names) == {*given}:
            return names
        missing = [name for name in names if name not in given]
        more = [plain(name) for name in given if name not in names]
        if complete and (self.gaps or not missing) and (self.new or not more):
            return names
        both = ("missing", missing), ("unknown", more)
        got = "; ".join(f"{what} {listed(of)}" for what, of in both if of)
        expected = f"these {self.size} features: {listed(names)}"
        raise BadSample(
            "x",
            got=got or f"{len(given)} features",
            expected=expected if got else f"{self.size} features",
            remedy="give every sample the same features",
        )

    def settle(self, names: tuple[Name, ...]) -> bool:
        """Fix the names, unless they are fixed; returns whether they are these, in this order.

        Of two threads with the first sample one decides.
        """
        with _FIRST:
            if self.names is None:
                self.names = names
        return self.names == names

    def unknown(self, given: Iterable[Any]) -> list[Name]:
        """Those of the given names that are not known yet; none if some of them cannot be names."""
        known = {*(self.names or ())}
        try:
            return [name for name in plain_names(given) if name not in known]
        except BadSample:  # it is refused later
            return []

    def with_new(self, given: Iterable[Any]) -> Features:
        """These features, and those given that are unknown, as many as needed.

        Features that are new at the same time are sorted, so that the order of the keys of a dict
        does not matter.
        """
        names = sorted(self.unknown(given), key=lambda name: (isinstance(name, str), name))
        other = copy.copy(self)
        if names:
            other.names = (*(self.names or ()), *names)
            other.size = max(self.size, len(other.names))
        return other

    def restore(self, names: Sequence[Any] | None) -> None:
        """Take names in the order of a checkpoint; BadOption where they cannot be."""
        if names is not None:
            kinds = {type(name) for name in names}
            fits = len(names) == self.size or (self.new and len(names) < self.size)
            if not fits or len(set(names)) != len(names) or not kinds <= {str, int}:
                expected = f"{self.size} different names"
                raise BadOption("features", got=listed(names), expected=expected)
        self.names = None if names is None else tuple(names)


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
