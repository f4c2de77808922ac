"""Bounds of the numbers in a stored state.

Kernels use some of these numbers as array indices and do not check them. A number out of its bounds
would make a kernel read or write outside the array.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rate_models.compiler.kernel import Array, coerce
from rate_models.errors import BadOption

MOST = 2**53  # upper bound of counters: float64 represents every integer up to here

# {name: (smallest, largest)} of arrays; either may be an array that broadcasts.
Bounds = Mapping[str, tuple[ArrayLike, ArrayLike]]


def fitting(arrays: Mapping[str, Array], like: Mapping[str, Array]) -> dict[str, Array]:
    """``arrays`` with the dtypes and shapes of ``like``.

    Raises BadOption where names or shapes differ, or where only one of two arrays has integers.
    """
    fitted = {}
    for name, mine in like.items():
        given = np.asarray(arrays[name])
        if given.dtype.kind != mine.dtype.kind:
            raise BadOption(name, got=f"numbers of {given.dtype}", expected=f"{mine.dtype}")
        fitted[name] = coerce(name, given, mine.dtype.str, mine.shape)
    return fitted


def check(arrays: Mapping[str, Array], bounds: Bounds) -> None:
    """Raise BadOption where a number is out of its bounds. Every integer array must have bounds.

    >>> check({"counts": np.array([1, 9])}, {"counts": (0, [5, 5])})
    Traceback (most recent call last):
    rate_models.errors.BadOption: counts: got 9; expected 0 to 5
    """
    for name, array in arrays.items():
        if name not in bounds:
            if array.dtype.kind in "iu":
                raise BadOption(name, got="whole numbers without bounds")
            continue
        low, high = (np.broadcast_to(np.asarray(end), array.shape) for end in bounds[name])
        wrong = ~((low <= array) & (array <= high))  # NaN is wrong too
        if wrong.any():
            at = np.argmax(wrong)
            expected = f"{low.flat[at]:g} to {high.flat[at]:g}"
            raise BadOption(name, got=array.flat[at], expected=expected)


def finite(arrays: Mapping[str, Any]) -> str:
    """The name of the first array with a number that is NaN or infinite; empty if there is none."""
    return next((name for name, a in arrays.items() if not np.isfinite(a).all()), "")
