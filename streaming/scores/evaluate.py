"""Test-then-train (predict, score, learn), and scores on held-out samples."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rate_models.errors import BadOption, BadSample
from rate_models.network import one_hot
from streaming.scores.metrics import Metrics, Scored
from streaming.scores.regression import SCORES, as_row, is_regression


class Stopped(Exception):
    """An evaluation was stopped by the caller before its end."""


def progressive_val_score(
    stream: Iterable[tuple[Any, Any]],
    learner: Any,
    metric: Metrics | None = None,
    delay: int = 0,
    window: int = 1000,
) -> Metrics:
    """Predict, score and learn every sample (x, y) of ``stream``; returns the scores.

    learner: an `OnlineLearner`, or any object with predict_one(x) and learn_one(x, y). Such an
    object is scored as a regressor if the first y has decimals, or if y and its prediction are
    floats. Otherwise it is scored as a classifier, without losses, and its classes are numbered in
    order of appearance (`Metrics.labels`).
    metric: existing scores to update; they also determine the kind of scores.
    delay: how many samples later the label of a sample arrives. It is scored against the prediction
    at the time of x. At the end of the stream the pending labels are learned.
    window: the number of samples in windowed scores.
    Raises BadOption for a negative delay, and BadSample.

    >>> class Last:
    ...     label = None
    ...     def predict_one(self, x): return self.label
    ...     def learn_one(self, x, y): self.label = y
    >>> progressive_val_score([(0, "a"), (1, "a"), (2, "b")], Last()).get()["progressive_accuracy"]
    0.3333333333333333
    """
    if delay < 0:
        raise BadOption("delay", got=delay, expected="a number of samples from 0 on")
    if metric is None:
        stream, classes = _classes(stream, learner)
        metric = Metrics(None if classes is None else len(classes), window, classes)
    score = _scorer(learner, metric)
    waiting: deque[tuple[Any, Any]] = deque()
    for number, (x, y) in enumerate(stream):
        try:
            metric.update(*score(x, y))
        except BadSample as bad:
            raise BadSample(f"sample {number} of the stream, {bad}") from None
        if delay == 0:
            learner.learn_one(x, y)
            continue
        waiting.append((copy.copy(x), copy.copy(y)))  # a stream may reuse one buffer
        if len(waiting) > delay:
            learner.learn_one(*waiting.popleft())
    for x, y in waiting:
        learner.learn_one(x, y)
    return metric


def _classes(stream: Iterable[tuple[Any, Any]], learner: Any) -> tuple[Any, Any]:
    """The complete stream, and the classes known in advance; None for regression."""
    if hasattr(learner, "score_many"):
        return stream, learner.classes
    samples = iter(stream)
    first = list(islice(samples, 1))
    numbers = any(is_regression(y, partial(learner.predict_one, x)) for x, y in first)
    return chain(first, samples), None if numbers else ()


def _scorer(learner: Any, metric: Metrics) -> Callable[[Any, Any], Scored]:
    """A function from (x, y) to the arguments of `Metrics.update`, without learning."""
    if hasattr(learner, "score_many"):
        return lambda x, y: learner.score_many([x], [y])
    if metric.n_classes is None:

        def regression(x: Any, y: Any) -> Scored:
            true, predicted = as_row("y", y), as_row("prediction", learner.predict_one(x))
            return Scored(true, predicted, 0.5 * ((predicted - true) ** 2).sum(axis=1))

        return regression
    index = {label: i for i, label in enumerate(metric.labels or ())}

    def classification(x: Any, y: Any) -> Scored:
        both = [y, learner.predict_one(x)]
        true, predicted = [index.setdefault(label, len(index)) for label in both]
        metric.labels = tuple(index)
        return Scored([true], [predicted], None)

    return classification


def held_out(
    learner: Any,
    chunks: Iterable[tuple[Any, Any]],
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Accuracy, mean loss, confusion [true, predicted] and number n of held-out samples.

    chunks: pairs X (m, n_0), y (m,). A bad sample raises BadSample, or is left out if the learner
    skips bad samples. Without samples accuracy and loss are None. For regression accuracy and
    confusion are None, and there are also r2, rmse and mae. With many classes the confusion covers
    only the most frequent ones; confusion_classes has their indices.
    stop: called between two chunks; if it returns True, Stopped is raised.
    """
    classes = learner.classes
    metric = Metrics(None if classes is None else len(classes), window=1)
    for number, (X, y) in enumerate(chunks):
        if number and stop():
            raise Stopped
        metric.update(*learner.score_many(X, y))
    scores, (shown, confusion) = metric.get(), metric.shown()
    return {
        "accuracy": scores["progressive_accuracy"],
        "loss": scores["loss"],
        "confusion": confusion,
        "confusion_classes": shown,
        "n": scores["samples"],
        **{name: scores[name] for name in SCORES if name in scores},
    }


def losses_of(loss: str, outputs: NDArray[Any], truth: NDArray[Any]) -> NDArray[np.float64]:
    """The loss (N,) of outputs h (N, n_L) against class indices (N,) or targets (N, n_L).

    If h was rounded to 0 or 1, the nearest number inside (0, 1) is used instead.

    >>> losses_of("mse", np.array([[1.0, 0.0]]), np.array([1])).tolist()
    [1.0]
    """
    limits = np.finfo(outputs.dtype)
    if loss == "cross_entropy" and truth.ndim == 1:  # only one term of the sum is not 0
        right = outputs[np.arange(len(truth)), truth].astype(np.float64)
        return np.asarray(-np.log(np.maximum(right, limits.tiny)))
    h = outputs.astype(np.float64)
    y = one_hot(truth, h.shape[1]) if truth.ndim == 1 else truth
    if loss == "mse":
        return np.asarray(((h - y) ** 2).sum(axis=1) / 2)
    total = -(y * np.log(np.maximum(h, limits.tiny)))
    if loss == "binary_cross_entropy":
        total = total - (1 - y) * np.log(np.maximum(1 - h, limits.eps))
    return np.asarray(total.sum(axis=1))
