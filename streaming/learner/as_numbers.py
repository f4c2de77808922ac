"""Conversion of numbers from the user to arrays of floats, with clear errors."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rate_models.compiler.kernel import kernel
from rate_models.errors import BadSample, quoted

Array = NDArray[Any]
DEEPEST = 32  # dimensions that NumPy can iterate over
NUMBERS = (int, float, np.bool_, np.integer, np.floating, Decimal, Fraction)


def numbers(where: str, value: Any, position: Callable[[int], str]) -> NDArray[np.float64]:
    """``value`` as a new float64 array. Raises BadSample, which names the first non-number.

    position: a text for the entry of an index, for the error.
    """
    try:
        array = _as_it_is(value)
    except Exception as problem:  # conversion of a foreign object can raise anything
        raise BadSample(where, got=short(value), expected="numbers") from problem
    if array.ndim > DEEPEST:
        raise BadSample(where, got=f"lists {array.ndim} deep", expected="numbers")
    if array.dtype.kind == "O":
        for i, item in enumerate(array.flat):
            if not isinstance(item, NUMBERS):
                at = position(i) if array.ndim == 1 else where
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
    """An array in which the numbers of a mixed list have not become texts."""
    value = on_the_host(value)
    try:
        array = np.asarray(value)
    except ValueError:  # a ragged nested list
        return np.asarray(value, dtype=object)
    return np.asarray(value, dtype=object) if array.dtype.kind in "OUS" else array


def on_the_host(value: Any) -> Any:
    """A torch tensor detached and on the CPU; anything else unchanged."""
    return value.detach().cpu() if hasattr(value, "detach") and hasattr(value, "cpu") else value


def as_float(array: Array) -> NDArray[np.float64]:
    """A float64 copy: overflow gives inf, masked entries give NaN. Later checks refuse both."""
    with np.errstate(over="ignore"):
        copy = array.astype(np.float64)
    return copy.filled(np.nan) if isinstance(copy, np.ma.MaskedArray) else copy


def short(value: object) -> str:
    """``repr`` on one line, shortened."""
    return quoted(value)


@kernel
def within(vector: Array, limit: float) -> bool:
    """Whether no number is larger in size than ``limit``, or NaN."""
    fine = 0
    for i in range(vector.size):
        fine += abs(vector[i]) <= limit
    return bool(fine == vector.size)


def is_absent(value: object) -> bool:
    """Whether it stands for a missing value: None, or NA of pandas. (NaN is a float already.)"""
    return value is None or type(value).__name__ == "NAType"


def is_scalar(y: object) -> bool:
    """Whether it is a number or the like, not a vector."""
    try:
        return np.ndim(y) == 0  # type: ignore[arg-type]
    except Exception:  # as in `numbers`
        return False


def misshapen(where: str, shape: tuple[Any, ...], width: int) -> BadSample:
    """The error for a value of another shape than (width,)."""
    size = math.prod(shape) if all(isinstance(n, int) for n in shape) else 0
    return BadSample(
        where,
        got=f"shape {tuple(shape)}",
        expected=f"shape ({width},)",
        remedy="flatten it" if size == width else "",
    )
