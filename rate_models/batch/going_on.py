"""Resuming the training of a `BatchNetwork` after an epoch, with identical bits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rate_models.batch.network import BatchNetwork
from rate_models.errors import BadOption


class State(NamedTuple):
    """The state of training after an epoch.

    epochs: number of epochs done. steps: number of optimiser steps. lr: η of the last step. arrays:
    weights and own arrays of the rule, under ``net.``; velocities, under ``velocity.``; the state
    of the generator of masks and noise. The arrays are live: copy or write them immediately.
    """

    epochs: int
    steps: int
    lr: float
    arrays: Mapping[str, Any]


def state(net: BatchNetwork, stepper: torch.optim.Optimizer, epochs: int) -> State:
    """The state of a network and its `Sgd` after ``epochs`` epochs."""
    group = stepper.param_groups[0]
    arrays: dict[str, Tensor] = {f"net.{name}": t for name, t in net.state_dict().items()}
    for i, weight in enumerate(group["params"]):
        velocity = stepper.state.get(weight, {}).get("momentum_buffer")
        if velocity is not None:
            arrays[f"velocity.{i}"] = velocity
    if net.generator is not None:
        arrays["generator"] = net.generator.get_state()
    return State(epochs, group.get("steps", 0), group.get("lr_before", group["lr"]), arrays)


def restore(kept: State, net: BatchNetwork, stepper: torch.optim.Optimizer) -> None:
    """Load a state into a network and its `Sgd`. Raises BadOption for another network's state."""
    arrays = {name: torch.as_tensor(value) for name, value in kept.arrays.items()}
    weights = {n.removeprefix("net."): t for n, t in arrays.items() if n.startswith("net.")}
    try:
        net.load_state_dict(weights)
    except RuntimeError as error:
        got = " ".join(str(error).split())[:120]
        raise BadOption("resume", got=got, expected="a state of such a network") from None
    group = stepper.param_groups[0]
    for i, weight in enumerate(group["params"]):
        if (velocity := arrays.get(f"velocity.{i}")) is not None:
            stepper.state[weight]["momentum_buffer"] = velocity.to(weight).clone()
    group["steps"], group["lr_before"] = kept.steps, kept.lr
    if "generator" in arrays:
        net.generator = torch.Generator(net.device)
        net.generator.set_state(arrays["generator"].cpu())
