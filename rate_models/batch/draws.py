"""The random numbers of a batch on torch: dropout masks and a rule's noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from rate_models.errors import BadOption
from rate_models.rules import Draws, masks_and_noise

if TYPE_CHECKING:
    from rate_models.batch.network import BatchNetwork


def of_batch(
    net: BatchNetwork, n: int, masks: Sequence[Any] | None, noise: Sequence[Any] | None
) -> Draws:
    """Masks and noise of n samples: those handed in, else from the network's generator."""
    hidden, widths = list(net.spec.sizes[1:-1]), net.definition.noise.widths(net.spec, net.hyper)
    return masks_and_noise(
        net.definition, net.spec, net.hyper, lambda stream, widths: _uniform(net, n, widths),
        masks=None if masks is None else _handed(net, "masks", masks, hidden, n),
        noise=None if noise is None else _handed(net, "noise", noise, widths, n),
    )  # fmt: skip


def _handed(
    net: BatchNetwork, what: str, given: Sequence[Any], widths: list[int], n: int
) -> list[Tensor]:
    if len(given) != len(widths):
        raise BadOption(what, got=f"{len(given)} arrays", expected=f"{len(widths)}")
    return [net.rows(what, a, width, n) for a, width in zip(given, widths, strict=True)]


def _uniform(net: BatchNetwork, n: int, widths: Sequence[int]) -> list[Tensor]:
    """Numbers in [0, 1), (n, width) each, from the network's generator."""
    device, dtype = net.device, net.W[0].dtype
    if net.generator is None or net.generator.device != device:
        net.generator = torch.Generator(device).manual_seed(net.seed)
    return [
        torch.rand((n, width), generator=net.generator, device=device, dtype=dtype)
        for width in widths
    ]
