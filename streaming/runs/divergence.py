"""Detection of divergence before numbers become infinite or NaN."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rate_models.errors import Diverged
from streaming.learner.entry import LARGEST
from streaming.learner.learner import OnlineLearner
from streaming.scores.metrics import Metrics

HOPELESS = 1000  # multiple of ln n, the loss of a uniform guess among n classes
ENOUGH = 32  # the least number of samples for which a dead layer is silent


def check(learner: OnlineLearner, metrics: Metrics, X: NDArray[np.generic]) -> None:
    """Raise Diverged if a classifier cannot learn any more. X (N, n_0): samples of the stream.

    With n classes there are two conditions:

    - The windowed mean loss is above `HOPELESS` · ln n and does not fall: it is above half of the
      mean over the whole run.
    - The windowed mean loss is that of a uniform guess or worse (at least ln n), and a hidden layer
      is silent for all good samples of X, which are `ENOUGH` or more. No rule can change such a
      layer.
    """
    scores, classes = metrics.get(), metrics.n_classes
    loss = scores["windowed_loss"]
    if loss is None or not classes or classes < 2 or loss < 0.999 * math.log(classes):
        return
    sign = None
    if loss > HOPELESS * math.log(classes) and loss > scores["loss"] / 2:
        sign = f"a mean loss of {loss:.3g} over the last {metrics.window:,} samples"
    else:
        good = X[(np.abs(X.astype(float)) <= LARGEST[learner.dtype]).all(axis=1)]
        if len(good) < ENOUGH:
            return
        hidden = learner.activities(good)[:-1]
        silent = [layer for layer, h in enumerate(hidden, start=1) if h.size and not h.any()]
        if silent:
            sign = f"layer {silent[0]} silent whatever the input"
    if sign:
        raise Diverged(
            f"sample {learner.samples_seen}",
            got=sign,
            remedy=learner.network.remedy,
        )
