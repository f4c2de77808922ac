"""Signs that a run is lost, before its numbers stop being finite."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rate_models.errors import Diverged
from streaming.learner.entry import LARGEST
from streaming.learner.learner import OnlineLearner
from streaming.scores.metrics import Metrics

HOPELESS = 1000  # times the loss of a guess, ln n among n classes
ENOUGH = 32  # samples for which a layer must be silent to count as dead


def check(learner: OnlineLearner, metrics: Metrics, X: NDArray[np.generic]) -> None:
    """Raise Diverged where a classifier can learn no more; X (N, n_0): samples of the stream.

    Either its mean loss over the last window is `HOPELESS` times that of a guess, ln n, and does
    not fall: it is above half of the mean so far. Or it says no more than a guess (loss ≥ ln n)
    and a hidden layer is silent for all of X, `ENOUGH` or more good samples, so that no rule can
    change it.
    """
    scores, classes = metrics.get(), metrics.n_classes
    loss = scores["windowed_loss"]
    if loss is None or not classes or classes < 2 or loss < 0.999 * math.log(classes):
        return
    found = None
    if loss > HOPELESS * math.log(classes) and loss > scores["loss"] / 2:
        found = f"a mean loss of {loss:.3g} over the last {metrics.window:,} samples"
    else:
        good = X[(np.abs(X.astype(float)) <= LARGEST[learner.dtype]).all(axis=1)]
        if len(good) < ENOUGH:
            return
        hidden = learner.activities(good)[:-1]
        silent = [layer for layer, h in enumerate(hidden, start=1) if h.size and not h.any()]
        if silent:
            found = f"layer {silent[0]} silent whatever the input"
    if found:
        raise Diverged(
            f"sample {learner.samples_seen}",
            got=found,
            remedy=learner.network.remedy,
        )
