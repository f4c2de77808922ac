"""``predictions.csv``: targets and predictions of some samples of a regression.

There is one row per sample: ``true`` and ``predicted``, or with several outputs ``true_0``,
``true_1``, ..., ``predicted_0``, ..., in the units of the targets. The samples are the first
held-out ones. If no held-out samples were scored, they are the last of the stream, each predicted
before it was learned.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streaming.files.folder import write_text
from streaming.learner.learner import OnlineLearner
from streaming.scores.metrics import Scored
from streaming.sources import Source

FILE = "predictions.csv"
SAMPLES = 1000
NUMBERS = 100_000  # targets in the file at most; ten samples are written in any case

Array = NDArray[np.float64]


class Examples:
    """The last samples of a stream with n_outputs targets each, as many as the file has."""

    def __init__(self, n_outputs: int) -> None:
        self._most = min(SAMPLES, max(10, NUMBERS // n_outputs))
        self._rows = np.zeros((0, 2, n_outputs))  # (sample, true or predicted, output)

    def add(self, scored: Scored) -> None:
        """Add samples of the stream."""
        self._rows = np.concatenate([self._rows, _known(scored)])[-self._most :]

    def state(self) -> Array:
        """The samples (n, 2, n_outputs), for a checkpoint."""
        return self._rows.copy()

    def load_state(self, rows: Array) -> None:
        """Restore `state`; ValueError for invalid numbers."""
        if not np.isfinite(rows).all():
            raise ValueError("examples that are NaN or infinite")
        self._rows = rows.astype(np.float64).reshape(-1, *self._rows.shape[1:])[-self._most :]

    def write(self, folder: Path, learner: OnlineLearner, source: Source | None) -> None:
        """Write the file with held-out samples of ``source``, or else with the last samples."""
        rows = self._rows
        for X, y in (source and source.test(self._most)) or ():
            rows = _known(learner.score_many(X, y))
            break
        if not len(rows):
            return
        n = rows.shape[2]
        ends = [""] if n == 1 else [f"_{i}" for i in range(n)]
        names = [f"{name}{end}" for name in ("true", "predicted") for end in ends]
        text = io.StringIO()
        flat = rows.reshape(len(rows), -1)
        np.savetxt(text, flat, "%.9g", ",", header=",".join(names), comments="")
        write_text(folder / FILE, text.getvalue())


def _known(scored: Scored) -> Array:
    """(sample, true or predicted, output) of the samples that have a prediction."""
    rows = np.stack([scored.true, scored.predicted], axis=1)
    return np.asarray(rows[~np.isnan(rows).any(axis=(1, 2))])


def read(folder: Path) -> tuple[Any, Any] | None:
    """Targets and predictions (N, n) in a run's folder; None if there is no file."""
    try:
        table = np.loadtxt(folder / FILE, delimiter=",", skiprows=1, ndmin=2)
    except FileNotFoundError:
        return None
    n = table.shape[1] // 2
    return table[:, :n], table[:, n:]
