"""The arrays of a network in torch: parameters and buffers, named and nested as in rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rate_models import textbook
from rate_models.batch.samples import tensor
from rate_models.errors import BadOption
from rate_models.model.hyperparameters import unknown
from rate_models.network import Parameters
from rate_models.rules import Own, Rule


class Arrays(nn.Module):
    """The weights W, biases b and own arrays of a rule, as a torch module.

    params: {name: tensor or list of tensors}, as in `rate_models.textbook.initial_parameters`.
    """

    W: nn.ParameterList
    b: nn.ParameterList

    def __init__(self, definition: Rule, params: Parameters) -> None:
        super().__init__()
        others = dict(params)
        self.W = nn.ParameterList(others.pop("W"))
        self.b = nn.ParameterList(others.pop("b"))
        self._own = list(others)
        for own in definition.own:
            if own.name in others:
                self._hold(own, others[own.name])

    def _hold(self, own: Own, value: Any) -> None:
        """Register an own array or list: as parameters if the optimiser steps it, else buffers."""
        stepped = own.changes == "stepped"
        if isinstance(value, list) and stepped:
            self.add_module(own.name, nn.ParameterList(value))
        elif isinstance(value, list):
            holder = nn.Module()
            for i, array in enumerate(value):
                holder.register_buffer(str(i), array)
            self.add_module(own.name, holder)
        elif stepped:
            self.register_parameter(own.name, nn.Parameter(value))
        else:
            self.register_buffer(own.name, value)

    @property
    def dtype(self) -> str:
        """float32 or float64."""
        return str(self.W[0].dtype).removeprefix("torch.")

    @property
    def device(self) -> torch.device:
        """The torch device of the arrays."""
        device: torch.device = self.W[0].device
        return device

    def arrays(self) -> Parameters:
        """The live tensors, named and nested as in rules."""
        params: Parameters = {"W": list(self.W), "b": list(self.b)}
        for name in self._own:
            value = getattr(self, name)
            several = isinstance(value, nn.Module)
            params[name] = [*value.parameters(), *value.buffers()] if several else value
        return params

    def numpy(self) -> Parameters:
        """Copies of all parameters, with the names and shapes of `OnlineNetwork.parameters`."""
        return textbook.mapped(self.arrays(), lambda t: t.detach().cpu().numpy().copy())

    @torch.no_grad()
    def load_parameters(self, params: Parameters) -> None:
        """Load parameters of the same names and shapes; parameters that are absent do not change.

        Raises UnknownName or BadOption where one does not fit, before anything is changed.
        """
        mine = self.arrays()
        pairs: list[tuple[Tensor, Tensor]] = []
        for name, value in params.items():
            if name not in mine:
                raise unknown(name, list(mine))
            old = mine[name]
            given, old = (value, old) if isinstance(old, list) else ([value], [old])
            if not isinstance(given, Sequence):
                raise BadOption(name, got=type(given).__name__, expected=f"a list of {len(old)}")
            new = [tensor(name, one) for one in given]
            shapes = [[tuple(one.shape) for one in arrays] for arrays in (new, old)]
            if shapes[0] != shapes[1]:
                raise BadOption(name, got=f"shapes {shapes[0]}", expected=f"{shapes[1]}")
            pairs += zip(old, new, strict=True)
        for to, array in pairs:
            to.copy_(array)

    def rows(self, what: str, value: Any, width: int, n: int | None = None) -> Tensor:
        """``value`` as a tensor (n, width) of this network; with n, one row is repeated n times."""
        rows = tensor(what, value).to(self.device, self.W[0].dtype)
        if n is not None and rows.shape == (width,):
            rows = rows.expand(n, width)
        if rows.ndim != 2 or rows.shape[1] != width or len(rows) != (n or max(len(rows), 1)):
            expected = f"shape ({n or 'at least 1'}, {width})"
            raise BadOption(what, got=f"shape {tuple(rows.shape)}", expected=expected)
        return rows
