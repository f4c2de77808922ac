"""One network learned by several processes, on one machine or many: ``torchrun``.

Each process takes its share of every batch; what the rule would change for its share is added up
over all of them before the optimiser's step. So all hold the same weights, those that one process
finds up to rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor

from rate_models.errors import BadOption

Drawn = list[Tensor] | None


@contextmanager
def joined(backend: str | None = None) -> Iterator[int]:
    """The processes that ``torchrun`` has started, as one; yields this one's rank.

    backend: gloo or nccl; None: nccl where torch finds a GPU. Outside of torchrun there is one
    process, of rank 0.

    >>> with joined() as rank:
    ...     rank, world()
    (0, 1)
    """
    if not dist.is_available() or not dist.is_torchelastic_launched():
        yield 0
        return
    dist.init_process_group(backend or ("nccl" if torch.cuda.is_available() else "gloo"))
    try:
        yield dist.get_rank()
    finally:
        dist.destroy_process_group()


def world() -> int:
    """How many processes learn together."""
    together = dist.is_available() and dist.is_initialized()
    return dist.get_world_size() if together else 1


class Share(NamedTuple):
    """A process's part of a batch: its rows, at least one.

    weight: 0 where the batch has no row for this process; what that row would change is left out.
    """

    x: Tensor
    y: Tensor
    masks: Drawn = None
    noise: Drawn = None
    weight: int = 1


class Together:
    """The processes' gradients as one: ``share`` of a batch, then ``add`` before each step.

    net: a `BatchNetwork`, the same in all processes: all get what the first has. With one process
    nothing is done. Raises BadOption, at the first batch that shows it, for a rule that changes
    arrays of its own by its samples other than through gradients.
    """

    def __init__(self, net: Any) -> None:
        self.net, self.processes = net, world()
        self.rank = dist.get_rank() if self.processes > 1 else 0
        self._before: list[Tensor] = []
        if self.processes > 1:
            for tensor in net.state_dict().values():
                dist.broadcast(tensor, 0)
            self._before = [tensor.clone() for tensor in net.buffers()]

    def share(self, x: Tensor, y: Tensor) -> Share:
        """Of a batch that all have whole; masks and noise are drawn for all of it."""
        if self.processes == 1:
            return Share(x, y)
        draws = self.net.draws(len(x))
        rows = torch.arange(self.rank, len(x), self.processes, device=x.device)
        weight = min(len(rows), 1)
        rows = rows if weight else torch.zeros(1, dtype=torch.int64, device=x.device)
        masks, noise = (
            drawn and [part if part.ndim == 1 else part[rows] for part in drawn] for drawn in draws
        )
        return Share(x[rows], y[rows], masks, noise, weight)

    def add(self, share: Share) -> None:
        """Sum the gradients over all processes."""
        if self.processes == 1:
            return
        self._check()
        for parameter in self.net.parameters():
            if parameter.grad is not None:
                parameter.grad = parameter.grad * share.weight
                dist.all_reduce(parameter.grad)

    def _check(self) -> None:
        """What the optimiser does not step must not depend on who has which samples."""
        for (name, now), before in zip(self.net.named_buffers(), self._before, strict=True):
            if not torch.equal(now, before):
                raise BadOption(
                    f"rule {self.net.rule} in {self.processes} processes",
                    got=f"{name}, which it changes by its own samples",
                    expected="a rule whose arrays the optimiser steps",
                    remedy="train in one process",
                )
