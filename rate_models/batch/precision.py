"""The precision of products of float32 arrays in torch, set for training and restored after it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

import torch

from rate_models.errors import BadOption

Precision = Literal["highest", "high", "medium"]


@contextmanager
def matmul_precision(name: Precision, device: torch.device) -> Iterator[None]:
    """A context with the given ``torch.set_float32_matmul_precision``.

    highest: float32 throughout, also in convolutions, which torch by default computes with 10 bits
    on a GPU. high, medium: factors with 10 or fewer bits where the device has hardware for that,
    sums in float32; weights, activity and updates stay float32. The setting affects the whole
    process.

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
