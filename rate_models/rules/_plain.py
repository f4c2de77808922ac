"""What rules share that take one forward pass: hyperparameters and random feedback."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field

from rate_models.model.hyperparameters import FIXED
from rate_models.network import Init, draw


class Hyperparameters(NamedTuple):
    """dropout: probability that a hidden unit is silent for a sample. init: of W."""

    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    init: Annotated[Init, FIXED] = "he_uniform"


class FeedbackHyperparameters(NamedTuple):
    """dropout: probability that a hidden unit is silent for a sample. init: of W.

    feedback_scale: factor of B; at 0 the hidden weights stay as drawn: the control.
    """

    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    init: Annotated[Init, FIXED] = "he_uniform"
    feedback_scale: Annotated[float, Field(ge=0, allow_inf_nan=False), FIXED] = 1.0


def random_feedback(
    shapes: Iterable[tuple[int, ...]], hyper: FeedbackHyperparameters, rng: np.random.Generator
) -> list[Any]:
    """Matrices (n_l, width) ~ U(±κ √(6/n_l)), κ = feedback_scale, n_l the layer that receives.

    Of a filter (channels, filters, rows, columns), n_l = channels · rows · columns: what it sees.
    """
    fans = [(shape, math.prod(shape) // shape[1]) for shape in shapes]
    return [hyper.feedback_scale * draw("he_uniform", rng, s, fan_in=n) for s, n in fans]
