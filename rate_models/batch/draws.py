"""Uniform random numbers in torch, for masks and noise."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def uniform(
    generator: torch.Generator, dtype: torch.dtype, n: int, stream: int, widths: Sequence[int]
) -> list[Tensor]:
    """The next uniform numbers in [0, 1), (n, width) each, on the generator's device.

    stream: not used, as one generator serves all streams.
    """
    return [
        torch.rand((n, width), generator=generator, device=generator.device, dtype=dtype)
        for width in widths
    ]
