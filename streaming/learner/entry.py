"""Checks of samples and labels at the entry of the learner: they become arrays or one error."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rate_models.compiler.kernel import kernel
from rate_models.errors import BadOption, BadSample
from streaming.learner.as_numbers import as_float, numbers, short
from streaming.learner.labels import Label, listed
from streaming.learner.named import (
    Table,
    mapping_of,
    plain,
    plain_names,
    table_of,
)

Array = NDArray[Any]

# Squares of inputs must stay finite, in the running scaling as in the network.
LARGEST = {"float64": 1e100, "float32": 1e18}
PLAIN = frozenset((int, float))  # numbers in the list or the dict of a sample
NUMERIC = frozenset("?bBhHiIlLqQefd")  # types of arrays that float64 has room for
_FIRST = threading.Lock()


class Checked(NamedTuple):
    """The good ones of N samples: X (m, n_0) float64 with their truth.

    truth: class indices (m,) or targets (m, n_L).
    good (N,): which of the samples they are. bad: the error of the first other sample, or None.
    """

    X: NDArray[np.float64]
    truth: Array
    good: NDArray[np.bool_]
    bad: BadSample | None


class EntryChecks:
    """Checks and converts samples of one shape. Raises BadSample for those that it refuses.

    classes: labels in the order of the output units, None for regression.
    features: names in the order of the inputs, None until a sample came as a dict.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        classes: tuple[Label, ...] | None,
        dtype: str,
        features: tuple[str | int, ...] | None = None,
    ) -> None:
        self.n_features, self.n_outputs = sizes[0], sizes[-1]
        self.classes, self.features, self._limit = classes, features, LARGEST[dtype]
        self._index = {label: i for i, label in enumerate(classes or ())}

    def sample(self, x: object) -> NDArray[np.float64]:
        """One sample as a fresh (n_0,) vector; one with names fixes the order of the features."""
        if type(x) is np.ndarray:
            return self._vector("x", x, self.n_features)
        if (named := mapping_of(x)) is None:
            if (table := table_of(x)) is not None:
                raise BadSample(
                    "x",
                    got=f"a table of {len(table)} rows",
                    expected="one sample",
                    remedy="take a row of it, or learn_many or predict_many",
                )
            return self._vector("x", x, self.n_features)
        x, names = named, self._names(named)
        vector = self._vector("x", [x[name] for name in names], self.n_features, names)
        return vector if self._settled(names) else self.sample(x)

    def plain_sample(self, x: object) -> Array | None:
        """One sample as a fresh (n_0,) vector, the same numbers as `sample` gives; or None.

        It takes arrays, lists and dicts of numbers, once the names of the features are known, and
        is fast. None: the sample is of another kind, or it is bad; `sample` raises the error.
        """
        if type(x) is dict:
            names = self.features
            if names is None or len(x) != len(names):
                return None
            try:
                x = [x[name] for name in names]
            except Exception:  # KeyError, or whatever a foreign key raises when it is compared
                return None
        if type(x) is list:
            usual = len(x) == self.n_features and PLAIN.issuperset(map(type, x))
        else:
            usual = type(x) is np.ndarray and (
                x.shape == (self.n_features,) and x.dtype.char in NUMERIC
            )
        if not usual:
            return None
        try:
            vector = np.array(x, np.float64)
        except OverflowError:  # a whole number beyond all floats
            return None
        return vector if _within(vector, self._limit) else None

    def _settled(self, names: tuple[str | int, ...]) -> bool:
        """Whether these are the features, in this order; of two threads with the first sample one
        decides.
        """
        with _FIRST:
            if self.features is None:
                self.features = names
        return self.features == names

    def _names(self, given: Mapping[Any, Any] | Sequence[Any]) -> tuple[str | int, ...]:
        """The names of the features in their order; BadSample where these are others."""
        names = plain_names(given) if self.features is None else self.features
        if len(names) != self.n_features or len(given) != len(names) or set(names) != {*given}:
            raise self._other_features(names, given)
        return names

    def _other_features(
        self, names: tuple[str | int, ...], given: Mapping[Any, Any] | Sequence[Any]
    ) -> BadSample:
        """The error for a sample that has not exactly these features."""
        missing = [n for n in names if n not in given]
        unknown = [plain(n) for n in given if n not in names]
        wrong = [("missing", missing), ("unknown", unknown)]
        listing = "; ".join(f"{what} {listed(which)}" for what, which in wrong if which)
        expected = f"{self.n_features} features"
        return BadSample(
            "x",
            got=listing or f"{len(given)} features",
            expected=f"these {expected}: {listed(names)}" if listing else expected,
            remedy="give every sample the same features",
        )

    def take_features(self, names: Sequence[Any] | None) -> None:
        """Features in the order of a checkpoint; BadOption where they cannot be."""
        if names is not None:
            kinds = {type(name) for name in names}
            if (
                len(set(names)) != self.n_features
                or len(names) != self.n_features
                or not (kinds <= {str, int})
            ):
                expected = f"{self.n_features} different names"
                raise BadOption("features", got=listed(names), expected=expected)
        self.features = None if names is None else tuple(names)

    def truth(self, y: object) -> Any:
        """The class index of a label, or a regression target as a fresh (n_L,) vector."""
        if self.classes is None:
            if y is None:
                raise BadSample("y", got="nothing", expected=f"{self.n_outputs} numbers")
            y = plain(y)
            if self.n_outputs == 1 and not isinstance(y, Sequence) and _is_scalar(y):
                y = [y]
            return self._vector("y", y, self.n_outputs)
        index = self.code(y)
        if index < 0:
            absent = y is None or (isinstance(y, float | np.floating) and np.isnan(y))
            raise BadSample(
                "label",
                got="nothing" if absent else short(y),
                expected=f"one of {listed(self.classes)}",
                remedy="leave out samples without a label" if absent else "",
            )
        return index

    def check(self, X: Any, y: Any, *, to_first: bool) -> Checked:
        """Several samples at once; ``to_first``: rows from the first bad one on are left out.

        X and y are arrays or lists of the same length, as `pair` leaves them.
        """
        n = len(y)
        if self.classes is not None:
            labels = y.tolist() if isinstance(y, np.ndarray) else y
            truth: Array = np.array([self.code(label) for label in labels], np.int64)
            good = truth >= 0
        else:
            truth, good = self._table(y, self.n_outputs, np.ones(n, np.bool_), to_first, self.truth)
        table, good = self._table(X, self.n_features, good, to_first, self.sample)
        if good.all():
            return Checked(table, truth, good, None)
        first = int(np.argmin(good))
        if to_first:
            good[first:] = False
        return Checked(table[good], truth[good], good, self._refusal(X[first], y[first]))

    def rows(self, X: Any, number: int) -> NDArray[np.float64]:
        """Rows without truth, (N, n_0); the message counts rows from ``number`` on."""
        table, good = self._table(X, self.n_features, np.ones(len(X), np.bool_), True, self.sample)
        if not good.all():
            first = int(np.argmin(good))
            try:
                self.sample(X[first])
            except BadSample as error:
                raise BadSample(f"row {number + first}: {error}") from None
        return table

    def _refusal(self, x: object, y: object) -> BadSample:
        try:
            self.truth(y)
            self.sample(x)
        except BadSample as error:
            return error
        raise AssertionError("the table and the row disagree")

    def code(self, label: Any) -> int:
        """The class index of a label, -1 for what is none."""
        try:  # NumPy scalars and whole floats too: they have the hash of the number
            return self._index.get(plain(label), -1)
        except Exception:  # no hash, or whatever a foreign object raises
            return -1

    def _table(
        self, rows: Any, width: int, good: NDArray[np.bool_], to_first: bool,
        one: Callable[[object], Array],
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:  # fmt: skip
        """The rows (N, width) and which of those marked good still are."""
        names = self._names(rows.names) if isinstance(rows, Table) else None
        if names is not None:
            ordered = rows.ordered(names)
            if ordered.values.dtype.kind in "biuf":
                table, fine = self._table(ordered.values, width, good, to_first, one)
                if fine.any() and not self._settled(names):
                    return self._table(rows, width, good, to_first, one)
                return table, fine
            rows = ordered
        if isinstance(rows, np.ndarray) and rows.dtype.kind in "biuf":
            if rows.ndim == 1 and width == 1:
                rows = rows[:, None]
            if rows.shape[1:] == (width,):
                table = as_float(rows)
                if table.size and -self._limit <= table.min() and table.max() <= self._limit:
                    return table, good  # NaN is on neither side
                return table, good & (np.abs(table) <= self._limit).all(axis=1)
            return np.broadcast_to(0.0, (len(rows), width)), np.zeros(len(rows), np.bool_)
        table, good = np.zeros((len(rows), width)), good.copy()
        for i, row in enumerate(rows):
            if good[i]:
                try:
                    table[i] = one(row)
                except BadSample:
                    good[i] = False
            if to_first and not good[i]:
                break
        return table, good

    def _vector(
        self, where: str, value: object, width: int, names: tuple[str | int, ...] | None = None
    ) -> NDArray[np.float64]:
        def name(i: int) -> str:
            return f"feature {names[i]!r}" if names else f"{where}[{i}]"

        given = getattr(value, "shape", ())
        if isinstance(given, tuple) and given and given != (width,):  # before a copy is made of it
            raise _misshapen(where, given, width)
        vector = numbers(where, value, name)
        if vector.shape != (width,):
            raise _misshapen(where, vector.shape, width)
        fine = np.abs(vector) <= self._limit
        if not fine.all():
            i = int(np.argmin(fine))
            raise BadSample(
                name(i),
                got=vector[i],
                expected=f"a finite number, at most {self._limit:g} in size",
                remedy="fill it in or leave the sample out (on_bad='skip')",
            )
        return vector


@kernel
def _within(vector: Array, limit: float) -> bool:
    """Whether no number is larger in size than ``limit``, or NaN."""
    fine = 0
    for i in range(vector.size):
        fine += abs(vector[i]) <= limit
    return bool(fine == vector.size)


def _is_scalar(y: object) -> bool:
    try:
        return np.ndim(y) == 0  # type: ignore[arg-type]
    except Exception:  # as in `numbers`
        return False


def _misshapen(where: str, shape: tuple[Any, ...], width: int) -> BadSample:
    size = math.prod(shape) if all(isinstance(n, int) for n in shape) else 0
    return BadSample(
        where,
        got=f"shape {tuple(shape)}",
        expected=f"shape ({width},)",
        remedy="flatten it" if size == width else "",
    )
