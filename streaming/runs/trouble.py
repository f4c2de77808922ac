"""Signs, while a run learns, that something is wrong with it: said once each, as a UserWarning.

- The loss rises over the run: the mean loss of every window in the last third of its lines is above
  that of the first third by a tenth or more.
- All units of a hidden layer are silent: whatever the input, they say the same.
- No hidden weight has changed since the last look: the teaching signal is zero, or so small that
  the precision of the weights swallows it. Not said where that was asked for (feedback_scale=0,
  eta_hidden=0, a cut or silenced circuit), nor while only feedback learns.

Looks at the network get further apart, so that a long run of a large one pays nothing for them.
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

EVERY = 500  # samples to the first look at the network; each distance is twice the one before
FURTHEST = 50_000  # and this at most
ENOUGH = 32  # samples for which a layer must be silent
RISE = 1.1  # of the loss, from the first third of the lines to the last
LINES = 9  # from which on a rise counts; they must cover
WINDOWS = 4  # this many windows of the metrics
# At 0 hidden layers do not learn, by request; samples in which they do not learn yet.
CONTROLS, DELAYS = ("feedback_scale", "eta_hidden"), ("warmup", "mirror_before")


class Trouble:
    """Looks at a run, at its metrics lines, and warns of each sign once."""

    def __init__(self, learner: OnlineLearner) -> None:
        self._learner = learner
        self._losses: list[float] = []
        self._said: set[str] = set()
        self._looked, self._weights = learner.samples_seen, _hidden_weights(learner)
        self._distance = EVERY
        self._asked_for = not _teaches(learner)

    def look(self, metrics: Metrics, X: NDArray[Any]) -> None:
        """At a metrics line. X (N, n_0): the last samples of the stream, as they came."""
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
        since = learner.samples_seen - self._looked
        if since < self._distance or not learner.sizes[1:-1]:
            return
        self._looked, before = learner.samples_seen, self._weights
        self._distance = min(2 * self._distance, FURTHEST)
        self._weights = _hidden_weights(learner)
        if len(X) >= ENOUGH and (layers := silent(learner, X)):
            self._warn(
                f"hidden layer {layers[0]}: all {learner.sizes[layers[0]]} units are silent "
                f"whatever the input, and cannot learn; lower the learning rate ({rate}) or scale "
                "the input"
            )
        elif before == self._weights and not self._asked_for and not _waits(learner):
            self._warn(
                f"the hidden weights have not changed for {since} samples: the teaching signal of "
                f"the hidden layers is zero, or too small for {learner.dtype} ({rate})"
            )

    def _warn(self, text: str) -> None:
        kind = text.partition(":")[0]
        if kind not in self._said:
            self._said.add(kind)
            warnings.warn(text, stacklevel=3)


def rises(losses: Sequence[float]) -> bool:
    """Whether all of the last third are above the mean of the first, by a tenth or more.

    >>> rises([1, 1, 1, 1, 1, 1, 1.2, 1.3, 1.4]), rises([1, 1, 1, 1, 1, 1, 1.2, 1.3, 1.0])
    (True, False)
    """
    third = len(losses) // 3
    if len(losses) < LINES:
        return False
    return min(losses[-third:]) > RISE * _mean(losses[:third])


def silent(learner: OnlineLearner, X: NDArray[Any]) -> list[int]:
    """The hidden layers all of whose units say the same to all of X (N, n_0)."""
    good = X[(np.abs(X.astype(float)) <= LARGEST[learner.dtype]).all(axis=1)]
    if len(good) < ENOUGH or not np.ptp(good, axis=0).any():
        return []
    hidden = learner.activities(good)[:-1]
    return [layer for layer, h in enumerate(hidden, start=1) if not np.ptp(h, axis=0).any()]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def _hidden_weights(learner: OnlineLearner) -> tuple[int, ...]:
    return tuple(
        zlib.crc32(np.ascontiguousarray(w).data.cast("B")) for w in learner.parameters()["W"][:-1]
    )


def _teaches(learner: OnlineLearner) -> bool:
    """Whether hidden layers are meant to learn."""
    options = learner.network.options
    cut = any(options.get(name) for name in ("cut", "silence"))
    return not cut and all(options.get(name, 1) for name in CONTROLS)


def _waits(learner: OnlineLearner) -> bool:
    """Whether only feedback learns, so far."""
    options = learner.network.options
    return learner.samples_seen <= EVERY + max(int(options.get(name, 0)) for name in DELAYS)
