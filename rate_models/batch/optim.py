"""Our optimiser as a torch optimiser."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor

from rate_models.model.hyperparameters import checked
from rate_models.model.optimizers import Optimizer


class Sgd(torch.optim.SGD):
    """Gradient descent with the learning rate inside the velocity; see `optimizers`.

        v ← μ v + η (ΔW + λ W),   W ← W − v

    A scheduler that lowers η does not change the velocity. torch.optim.SGD is the same at a
    constant rate, but would scale the velocity down too. lr η, momentum μ, weight_decay λ: ranges
    as in `Optimizer`.

    torch stores v / η and passes over the weights once. Where η changes, v / η is rescaled.

    >>> w = torch.nn.Parameter(torch.ones(2))
    >>> w.grad = torch.ones(2)
    >>> Sgd([w], lr=0.5).step()
    >>> w.tolist()
    [0.5, 0.5]
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = Optimizer().lr,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        checked(Optimizer(), lr=lr, momentum=momentum, weight_decay=weight_decay)
        super().__init__(params, lr, momentum, weight_decay=weight_decay, fused=True)

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Step every parameter that has a gradient; a closure is called first, as in torch."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        groups = self.param_groups
        for group in groups:
            lr, before = group["lr"], group.get("lr_before", group["lr"])
            if not lr:
                self._coast(group, before)
                continue
            group["lr_before"] = lr
            group["steps"] = group.get("steps", 0) + 1
            for velocity in self._velocities(group):
                if lr != before:
                    velocity.mul_(before / lr)
                if group["steps"] % lasts(velocity, group["momentum"]) == 0:
                    settle(velocity)
        self.param_groups = [group for group in groups if group["lr"]]
        try:
            super().step()
        finally:
            self.param_groups = groups
        return loss

    @torch.no_grad()
    def _coast(self, group: dict[str, Any], before: float) -> None:
        """A step with η = 0: v ← μ v and W ← W − v; v is ``before`` times what torch stores."""
        for weight in group["params"]:
            kept = self.state.get(weight, {}).get("momentum_buffer")
            if weight.grad is not None and kept is not None:
                weight.sub_(kept.mul_(group["momentum"]), alpha=before)

    def _velocities(self, group: dict[str, Any]) -> list[Tensor]:
        states = (self.state.get(weight, {}) for weight in group["params"])
        return [v for state in states if (v := state.get("momentum_buffer")) is not None]


def settle(velocity: Tensor) -> None:
    """Set velocities below the square root of the smallest normal number to zero.

    Without gradients a velocity decays to subnormal numbers and stays there. A processor is many
    times slower with those: the pixels at the rim of MNIST made an epoch 1.6 times as long.
    """
    velocity.copy_(velocity.hardshrink(_least(velocity)))


def lasts(velocity: Tensor, momentum: float) -> int:
    """The number of steps after which a velocity may need to `settle` again."""
    return max(1, int(math.log(_least(velocity)) / math.log(momentum)))


def _least(velocity: Tensor) -> float:
    return math.sqrt(torch.finfo(velocity.dtype).tiny)


def step(
    weight: Tensor, gradient: Tensor, velocity: Tensor | None,
    lr: float, momentum: float, decay: float,
) -> None:  # fmt: skip
    """`Sgd` on one weight in place, for `torch.func.vmap`; velocity: v, None without momentum."""
    if decay:
        gradient = gradient.add(weight, alpha=decay)
    if not momentum:
        weight.sub_(gradient, alpha=lr)
        return
    assert velocity is not None
    velocity.mul_(momentum).add_(gradient, alpha=lr)
    weight.sub_(velocity)
