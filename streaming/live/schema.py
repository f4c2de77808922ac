"""What the samples of a live stream look like: features, classes, largest numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streaming.tables.numbers import number

LARGEST = 1e18  # squares of inputs stay finite in single precision
MOST_CLASSES, LONGEST = 1000, 200  # classes that can appear in a stream; characters of their labels
WHOLE = re.compile(r"(0|-?[1-9]\d{0,17})(?:\.0)?", re.ASCII)  # as a program may write it


class Malformed(Exception):
    """A message that is no sample; the text has the reason."""


@dataclass
class Schema:
    """The form of a sample. classes: its possible labels, in order; None for numbers to predict.

    names: of the features, for messages that name them; empty if they are in a fixed order.
    grows: whether a label that is not among the classes becomes one.
    """

    n_features: int
    classes: tuple[Any, ...] | None
    names: tuple[str, ...] = ()
    grows: bool = False
    _index: dict[Any, int] = field(default_factory=dict)
    _texts: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for i, label in enumerate(self.classes or ()):
            self._add(label, i)

    @property
    def y_type(self) -> type[Any]:
        """The type of the array of labels in a `Batch`."""
        return np.float64 if self.classes is None else np.int64

    @property
    def no_label(self) -> float:
        """What stands for a label that is not known."""
        return math.nan if self.classes is None else -1

    def label(self, value: object) -> float:
        """The class index of a label, or the number to predict. Raises Malformed."""
        if self.classes is None:
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise Malformed(f"got {_short(value)} as the number to predict")
            return self._number(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, str | int | bool) and type(value) is not float:
            index = self._index.get(value)
            if index is None or type(self.classes[index]) is not type(value):
                index = self._texts.get(value) if isinstance(value, str) else None
            return self._appeared(value) if index is None else index
        raise Malformed(f"got the label {_short(value)}; expected {self._listed()}")

    def label_text(self, text: str) -> float:
        """As `label`, for a cell of a table."""
        if self.classes is None:
            try:
                return self._number(float(text))
            except ValueError:
                raise Malformed(f"got {_short(text)} as the number to predict") from None
        index = self._texts.get(text)
        return self._appeared(text) if index is None else index

    def label_texts(self, texts: Sequence[str]) -> NDArray[Any] | None:
        """`label_text` of several cells, -1 or NaN for empty ones; None if any is malformed."""
        try:
            if self.classes is None:
                values = np.array([float(text) if text else math.nan for text in texts])
                given = values[~np.isnan(values)]
                fine = len(given) == sum(map(bool, texts)) and (np.abs(given) <= LARGEST).all()
                return values if fine else None
            index = self._texts
            return np.array([index[text] if text else -1 for text in texts], np.int64)
        except (KeyError, ValueError):
            return None

    def admit(self, labels: Sequence[Any]) -> None:
        """Add labels that are not known yet to the classes."""
        for label in labels:
            if label not in self._index:
                self._add(label, len(self.classes or ()))
                self.classes = (*(self.classes or ()), label)

    def _add(self, label: Any, index: int) -> None:
        self._index[label] = index
        self._texts.setdefault(str(label), index)
        if type(label) is int:  # as pandas writes whole numbers in a column with gaps
            self._texts.setdefault(f"{label}.0", index)

    def _appeared(self, value: str | int | bool) -> int:
        """The index of a label that is not among the classes yet. Raises Malformed.

        A text that is a whole number is that number, as the labels of tables are.
        """
        label = value
        if self.grows and isinstance(value, str):
            amount = number(value)
            if match := WHOLE.fullmatch(value):
                label = int(match[1])
            elif len(value) > LONGEST or (amount is not None and not amount.is_integer()):
                raise Malformed(f"got the label {_short(value)}; expected a short text or a whole "
                                "number, or a label named by --labels")  # fmt: skip
        known = len(self.classes or ())
        same = label in self._index  # such as True beside 1
        huge = isinstance(label, int) and abs(label) >= 2**63
        if not self.grows or same or huge or known >= MOST_CLASSES:
            raise Malformed(f"got the label {_short(value)}; expected {self._listed()}")
        self.admit([label])
        return known

    def check(self, x: NDArray[np.float64]) -> None:
        """Raise Malformed unless x (n_features,) is a finite sample of this form."""
        if x.shape != (self.n_features,):
            raise Malformed(f"got {x.size} features; expected {self.n_features}")
        if not (np.abs(x) <= LARGEST).all():
            raise Malformed(f"got a feature that is NaN or above {LARGEST:g}")

    def good(self, X: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which rows of X (n, n_features) `check` accepts, (n,)."""
        good: NDArray[np.bool_] = np.all(np.abs(X) <= LARGEST, axis=1)
        return good

    def _number(self, value: float) -> float:
        if (isinstance(value, int) and abs(value) > LARGEST) or not abs(value) <= LARGEST:
            raise Malformed(f"got {_short(value)}; expected a finite number")
        return float(value)

    def _listed(self) -> str:
        labels = self.classes or ()
        if self.grows and len(labels) < MOST_CLASSES:
            return "a text or a whole number"
        if self.grows:
            return f"one of the {len(labels):,} so far, the most that can appear"
        return "one of " + ", ".join(map(str, labels[:20])) + (", ..." if len(labels) > 20 else "")


def _short(value: object) -> str:
    text = repr(value)[:60] if not isinstance(value, int) or abs(value) < 2**63 else "a huge number"
    return text
