"""Records hold what the named tuple holds, of every kind that a kernel is handed."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

from rate_models.compiler.kernel import Array, specialise, stage
from rate_models.compiler.records import Record, Records, another, kind_of, opened


class Inner(NamedTuple):
    matrix: Array
    rate: Any
    count: int


class Outer(NamedTuple):
    first: Array
    inner: Inner
    flag: bool
    last: Array


def values(dtype: str) -> Outer:
    matrix = np.arange(6, dtype=dtype).reshape(2, 3)
    inner = Inner(matrix, np.dtype(dtype).type(0.1), -7)
    return Outer(np.ones(2, dtype), inner, True, np.arange(4))


@stage
def _last_row(inner: Inner) -> Any:
    return inner.matrix[inner.matrix.shape[0] - 1, inner.matrix.shape[1] - 1]


def _read(address: int, out: Array) -> int:
    of = opened(address, KIND)  # type: ignore[name-defined]  # noqa: F821
    out[0], out[1], out[2] = of.inner.rate, of.inner.count, 1 if of.flag else 0
    out[3], out[4] = _last_row(of.inner), of.inner.matrix[1].sum()
    of.first[1] = 5
    return int(of.last[3] + of.last.size)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_kernel_reads_and_writes_every_field(dtype: str) -> None:
    of, out = values(dtype), np.zeros(5)
    record = Record(of)
    read = specialise(_read, f"read_{dtype}", KIND=kind_of(of))
    assert read(record.address, out) == 7
    assert out.tolist() == [float(np.dtype(dtype).type(0.1)), -7, 1, 5, 12]
    assert of.first.tolist() == [1, 5]


def _sum(addresses: Array) -> Any:
    of = opened(addresses[0], KIND)  # type: ignore[name-defined]  # noqa: F821
    total = of.matrix[0, 0] - of.matrix[0, 0]
    for address in addresses:
        total += another(of, address).matrix[1, 2]
    return total


def test_several_of_a_kind() -> None:
    several = [values("float64").inner for _ in range(3)]
    records = Records(several)
    assert specialise(_sum, "sum", KIND=kind_of(several[0]))(records.addresses) == 15


@pytest.mark.parametrize("bad", [np.zeros((4, 4))[:, ::2], np.zeros((3, 2)).T])
def test_arrays_that_kernels_could_not_read_are_refused(bad: Array) -> None:
    with pytest.raises(TypeError, match="contiguous"):
        Record(Inner(bad, 0.0, 0))
