"""What rules share that take one forward pass, without noise or a second pattern at the input."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from rate_models.kernel import Array
from rate_models.network import NetworkSpec, Parameters

FIXED = ("init",)


class Hyperparameters(NamedTuple):
    """dropout: probability that a hidden unit is silent for a sample. init: of W."""

    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    init: Literal["he_uniform", "he_normal"] = "he_uniform"


def noise_widths(spec: NetworkSpec, hyper: Hyperparameters) -> list[int]:
    """No noise."""
    return []


def noise_of(hyper: Hyperparameters, u: Array) -> Array:
    """No noise."""
    return u


def input_feedback(params: Parameters, hyper: Hyperparameters) -> Array | None:
    """Errors do not travel through the input."""
    return None
