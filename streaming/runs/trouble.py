"""Warnings about a run that does not learn well. Each is given once, as a UserWarning.

- The loss rises: each windowed loss in the last third of the metrics lines is above the mean of the
  first third by more than 10 %.
- A hidden layer is silent: the activities of all its units do not depend on the input.
- No hidden weight has changed since the last check: the teaching signal is zero, or below the
  precision of the weights. There is no warning if this was requested (feedback_scale=0,
  eta_hidden=0, a cut or silenced circuit), nor while only feedback weights learn.

The intervals between checks of the network grow, so that their cost is negligible in a long run.
"""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streaming.learner.entry import LARGEST
from streaming.learner.learner import OnlineLearner
from streaming.scores.metrics import Metrics

EVERY = 500  # samples before the first check of the network; each interval doubles the last
LONGEST = 50_000  # samples: the longest interval
ENOUGH = 32  # the least number of samples for which a layer must be silent
RISE = 1.1  # ratio of the losses in the last and the first third of the lines
LINES = 9  # the least number of lines for a rise; they must cover
WINDOWS = 4  # at least this many windows of the metrics
# Options that, if 0, turn off learning in hidden layers; options that delay it, in samples.
CONTROLS, DELAYS = ("feedback_scale", "eta_hidden"), ("warmup", "mirror_before")


class Trouble:
    """Checks a run at its metrics lines, and gives each warning once."""

    def __init__(self, learner: OnlineLearner) -> None:
        self._learner = learner
        self._losses: list[float] = []
        self._warned: set[str] = set()
        self._checked, self._weights = learner.samples_seen, _hidden_weights(learner)
        self._interval = EVERY
        self._turned_off = not _learns(learner)

    def look(self, metrics: Metrics, X: NDArray[Any]) -> None:
        """Check the run at a metrics line. X (N, n_0): the last samples of the stream, unscaled."""
        learner, scores = self._learner, metrics.get()
        if scores["windowed_loss"] is not None:
            self._losses.append(scores["windowed_loss"])
        rate = f"lr={learner.lr:g}"
        if scores["samples"] >= WINDOWS * metrics.window and rises(self._losses):
            self._warn(
                "the loss rises over the run: "
                f"{_mean(self._losses[: len(self._losses) // 3]):.3g} at its start, "
                f"{self._losses[-1]:.3g} now; lower the learning rate ({rate}) or scale the input"
            )
        since = learner.samples_seen - self._checked
        if since < self._interval or not learner.sizes[1:-1]:
            return
        self._checked, before = learner.samples_seen, self._weights
        self._interval = min(2 * self._interval, LONGEST)
        self._weights = _hidden_weights(learner)
        if len(X) >= ENOUGH and (layers := silent(learner, X)):
            self._warn(
                f"hidden layer {layers[0]}: all {learner.sizes[layers[0]]} units are silent "
                f"whatever the input, and cannot learn; lower the learning rate ({rate}) or scale "
                "the input"
            )
        elif before == self._weights and not self._turned_off and not _waits(learner):
            self._warn(
                f"the hidden weights have not changed for {since} samples: the teaching signal of "
                f"the hidden layers is zero, or too small for {learner.dtype} ({rate})"
            )

    def _warn(self, text: str) -> None:
        kind = text.partition(":")[0]
        if kind not in self._warned:
            self._warned.add(kind)
            warnings.warn(text, stacklevel=3)


def rises(losses: Sequence[float]) -> bool:
    """Whether each loss of the last third exceeds `RISE` times the mean of the first third.

    >>> rises([1, 1, 1, 1, 1, 1, 1.2, 1.3, 1.4]), rises([1, 1, 1, 1, 1, 1, 1.2, 1.3, 1.0])
    (True, False)
    """
    third = len(losses) // 3
    if len(losses) < LINES:
        return False
    return min(losses[-third:]) > RISE * _mean(losses[:third])


def silent(learner: OnlineLearner, X: NDArray[Any]) -> list[int]:
    """The hidden layers whose activities are the same for all rows of X (N, n_0)."""
    good = X[(np.abs(X.astype(float)) <= LARGEST[learner.dtype]).all(axis=1)]
    if len(good) < ENOUGH or not np.ptp(good, axis=0).any():
        return []
    hidden = learner.activities(good)[:-1]
    return [layer for layer, h in enumerate(hidden, start=1) if not np.ptp(h, axis=0).any()]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def _hidden_weights(learner: OnlineLearner) -> tuple[int, ...]:
    """Checksums of the weights of all hidden layers."""
    return tuple(
        zlib.crc32(np.ascontiguousarray(w).data.cast("B")) for w in learner.parameters()["W"][:-1]
    )


def _learns(learner: OnlineLearner) -> bool:
    """Whether the options let hidden layers learn."""
    options = learner.network.options
    cut = any(options.get(name) for name in ("cut", "silence"))
    return not cut and all(options.get(name, 1) for name in CONTROLS)


def _waits(learner: OnlineLearner) -> bool:
    """Whether only feedback weights have learned so far."""
    options = learner.network.options
    return learner.samples_seen <= EVERY + max(int(options.get(name, 0)) for name in DELAYS)
