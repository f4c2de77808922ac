"""Uniform random numbers on torch, of which masks and noise are made."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def uniform(
    generator: torch.Generator, dtype: torch.dtype, n: int, stream: int, widths: Sequence[int]
) -> list[Tensor]:
    """Numbers in [0, 1), (n, width) each, where the generator is; of all streams the next ones."""
    return [
        torch.rand((n, width), generator=generator, device=generator.device, dtype=dtype)
        for width in widths
    ]
