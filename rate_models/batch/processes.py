"""Training of one network by several processes, on one or more machines, with ``torchrun``.

Each process takes its share of every batch. The gradients of all shares are summed before the
optimiser's step. So all processes have the same weights, equal up to rounding to those of training
in one process.
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
    """A context that connects the processes started by ``torchrun``; yields the rank of this one.

    backend: gloo or nccl; None: nccl if torch has a GPU. Outside of torchrun there is one process,
    of rank 0.

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
    """The number of processes that train together."""
    together = dist.is_available() and dist.is_initialized()
    return dist.get_world_size() if together else 1


class Share(NamedTuple):
    """The part of a batch for one process: at least one row.

    weight: 0 where the batch is too small for this process; the gradient of its row then counts 0.
    """

    x: Tensor
    y: Tensor
    masks: Drawn = None
    noise: Drawn = None
    weight: int = 1


class Together:
    """Sums the gradients of all processes: ``share`` of a batch, then ``add`` before each step.

    net: a `BatchNetwork` of the same shapes in all processes; all receive the arrays of the first.
    With one process there is nothing to do. Raises BadOption, at the first batch in which it
    happens, for a rule that changes own arrays depending on samples, and not through gradients.
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
        """This process's share of a batch; each process passes the whole batch.

        Masks and noise are drawn for the whole batch.
        """
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
        """Arrays that the optimiser does not step must not depend on the shares of the batch."""
        for (name, now), before in zip(self.net.named_buffers(), self._before, strict=True):
            if not torch.equal(now, before):
                raise BadOption(
                    f"rule {self.net.rule} in {self.processes} processes",
                    got=f"{name}, which it changes by its own samples",
                    expected="a rule whose arrays the optimiser steps",
                    remedy="train in one process",
                )
