"""Checks of samples and labels at the entry of the learner: they become arrays or one error."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rate_models.errors import BadOption, BadSample
from streaming.learner.as_numbers import (
    as_float,
    is_absent,
    is_scalar,
    misshapen,
    numbers,
    short,
    within,
)
from streaming.learner.inputs import Features
from streaming.learner.labels import Label, each, labels_of, listed, new_label
from streaming.learner.named import Name, Table, mapping_of, plain, table_of

Array = NDArray[Any]

# Squares of inputs must stay finite, in the running scaling as in the network.
LARGEST = {"float64": 1e100, "float32": 1e18}
PLAIN = frozenset((int, float))  # numbers in the list or the dict of a sample
NUMERIC = frozenset("?bBhHiIlLqQefd")  # types of arrays that float64 has room for


class Checked(NamedTuple):
    """The good ones of N samples: X (m, n_0) float64 with their truth.

    good: which of the rows handed in these are, (N,) bool. bad: what is wrong with the first
    that is not, or None. known: how many of the classes were known before; None: all.
    """

    X: NDArray[np.float64]
    truth: Array
    good: NDArray[np.bool_]
    bad: BadSample | None
    known: int | None = None


class EntryChecks:
    """Checks and converts samples of one shape. Raises BadSample for those that it refuses.

    classes: labels in the order of the output units, None for regression.
    features: names in the order of the inputs, None until a sample came as a dict.
    gaps: whether NaN, None and an absent feature are missing values; else they are bad.
    new_classes, new_features: whether samples may bring labels and features that are not known
    yet, see `with_news`. Units without a label or name are there for the next ones.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        classes: tuple[Label, ...] | None,
        dtype: str,
        features: tuple[Name, ...] | None = None,
        *,
        gaps: bool = False,
        new_classes: bool = False,
        new_features: bool = False,
    ) -> None:
        self.classes, self.n_outputs, self._limit = classes, sizes[-1], LARGEST[dtype]
        self.gaps, self.new_classes = gaps, new_classes
        self._names = Features(sizes[0], features, gaps=gaps, new=new_features)
        self._index = {label: i for i, label in enumerate(classes or ())}

    @property
    def features(self) -> tuple[Name, ...] | None:
        """The names of the features in the order of the inputs; None before they are known."""
        return self._names.names

    @property
    def n_features(self) -> int:
        """The number of features."""
        return self._names.size

    @property
    def new_features(self) -> bool:
        """Whether samples may bring new features."""
        return self._names.new

    @property
    def grows(self) -> bool:
        """Whether samples may bring new labels or features."""
        return self.new_classes or self._names.new

    def until_news(self, X: Any, y: Any) -> int:
        """The number of leading rows that bring no new label and no new feature."""
        names = self._names
        if names.new and isinstance(X, Table) and names.unknown(X.names):
            return 0
        named = names.new and isinstance(X, list | tuple)
        for i, label in enumerate(y.tolist() if isinstance(y, np.ndarray) else y):
            if self.new_classes and self.code(label) < 0 and new_label(label) is not None:
                return i
            if named and (x := mapping_of(X[i])) is not None and names.unknown(x):
                return i
        return len(y)

    def with_news(self, X: Any, y: Any) -> EntryChecks:
        """Checks that also admit the label and the features of the only row of X and y."""
        other = copy.copy(self)
        given = X.names if isinstance(X, Table) else mapping_of(X[0])
        if self._names.new and given is not None:
            other._names = self._names.with_new(given)
        if self.new_classes and self.code(y[0]) < 0 and (label := new_label(y[0])) is not None:
            other._take_classes((*(self.classes or ()), label))
        return other

    def _take_classes(self, classes: tuple[Label, ...]) -> None:
        self.classes, self.n_outputs = classes, max(self.n_outputs, len(classes))
        self._index = {label: i for i, label in enumerate(classes)}

    def sample(self, x: object) -> NDArray[np.float64]:
        """One sample as a fresh (n_0,) vector; one with names fixes the order of the features."""
        if type(x) is np.ndarray:
            return self._vector("x", x, self.n_features, gaps=self.gaps)
        if (named := mapping_of(x)) is None:
            if (table := table_of(x)) is not None:
                raise BadSample(
                    "x",
                    got=f"a table of {len(table)} rows",
                    expected="one sample",
                    remedy="take a row of it, or learn_many or predict_many",
                )
            return self._vector("x", x, self.n_features, gaps=self.gaps)
        names = self._names.of(named)
        values = [named.get(name, np.nan) for name in names]
        vector = self._vector("x", values, len(names), names, self.gaps)
        if self._names.new:
            return np.pad(vector, (0, self.n_features - len(names)))
        return vector if self._names.settle(names) else self.sample(x)

    def plain_sample(self, x: object) -> Array | None:
        """One sample as a fresh (n_0,) vector, the same numbers as `sample` gives; or None.

        It takes arrays, lists and dicts of numbers, once the names of the features are known, and
        is fast. None: the sample is of another kind, or it is bad; `sample` raises the error.
        """
        if type(x) is dict:
            names = self._names.names
            if names is None or not len(x) == len(names) == self._names.size:
                return None
            try:
                x = [x[name] for name in names]
            except Exception:  # KeyError, or whatever a foreign key raises when it is compared
                return None
        if type(x) is list:
            usual = len(x) == self._names.size and PLAIN.issuperset(map(type, x))
        else:
            usual = type(x) is np.ndarray and (
                x.shape == (self._names.size,) and x.dtype.char in NUMERIC
            )
        if not usual:
            return None
        try:
            vector = np.array(x, np.float64)
        except OverflowError:  # a whole number beyond all floats
            return None
        return vector if within(vector, self._limit) else None

    def take(self, features: Sequence[Any] | None, labels: Sequence[Any] | None) -> None:
        """The known features and classes of a checkpoint; BadOption where they cannot be."""
        self._names.restore(features)
        if not self.new_classes:
            return
        if labels is None or len(labels) > self.n_outputs:
            got = "none" if labels is None else f"{len(labels)}"
            raise BadOption("labels", got=got, expected=f"{self.n_outputs} at most")
        self._take_classes(labels_of(labels, len(labels)))

    def truth(self, y: object) -> Any:
        """The class index of a label, or a regression target as a fresh (n_L,) vector."""
        if self.classes is None:
            if y is None:
                raise BadSample("y", got="nothing", expected=f"{self.n_outputs} numbers")
            y = plain(y)
            if self.n_outputs == 1 and not isinstance(y, Sequence) and is_scalar(y):
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

    def check(self, X: Any, y: Any, *, to_first: bool, score: bool = False) -> Checked:
        """Several samples at once; ``to_first``: rows from the first bad one on are left out.

        score: all labels that are not known yet get the index after the last class, if samples may
        bring new ones.
        X and y are arrays or lists of the same length, as `pair` leaves them.
        """
        n = len(y)
        if self.classes is not None:
            truth: Array = each(self.code, y)
            if score and self.new_classes:
                new = [i for i in np.flatnonzero(truth < 0) if new_label(plain(y[i])) is not None]
                truth[new] = len(self.classes)
            good = truth >= 0
        else:
            truth, good = self._table(y, self.n_outputs, np.ones(n, np.bool_), to_first, self.truth)
        table, good = self._table(X, self.n_features, good, to_first, self.sample, self.gaps)
        if good.all():
            return Checked(table, truth, good, None)
        first = int(np.argmin(good))
        if to_first:
            good[first:] = False
        return Checked(table[good], truth[good], good, self._refusal(X[first], y[first]))

    def rows(self, X: Any, number: int) -> NDArray[np.float64]:
        """Rows without truth, (N, n_0); the message counts rows from ``number`` on."""
        good = np.ones(len(X), np.bool_)
        table, good = self._table(X, self.n_features, good, True, self.sample, self.gaps)
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
        one: Callable[[object], Array], gaps: bool = False,
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:  # fmt: skip
        """The rows (N, width) and which of those marked good still are; gaps: whether NaN is."""
        names = self._names.of(rows.names) if isinstance(rows, Table) else None
        if names is not None:
            ordered = rows.ordered(names)
            if ordered.values.dtype.kind in "biuf":
                how = to_first, one, gaps
                table, fine = self._table(ordered.values, len(names), good, *how)
                if self._names.new:
                    return np.pad(table, ((0, 0), (0, width - len(names)))), fine
                if fine.any() and not self._names.settle(names):
                    return self._table(rows, width, good, *how)
                return table, fine
            rows = ordered
        if isinstance(rows, np.ndarray) and rows.dtype.kind in "biuf":
            if rows.ndim == 1 and width == 1:
                rows = rows[:, None]
            if rows.shape[1:] == (width,):
                table = as_float(rows)
                if table.size and -self._limit <= table.min() and table.max() <= self._limit:
                    return table, good  # NaN is on neither side
                fine = np.abs(table) <= self._limit
                return table, good & (fine | np.isnan(table) if gaps else fine).all(axis=1)
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
        self,
        where: str,
        value: object,
        width: int,
        names: tuple[Name, ...] | None = None,
        gaps: bool = False,
    ) -> NDArray[np.float64]:
        def name(i: int) -> str:
            return f"feature {names[i]!r}" if names else f"{where}[{i}]"

        given = getattr(value, "shape", ())
        if isinstance(given, tuple) and given and given != (width,):  # before a copy is made of it
            raise misshapen(where, given, width)
        if gaps and isinstance(value, list | tuple):
            value = [np.nan if is_absent(one) else one for one in value]
        vector = numbers(where, value, name)
        if vector.shape != (width,):
            raise misshapen(where, vector.shape, width)
        fine = np.abs(vector) <= self._limit
        if gaps:
            fine |= np.isnan(vector)
        if not fine.all():
            i = int(np.argmin(fine))
            raise BadSample(
                name(i),
                got=vector[i],
                expected=f"a finite number, at most {self._limit:g} in size",
                remedy="fill it in (NaN: missing='mean') or leave the sample out (on_bad='skip')",
            )
        return vector
