"""The random numbers of a batch on torch: dropout masks and a rule's noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from rate_models.errors import BadOption
from rate_models.rules import Rule

if TYPE_CHECKING:
    from rate_models.batch.network import BatchNetwork


def masks(net: BatchNetwork, given: Sequence[Any] | None, n: int) -> list[Tensor] | None:
    """m_l of the hidden layers for n samples: those handed in, or drawn, or None without."""
    widths, dropout = list(net.spec.sizes[1:-1]), getattr(net.hyper, "dropout", 0.0)
    if given is not None:
        return _handed(net, "masks", given, widths, n)
    if dropout == 0:
        return None
    drops = [net.spec.drops(layer) for layer in range(1, net.spec.layers)]
    dropped = zip(widths, drops, strict=True)
    drawn = iter(_uniform(net, n, [width for width, drop in dropped if drop]))
    return [
        (next(drawn) >= dropout).to(net.W[0].dtype) / (1 - dropout)
        if drop
        else net.W[0].new_ones(width)
        for width, drop in zip(widths, drops, strict=True)
    ]


def noise(rule: Rule, net: BatchNetwork, given: Sequence[Any] | None, n: int) -> list[Tensor]:
    """The rule's noise for n samples, handed in or drawn."""
    widths = rule.noise.widths(net.spec, net.hyper)
    if given is None:
        return [rule.noise.transform(net.hyper, u) for u in _uniform(net, n, widths)]
    return _handed(net, "noise", given, widths, n)


def _handed(
    net: BatchNetwork, what: str, given: Sequence[Any], widths: list[int], n: int
) -> list[Tensor]:
    if len(given) != len(widths):
        raise BadOption(what, got=f"{len(given)} arrays", expected=f"{len(widths)}")
    return [net.rows(what, a, width, n) for a, width in zip(given, widths, strict=True)]


def _uniform(net: BatchNetwork, n: int, widths: list[int]) -> list[Tensor]:
    """Numbers in [0, 1), (n, width) each, from the network's generator."""
    device, dtype = net.device, net.W[0].dtype
    if net.generator is None or net.generator.device != device:
        net.generator = torch.Generator(device).manual_seed(net.seed)
    return [
        torch.rand((n, width), generator=net.generator, device=device, dtype=dtype)
        for width in widths
    ]
