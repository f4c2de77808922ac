"""Input validation: samples and labels as tensors, with an error for invalid ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from rate_models.errors import BadOption, BadSample


def tensor(what: str, value: Any) -> Tensor:
    """An array of numbers from any library as a tensor. Raises BadOption for anything else.

    >>> tensor("x", np.array([1.5, 2], dtype=">f4")).tolist()
    [1.5, 2.0]
    >>> tensor("x", ["a", "b"])
    Traceback (most recent call last):
    rate_models.errors.BadOption: x: got a list of <U1; expected an array of numbers
    """
    if isinstance(value, Tensor):
        return value
    kind = type(value).__name__
    try:
        if value is None:
            raise TypeError
        array = np.asarray(value)
        kind = f"a {kind} of {array.dtype}"
        if array.dtype.kind == "O":
            array = array.astype(np.float64)
        if array.dtype.kind not in "biuf":
            raise TypeError
        if array.dtype.kind == "f" and array.itemsize > 8:
            array = array.astype(np.float64)
        array = array.astype(array.dtype.newbyteorder("="), copy=False)
        return torch.from_numpy(np.require(array, requirements=["C", "W"]))
    except (TypeError, ValueError):
        raise BadOption(what, got=kind, expected="an array of numbers") from None


def classes(y: Tensor, samples: int, outputs: int) -> Tensor:
    """Class indices (samples,) as int64. Raises BadOption where one is not 0, ..., outputs - 1."""
    index = y.to(torch.int64)
    if y.is_floating_point() and bool((index != y).any()):
        odd = y[index != y][0].item()
        expected = f"class indices (N,), whole numbers, or target vectors (N, {outputs})"
        raise BadOption("y", got=odd, expected=expected)
    if len(index) != samples:
        raise BadOption("y", got=f"{len(index)} labels", expected=f"{samples}, one a sample")
    wrong = index[(index < 0) | (index >= outputs)]  # on a GPU such an index is a fatal error
    if len(wrong):
        remedy = "with one output, give target vectors (N, 1)" if outputs == 1 else ""
        expected = f"0 to {outputs - 1}"
        raise BadOption("y", got=int(wrong[0]), expected=expected, remedy=remedy)
    return index


def finite(what: str, rows: Tensor) -> None:
    """Raise BadSample where a row has a number that is NaN or infinite."""
    odd = ~rows.isfinite()
    if bool(odd.any()):
        first = int(odd.flatten(1).any(1).nonzero()[0])
        raise BadSample(f"{what}, row {first}", got="NaN or infinite", expected="finite numbers",
                        remedy="leave it out or repair it")  # fmt: skip
