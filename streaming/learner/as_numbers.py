"""What a person hands in as numbers, as arrays of floats; or one message that says what is not."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rate_models.errors import BadSample, quoted

Array = NDArray[Any]
DEEPEST = 32  # dimensions that NumPy can go through
NUMBERS = (int, float, np.bool_, np.integer, np.floating, Decimal, Fraction)


def numbers(where: str, value: Any, place: Callable[[int], str]) -> NDArray[np.float64]:
    """``value`` as a fresh float64 array; BadSample names the first thing that is no number."""
    try:
        array = _as_it_is(value)
    except Exception as problem:  # whatever a foreign object raises when asked to be an array
        raise BadSample(where, got=short(value), expected="numbers") from problem
    if array.ndim > DEEPEST:
        raise BadSample(where, got=f"lists {array.ndim} deep", expected="numbers")
    if array.dtype.kind == "O":
        for i, item in enumerate(array.flat):
            if not isinstance(item, NUMBERS):
                at = place(i) if array.ndim == 1 else where
                raise BadSample(at, got=short(item), expected="a number")
        try:
            return array.astype(np.float64)
        except OverflowError:
            raise BadSample(where, got="a number beyond all range", expected="numbers") from None
        except ValueError:  # a signalling NaN of decimal
            raise BadSample(where, got="no number", expected="numbers") from None
    if array.dtype.kind not in "biuf":
        raise BadSample(where, got=f"an array of {array.dtype}", expected="an array of numbers")
    return as_float(value if isinstance(value, np.ma.MaskedArray) else array)


def _as_it_is(value: Any) -> Array:
    """An array that has not turned the numbers of a mixed list into texts."""
    value = on_the_host(value)
    try:
        array = np.asarray(value)
    except ValueError:  # a list with a list in it
        return np.asarray(value, dtype=object)
    return np.asarray(value, dtype=object) if array.dtype.kind in "OUS" else array


def on_the_host(value: Any) -> Any:
    """A torch tensor without its gradient and its device; anything else as it is."""
    return value.detach().cpu() if hasattr(value, "detach") and hasattr(value, "cpu") else value


def as_float(array: Array) -> NDArray[np.float64]:
    """A float64 copy; what does not fit becomes infinite, what is masked NaN: both are refused."""
    with np.errstate(over="ignore"):
        copy = array.astype(np.float64)
    return copy.filled(np.nan) if isinstance(copy, np.ma.MaskedArray) else copy


def short(value: object) -> str:
    """``repr``, in one line and cut to what it can hold."""
    return quoted(value)
