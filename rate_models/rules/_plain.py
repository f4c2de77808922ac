"""Hyperparameters of rules with one forward pass."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from rate_models.model.hyperparameters import FIXED, NotNegative, Share
from rate_models.network import Init


class Hyperparameters(NamedTuple):
    """dropout: probability that a hidden unit is silent for a sample.

    init: distribution of W.
    """

    dropout: Share = 0.0
    init: Annotated[Init, FIXED] = "he_uniform"


class FeedbackHyperparameters(NamedTuple):
    """dropout: probability that a hidden unit is silent for a sample.

    init: distribution of W. feedback_scale: factor of B; with 0, a control, the hidden weights
    keep their initial values.
    """

    dropout: Share = 0.0
    init: Annotated[Init, FIXED] = "he_uniform"
    feedback_scale: Annotated[NotNegative, FIXED] = 1.0
