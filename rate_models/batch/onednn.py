"""Products of float32 matrices on a CPU by oneDNN; torch itself uses MKL for them.

MKL is fast on Intel processors only. On an AMD EPYC (Zen 5) oneDNN takes half the time for the two
large products of a batch, W_1 x and ΔW_1. The two libraries sum in different orders, so results
differ by rounding.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from rate_models.network import NetworkSpec, Parameters


@dataclasses.dataclass(frozen=True)
class OneDnnSpec(NetworkSpec):
    """A dense network with currents and post preᵀ by oneDNN, without autograd and vmap."""

    @classmethod
    def of(cls, spec: NetworkSpec, weight: Tensor) -> NetworkSpec:
        """The same network with oneDNN, where it supports these weights; else ``spec`` itself."""
        plain = type(spec) is NetworkSpec
        if not plain or weight.device.type != "cpu" or weight.dtype != torch.float32:
            return spec
        if not torch.backends.mkldnn.is_available() or not _known():  # type: ignore[no-untyped-call]
            return spec
        return cls(**{field.name: getattr(spec, field.name) for field in dataclasses.fields(spec)})

    def current(self, params: Parameters, layer: int, below: Any) -> Any:
        """a_l = W_l h_{l-1} + b_l, from h_{l-1} (batch, n_{l-1})."""
        bias = params["b"][layer - 1] if params["b"] else None
        return _linear(below, params["W"][layer - 1], bias)

    def outer(self, layer: int, post: Any, pre: Any, factor: float = 1.0) -> Any:
        """factor · Σ post preᵀ over the batch."""
        return _linear((post * factor).T, pre.T, None)


def _known() -> bool:
    """Whether this version of torch has the operator, which is not part of torch's public API."""
    return hasattr(torch.ops.mkldnn, "_linear_pointwise")


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """x weightᵀ + bias; by MKL for float64, which some rules use and oneDNN does not support."""
    if x.dtype != torch.float32:
        return functional.linear(x, weight, bias)
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return product
