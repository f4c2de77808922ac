"""Detection of divergence by the loss, compared with the loss of a uniform guess."""

from __future__ import annotations

import numpy as np
import pytest

from rate_models.errors import Diverged
from streaming import OnlineLearner
from streaming.runs import divergence
from streaming.scores.metrics import Metrics


def scores(losses: np.ndarray, classes: int) -> Metrics:
    metrics = Metrics(classes)
    metrics.update(np.zeros(len(losses)), np.ones(len(losses)), losses)
    return metrics


@pytest.mark.parametrize(
    ("losses", "classes", "lost"),
    [
        (np.full(2000, 10_128.0), 2, True),
        (np.full(2000, 600.0), 2, False),  # below 1,000 ln 2
        (np.full(2000, 1500.0), 10, False),  # below 1,000 ln 10
        (np.full(2000, 2500.0), 10, True),
        (np.geomspace(1e6, 800, 3000), 2, False),  # still large, but falling
        (np.geomspace(1, 1e5, 3000), 2, True),
    ],
)
def test_hopeless_losses_are_detected(losses: np.ndarray, classes: int, lost: bool) -> None:
    learner = OnlineLearner(sizes=(3, 4, classes))
    X = np.random.default_rng(0).normal(size=(40, 3))
    if lost:
        with pytest.raises(Diverged, match="a mean loss of"):
            divergence.check(learner, scores(losses, classes), X)
    else:
        divergence.check(learner, scores(losses, classes), X)
