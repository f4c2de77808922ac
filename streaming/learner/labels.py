"""Labels of the output units, and their text in messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rate_models.errors import BadOption
from rate_models.support.arguments import elements
from streaming.learner.as_numbers import short
from streaming.learner.named import plain

Array = NDArray[Any]
Label = str | int | bool
SHOWN = 10  # the largest number of labels or names in a message


def labels_of(classes: Sequence[Any] | None, n_outputs: int) -> tuple[Label, ...]:
    """The label of each output unit, as plain Python values. Raises BadOption for other values."""
    if classes is None:
        return tuple(range(n_outputs))
    expected = f"{n_outputs} labels, one for each output unit"
    labels = [plain(c) for c in elements("classes", classes, expected)]
    labels = [int(c) if isinstance(c, float) and c.is_integer() else c for c in labels]
    if odd := [c for c in labels if type(c) not in (str, int, bool)]:
        raise BadOption("classes", got=short(odd[0]), expected="texts, whole numbers or booleans")
    if len(set(labels)) != len(labels) or len(labels) != n_outputs:
        raise BadOption(
            "classes",
            got=f"{len(labels)}: {listed(labels)}",
            expected=f"{n_outputs} different labels, one for each output unit",
        )
    return tuple(labels)


def new_label(value: Any) -> Label | None:
    """A value as the label of a new class; None for what cannot be one, such as 0.5 or NaN.

    >>> new_label("cat"), new_label(np.int64(3)), new_label(2.0), new_label(0.5)
    ('cat', 3, 2, None)
    """
    label = plain(value)
    if isinstance(label, float) and label.is_integer():
        return int(label)
    return label if type(label) in (str, int, bool) else None


def as_array(labels: tuple[Label, ...]) -> Array:
    """Labels as an array to be indexed; an object array if their types differ."""
    return np.array(labels, dtype=None if len({type(c) for c in labels}) == 1 else object)


def listed(values: Sequence[Any]) -> str:
    """Text of the first `SHOWN` values, and how many values there are."""
    text = ", ".join(short(v) for v in values[:SHOWN])
    return text if len(values) <= SHOWN else f"{text}, ... ({len(values)} in all)"


def each(code: Callable[[Any], int], y: Any) -> NDArray[np.int64]:
    """``code`` of every label; of an array of whole numbers in a narrow range, of each value once.

    >>> each(lambda label: 2 * label, np.array([5, 3, 5], np.int8))
    array([10,  6, 10])
    """
    if isinstance(y, np.ndarray) and y.dtype.kind in "iu" and y.size:
        low, high = int(y.min()), int(y.max())
        if high - low < y.size and high < 2**63:
            return each(code, list(range(low, high + 1)))[y.astype(np.int64) - low]
    labels = y.tolist() if isinstance(y, np.ndarray) else y
    return np.array([code(label) for label in labels], np.int64)
