"""Calls from Python, one sample at a time: `OnlineLearner.learn_one` and `predict_one`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rate_models.compiler.kernel import Array
from rate_models.network import NetworkSpec
from streaming.learner.learner import OnlineLearner

SIZES = {f"learn_one-64-{n}-10": (64, n, 10) for n in (256, 32)}
SCENARIOS = tuple(SIZES)
Runner = Callable[[Array, Array], None]


def peers(spec: NetworkSpec, lr: float) -> dict[str, Callable[[], Runner] | None]:
    """Functions that make a fresh learner, to be called sample by sample."""

    def learner() -> OnlineLearner:
        return OnlineLearner("pepita", spec.sizes, lr=lr, dtype="float32")

    return {
        "learn_one": lambda: _vectors(learner()),
        "learn_one of dicts": lambda: _dicts(learner()),
        "predict_one": lambda: _predictions(learner()),
    }


def _vectors(learner: OnlineLearner) -> Runner:
    def learn(X: Array, labels: Array) -> None:
        for x, y in zip(X, labels.tolist(), strict=True):
            learner.learn_one(x, y)

    return learn


def _dicts(learner: OnlineLearner) -> Runner:
    names = [f"pixel {n}" for n in range(learner.sizes[0])]

    def learn(X: Array, labels: Array) -> None:
        for x, y in zip(np.asarray(X, np.float64).tolist(), labels.tolist(), strict=True):
            learner.learn_one(dict(zip(names, x, strict=True)), y)

    return learn


def _predictions(learner: OnlineLearner) -> Runner:
    def predict(X: Array, labels: Array) -> None:
        for x in X:
            learner.predict_one(x)

    return predict
