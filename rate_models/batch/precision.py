"""How exactly products of float32 arrays are computed, and that training leaves it as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

import torch

from rate_models.errors import BadOption

Precision = Literal["highest", "high", "medium"]


@contextmanager
def matmul_precision(name: Precision, device: torch.device) -> Iterator[None]:
    """Within, products of float32 are as precise as torch's ``set_float32_matmul_precision`` says.

    highest: float32 throughout, in convolutions too, which on a GPU torch by itself computes with
    10 bits. high, medium: factors with 10 or fewer bits where the device has units for them, sums
    in float32; weights, activity and updates stay float32. It is a setting of the whole process.

    Raises BadOption for another name.

    >>> with matmul_precision("high", torch.device("cpu")):
    ...     torch.get_float32_matmul_precision()
    'high'
    """
    if name not in get_args(Precision):
        expected = " or ".join(get_args(Precision))
        raise BadOption("precision", got=repr(name), expected=expected)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(name)
    convolutions = device.type == "cuda" and torch.backends.cudnn.allow_tf32
    if device.type == "cuda":
        torch.backends.cudnn.allow_tf32 = name != "highest"
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
        if device.type == "cuda":
            torch.backends.cudnn.allow_tf32 = convolutions
