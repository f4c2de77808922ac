"""What rules share that take one forward pass, without noise or a second pattern at the input."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field

from rate_models.kernel import Array
from rate_models.network import Init, NetworkSpec, Parameters, draw


class Hyperparameters(NamedTuple):
    """dropout: probability that a hidden unit is silent for a sample. init: of W."""

    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    init: Init = "he_uniform"


class FeedbackHyperparameters(NamedTuple):
    """dropout: probability that a hidden unit is silent for a sample. init: of W.

    feedback_scale: factor of B; at 0 the hidden weights stay as drawn: the control.
    """

    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    init: Init = "he_uniform"
    feedback_scale: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0


def noise_widths(spec: NetworkSpec, hyper: Any) -> list[int]:
    """No noise."""
    return []


def noise_of(hyper: Any, u: Array) -> Array:
    """No noise."""
    return u


def input_feedback(params: Parameters, hyper: Any) -> Array | None:
    """Errors do not travel through the input."""
    return None


def random_feedback(
    shapes: Iterable[tuple[int, ...]], hyper: FeedbackHyperparameters, rng: np.random.Generator
) -> list[Any]:
    """Matrices (n_l, width) ~ U(±κ √(6/n_l)), κ = feedback_scale, n_l the layer that receives.

    Of a filter (channels, filters, rows, columns), n_l = channels · rows · columns: what it sees.
    """
    fans = [(shape, math.prod(shape) // shape[1]) for shape in shapes]
    return [hyper.feedback_scale * draw("he_uniform", rng, s, fan_in=n) for s, n in fans]


def synapses(sizes: Sequence[int]) -> int:
    """Σ n_l n_{l-1}: multiply-adds of one forward pass, or of one update of all weights."""
    return sum(n * m for n, m in pairwise(sizes))
