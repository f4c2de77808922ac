"""A regression on targets of different sizes, and their scaling in two passes."""

from __future__ import annotations

from typing import Any

import numpy as np

from streaming.learner.learner import OnlineLearner

SIZES = (4, 6, 2)


def samples(n: int = 200, outputs: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Targets far from 0 with different standard deviations."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4))
    Y = np.stack([5000 + 300 * (X[:, 0] + X[:, 1] ** 2), -0.02 + 0.001 * X[:, 2]], axis=1)
    return X, Y[:, :outputs]


def learner(outputs: int = 2, **options: Any) -> OnlineLearner:
    sizes = (*SIZES[:-1], outputs)
    return OnlineLearner(
        **{"rule": "backprop", "sizes": sizes, "lr": 0.02, "task": "regression"} | options
    )


def moments(Y: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation in two passes; NaN and 0 without samples."""
    axis = 0 if kind == "running" else None
    if not len(Y):
        return np.full(Y.shape[1], np.nan), np.zeros(Y.shape[1])
    shape = (Y.shape[1],)
    return tuple(np.broadcast_to(f(Y, axis=axis), shape) for f in (np.mean, np.std))


def standardised(Y: np.ndarray, kind: str) -> np.ndarray:
    """Each row scaled by the rows up to and including it."""
    z = np.zeros(Y.shape)
    for t in range(len(Y)):
        mean, spread = moments(Y[: t + 1], kind)
        z[t] = np.where(spread > 0, (Y[t] - mean) / np.where(spread > 0, spread, 1), 0)
    return z
