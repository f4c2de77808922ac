"""Several networks with different seeds as one batched computation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.func import vmap

from rate_models import textbook
from rate_models.batch.network import BatchNetwork
from rate_models.batch.optim import lasts, settle, step
from rate_models.model.optimizers import Optimizer
from rate_models.rules import Draws


class Stacked:
    """Several networks in one set of tensors, whose leading dimension is the network.

    Inside ``with``, the arrays of the networks are views of the stacked ones: the networks can be
    read and evaluated at any time. torch.save of a view writes the whole stack, copy.deepcopy only
    the view. Afterwards each network has its own arrays again.
    """

    def __init__(self, nets: Sequence[BatchNetwork], momentum: float) -> None:
        self.nets = nets
        self.definition = nets[0].definition
        self._counts = self.definition.named("counts")
        each = [net.arrays() for net in nets]
        self.params = {
            name: [self._stacked(name, [net[name][i] for net in each]) for i in range(len(value))]
            if isinstance(value, list)
            else self._stacked(name, [net[name] for net in each])
            for name, value in each[0].items()
        }
        names = ("W", "b", *self.definition.named("stepped"))
        stepped = {name: self.params[name] for name in names} if momentum else {}
        self.velocity = textbook.mapped(stepped, torch.zeros_like)
        self._steps, self._settled = 0, lasts(self.params["W"][0], momentum) if momentum else 0

    def _stacked(self, name: str, each: list[Tensor]) -> Tensor:
        if name in self._counts:  # one counter for all, so that all do the same
            whole = each[0].detach().clone()
            for tensor in each:
                tensor.data = whole
            return whole
        whole = torch.stack([tensor.detach() for tensor in each])
        for i, tensor in enumerate(each):
            tensor.data = whole[i]
        return whole

    def __enter__(self) -> Stacked:
        return self

    def __exit__(self, *_: object) -> None:
        for net in self.nets:
            for tensor in (*net.parameters(), *net.buffers()):
                tensor.data = tensor.data.clone()

    @torch.no_grad()
    def learn(self, x: Tensor, y: Tensor, lr: float, numbers: Optimizer, batch_size: int) -> None:
        """Learn one batch per network: x (nets, batch, n_0), targets y (nets, batch, n_L)."""
        each = [net.draws(x.shape[1]) for net in self.nets]
        masks, noise = ([draws[i] for draws in each] for i in range(2))
        draws = Draws(*(None if p[0] is None else _transposed(p) for p in (masks, noise)))
        of = self.nets[0]
        learns = textbook.mapped(of.arrays(), lambda weight: weight.requires_grad)

        def all_steps(params: Any, velocity: Any, x: Tensor, y: Tensor, draws: Draws) -> None:
            for one in self.definition.batch(of.spec, params, of.hyper, x, y, draws):
                deltas = textbook.gradients(of.spec, one, params, batch_size)
                for name, given in deltas.items():
                    parts = (params[name], given, velocity.get(name), learns[name])
                    single = not isinstance(given, list)
                    weights, gradients, speeds, free = ([p] if single else p for p in parts)
                    for i, gradient in enumerate(gradients):
                        if gradient is not None and free[i]:
                            speed = speeds[i] if speeds else None
                            step(weights[i], gradient, speed, lr, *numbers[1:3])

        def dimensions(given: dict[str, Any]) -> dict[str, Any]:
            return {
                name: [0] * len(value)
                if isinstance(value, list)
                else None if name in self._counts else 0
                for name, value in given.items()
            }  # fmt: skip

        drawn = Draws(*(None if part is None else [0] * len(part) for part in draws))
        in_dims = (dimensions(self.params), dimensions(self.velocity), 0, 0, drawn)
        vmap(all_steps, in_dims, out_dims=None)(self.params, self.velocity, x, y, draws)
        self._steps += 1
        if self._settled and self._steps % self._settled == 0:
            textbook.mapped(self.velocity, settle)


def _transposed(parts: list[Any]) -> list[Tensor]:
    """A list of tensors per network → a list of tensors with a leading dimension for networks."""
    return [torch.stack(same) for same in zip(*parts, strict=True)]
