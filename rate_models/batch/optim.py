"""Our optimiser as a torch optimiser."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor

from rate_models.hyperparameters import checked
from rate_models.optimizers import Optimizer


class Sgd(torch.optim.Optimizer):
    """Gradient descent with the learning rate inside the velocity; see `optimizers`.

        v ← μ v + η (ΔW + λ W),   W ← W − v

    A scheduler that lowers η leaves the velocity as it is; torch.optim.SGD, the same at a constant
    rate, would scale it down too. lr η, momentum μ, weight_decay λ: ranges as in `Optimizer`.

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
        given = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        checked(Optimizer(), **given)
        super().__init__(params, given)

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Step every parameter that has a gradient; a closure is called first, as torch has it."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._step(weight, group["lr"], group["momentum"], group["weight_decay"])
        return loss

    def _step(self, weight: Tensor, lr: float, momentum: float, decay: float) -> None:
        assert weight.grad is not None
        state = self.state[weight]
        if momentum and "velocity" not in state:
            state["velocity"] = torch.zeros_like(weight)
        step(weight, weight.grad, state.get("velocity"), lr, momentum, decay)


def step(
    weight: Tensor, gradient: Tensor, velocity: Tensor | None,
    lr: float, momentum: float, decay: float,
) -> None:  # fmt: skip
    """One step of ``weight`` in place, and of its velocity where there is momentum."""
    if decay:
        gradient = gradient.add(weight, alpha=decay)
    if not momentum:
        weight.sub_(gradient, alpha=lr)
        return
    assert velocity is not None
    velocity.mul_(momentum).add_(gradient, alpha=lr)
    weight.sub_(velocity)
