"""Elementwise stages treat every element alike, whatever the length, and round sums once."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from numba.core.errors import TypingError

from rate_models.compiler.kernel import Array, Scalar, kernel
from rate_models.compiler.lanes import lanewise, tilewise

LENGTHS = [0, 1, 3, 4, 7, 8, 15, 16, 17, 31, 40, 67]


def nearest(exact: Fraction, dtype: str) -> np.floating:
    """The number of a dtype that is nearest to an exact one."""
    near = np.dtype(dtype).type(float(exact))
    around = near, np.nextafter(near, near - 1), np.nextafter(near, near + 1)
    return min(around, key=lambda one: abs(Fraction(float(one)) - exact))


def plainly(y: Array, a: Scalar, x: Array, z: Array) -> None:
    """What the stage below does, with every sum of a product rounded once."""
    dtype, exact = y.dtype.name, lambda number: Fraction(float(number))
    for i in range(y.size):
        once = nearest(exact(y[i]) - exact(a) * exact(x[i]), dtype)
        y[i] = nearest(exact(once) + exact(x[i]) * exact(z[i]), dtype)
        z[i] += y[i]


@lanewise
def stage(y: Array, a: Scalar, x: Array, z: Array) -> None:
    y[...] = (y[...] - a * x[...]) + x[...] * z[...]
    z[...] = z[...] + y[...]


@kernel
def rows(y: Array, a: Scalar, x: Array, z: Array) -> None:
    for row in range(y.shape[0]):
        stage(y[row], a, x[row], z[row])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("length", LENGTHS)
def test_every_element_is_rounded_once_per_sum(dtype: str, length: int) -> None:
    rng = np.random.default_rng(length)
    y, x, z = rng.normal(size=(3, 2, length)).astype(dtype)
    want, got, a = (y.copy(), x, z.copy()), (y, x, z), np.dtype(dtype).type(0.3)
    for row in range(2):
        plainly(want[0][row], a, x[row], want[2][row])
    rows(got[0], a, x, got[2])
    for one, other in zip(got, want, strict=True):
        np.testing.assert_array_equal(one, other)


@tilewise
def in_tile(y: Array, a: Scalar, x: Array) -> None:
    y[...] = y[...] + a * x[...]


@kernel
def tiles(y: Array, begin: int, end: int, x: Array) -> None:
    in_tile(begin, end, y, y.dtype.type(2), x)


@pytest.mark.parametrize(("begin", "end"), [(0, 40), (0, 0), (3, 4), (5, 38), (16, 32)])
def test_a_tile_changes_nothing_outside(begin: int, end: int) -> None:
    x = np.arange(40.0)
    y = np.zeros(40)
    tiles(y, begin, end, x)
    inside = (np.arange(40) >= begin) & (np.arange(40) < end)
    np.testing.assert_array_equal(y, np.where(inside, 2 * x, 0))


def test_longer_vectors_are_cut_to_the_first() -> None:
    y, x, z = np.ones((2, 3)), np.ones((2, 5)), np.ones((2, 5))
    rows(y, 1.0, x, z)
    assert (y == 1).all() and (z[:, :3] == 2).all() and (z[:, 3:] == 1).all()


def test_what_is_written_is_in_place() -> None:
    x = np.full((1, 20), 2.0)
    rows(x, 1.0, x, x)
    np.testing.assert_array_equal(x, 8.0)  # (2 - 2) + 4, and that twice


def test_numbers_of_another_dtype_are_refused() -> None:
    with pytest.raises(TypingError, match="one dtype"):
        rows(*(np.ones((1, 2), np.float32),), 1.0, *(np.ones((1, 2), np.float32),) * 2)
