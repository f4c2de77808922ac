"""Elementwise stages do to every element what NumPy does, whatever the length."""

from __future__ import annotations

import numpy as np
import pytest
from numba.core.errors import TypingError

from rate_models.compiler.kernel import Array, Scalar, kernel
from rate_models.compiler.lanes import lanewise

LENGTHS = [0, 1, 3, 4, 7, 8, 15, 16, 17, 31, 40, 67]


def plainly(y: Array, a: Scalar, x: Array, z: Array) -> None:
    """What the stage below does."""
    y[...] = (y[...] - a * x[...]) + x[...] * z[...]
    z[...] = z[...] + y[...]


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
def test_every_element_as_by_numpy(dtype: str, length: int) -> None:
    rng = np.random.default_rng(length)
    y, x, z = rng.normal(size=(3, 2, length)).astype(dtype)
    want, got, a = (y.copy(), x, z.copy()), (y, x, z), np.dtype(dtype).type(0.3)
    for row in range(2):
        plainly(want[0][row], a, x[row], want[2][row])
    rows(got[0], a, x, got[2])
    for one, other in zip(got, want, strict=True):
        np.testing.assert_array_equal(one, other)


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
