"""Test-then-train: scores of a stream, in all and over a window, exact under any chunking."""

from __future__ import annotations

import copy
import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain, islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rate_models.errors import BadOption, BadSample
from rate_models.network import one_hot
from streaming.checkpoint import part
from streaming.regression_scores import SCORES, RegressionScores, as_row, is_regression

REGRESSION = "regression."  # before the names of its scores, in a checkpoint


class Scored(NamedTuple):
    """What was said of samples: the arguments of `Metrics.update`.

    true, predicted: class indices (N,), or targets and outputs (N, n_L) for regression.
    losses: (N,), or None.
    """

    true: Any
    predicted: Any
    losses: Any


def joined(parts: Sequence[Scored]) -> Scored:
    """What was said of several blocks of samples, one after another."""
    return Scored(*(np.concatenate(part) for part in zip(*parts, strict=True)))


class Metrics:
    """Running scores of a stream of predictions.

    n_classes: how many classes; more may turn up later (0: as they come). None for regression,
    which has the scores of `RegressionScores` and no accuracy. window: how many of the last
    samples ``windowed_*`` take. labels: of the classes, in the order of `confusion`, when known.

    >>> m = Metrics(2, window=2)
    >>> m.update([0, 1, 1], [1, 1, 1], [0.5, 0.25, 0.25])
    >>> m.get()["windowed_accuracy"], m.confusion.tolist()
    (1.0, [[0, 1], [0, 2]])
    """

    def __init__(
        self, n_classes: int | None, window: int = 1000, labels: tuple[Any, ...] | None = None
    ) -> None:
        if window < 1:
            raise BadOption("window", got=window, expected="at least 1")
        self.n_classes, self.labels = n_classes, labels
        self.samples, self.correct, self._loss = 0, 0, 0.0
        self._hits = np.zeros(window, np.bool_)
        self._losses = np.zeros(window)
        n = n_classes or 0
        self.confusion: NDArray[np.int64] = np.zeros((n, n), np.int64)  # [true, predicted]
        self._regression = RegressionScores(window) if n_classes is None else None

    @property
    def window(self) -> int:
        """How many of the last samples the windowed scores take."""
        return len(self._losses)

    def update(self, true: ArrayLike, predicted: ArrayLike, losses: ArrayLike | None) -> None:
        """Add samples: indices of true and predicted classes (N,), losses (N,) or None.

        For regression ``true`` and ``predicted`` are targets and predictions (N,) or (N, n_L).
        """
        t = np.asarray(true)
        n = len(t)
        loss = np.full(n, np.nan) if losses is None else np.asarray(losses, np.float64)
        hits = np.zeros(n, np.bool_)
        if self.n_classes is not None and n:
            t, p = t.astype(np.int64), np.asarray(predicted, np.int64)
            more = int(max(t.max(), p.max())) + 1 - len(self.confusion)
            if more > 0:
                self.confusion = np.pad(self.confusion, (0, more))
                self.n_classes = len(self.confusion)
            np.add.at(self.confusion, (t, p), 1)
            hits = t == p
            self.correct += int(hits.sum())
        if self._regression is not None and n:
            self._regression.update(true, predicted)
        # cumsum adds one after the other, so that no chunking changes a bit
        self._loss = float(np.cumsum(np.concatenate([[self._loss], loss]))[-1])
        last = min(n, self.window)
        place = np.arange(self.samples + n - last, self.samples + n) % self.window
        self._hits[place], self._losses[place] = hits[n - last :], loss[n - last :]
        self.samples += n

    def get(self) -> dict[str, Any]:
        """samples, progressive_accuracy, windowed_accuracy, loss, windowed_loss (both means);
        for regression also what `RegressionScores.get` has.

        None stands for what is not known: no sample yet, no losses, no classes.
        """
        n, recent = self.samples, min(self.samples, self.window)
        scored = n > 0 and self.n_classes is not None
        windowed = float(self._losses[:recent].mean()) if n else math.nan
        return {
            "samples": n,
            "progressive_accuracy": self.correct / n if scored else None,
            "windowed_accuracy": float(self._hits[:recent].mean()) if scored else None,
            "loss": None if n == 0 or math.isnan(self._loss) else self._loss / n,
            "windowed_loss": None if math.isnan(windowed) else windowed,
            **(self._regression.get() if self._regression else {}),
        }

    def state(self) -> dict[str, NDArray[Any]]:
        """Copies of all that a continuation needs, as small arrays."""
        regression = self._regression.state() if self._regression else {}
        return {
            "counts": np.array([self.samples, self.correct], np.int64),
            "loss": np.array([self._loss]),
            "hits": self._hits.copy(),
            "losses": self._losses.copy(),
            "confusion": self.confusion.copy(),
            **{f"{REGRESSION}{name}": array for name, array in regression.items()},
        }

    def load_state(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take over what `state` gave, its window included."""
        self.samples, self.correct = (int(count) for count in arrays["counts"])
        self._loss = float(arrays["loss"][0])
        self._hits, self._losses = arrays["hits"].copy(), arrays["losses"].copy()
        self.confusion = arrays["confusion"].copy()
        if self.n_classes is not None:
            self.n_classes = len(self.confusion)
        if self._regression is not None:
            self._regression = RegressionScores(self.window)
            self._regression.load_state(part(REGRESSION, arrays))


def progressive_val_score(
    stream: Iterable[tuple[Any, Any]],
    learner: Any,
    metric: Metrics | None = None,
    delay: int = 0,
    window: int = 1000,
) -> Metrics:
    """Predict, score, learn, for every (x, y) of ``stream``; the scores, which can be added to.

    learner: an `OnlineLearner`, or anything with predict_one(x) and learn_one(x, y). It is scored
    as a regressor where the first y has decimals, or y and its prediction are floats; else as a
    classifier, without losses, whose classes are numbered as they turn up (`Metrics.labels`).
    metric: scores to be added to, and so what kind they are.
    delay: how many samples later a label comes; it is scored against what was said when x came.
    At the end of the stream the labels still on their way are learned from.

    >>> class Last:
    ...     said = None
    ...     def predict_one(self, x): return self.said
    ...     def learn_one(self, x, y): self.said = y
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
        waiting.append((copy.copy(x), copy.copy(y)))  # a stream may fill one buffer again
        if len(waiting) > delay:
            learner.learn_one(*waiting.popleft())
    for x, y in waiting:
        learner.learn_one(x, y)
    return metric


def _classes(stream: Iterable[tuple[Any, Any]], learner: Any) -> tuple[Any, Any]:
    """The stream, whole again, and the classes that are known before it; None for regression."""
    if hasattr(learner, "score_many"):
        return stream, learner.classes
    samples = iter(stream)
    first = list(islice(samples, 1))
    numbers = any(is_regression(y, partial(learner.predict_one, x)) for x, y in first)
    return chain(first, samples), None if numbers else ()


def _scorer(learner: Any, metric: Metrics) -> Callable[[Any, Any], Scored]:
    """What turns (x, y) into the arguments of `Metrics.update`, without learning."""
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
        places = [index.setdefault(label, len(index)) for label in both]
        metric.labels = tuple(index)
        return Scored([places[0]], [places[1]], None)

    return classification


def held_out(learner: Any, chunks: Iterable[tuple[Any, Any]]) -> dict[str, Any]:
    """accuracy, loss (mean), confusion [true, predicted] and n on samples that are not learned.

    chunks: (X (m, n_0), y (m,)). Bad samples raise, or are left out when the learner skips them.
    accuracy and loss are None without samples, accuracy and confusion for regression, which has
    r2, rmse and mae besides.
    """
    classes = learner.classes
    metric = Metrics(None if classes is None else len(classes), window=1)
    for X, y in chunks:
        metric.update(*learner.score_many(X, y))
    scores = metric.get()
    return {
        "accuracy": scores["progressive_accuracy"],
        "loss": scores["loss"],
        "confusion": None if classes is None else metric.confusion,
        "n": scores["samples"],
        **{name: scores[name] for name in SCORES if name in scores},
    }


def losses_of(loss: str, outputs: NDArray[Any], truth: NDArray[Any]) -> NDArray[np.float64]:
    """The loss (N,) of outputs h (N, n_L) against class indices (N,) or targets (N, n_L).

    Where h has rounded to 0 or 1 the loss is that of the nearest number that has not.

    >>> losses_of("mse", np.array([[1.0, 0.0]]), np.array([1])).tolist()
    [1.0]
    """
    h, limits = outputs.astype(np.float64), np.finfo(outputs.dtype)
    y = one_hot(truth, h.shape[1]) if truth.ndim == 1 else truth
    if loss == "mse":
        return np.asarray(((h - y) ** 2).sum(axis=1) / 2)
    total = -(y * np.log(np.maximum(h, limits.tiny)))
    if loss == "binary_cross_entropy":
        total = total - (1 - y) * np.log(np.maximum(1 - h, limits.eps))
    return np.asarray(total.sum(axis=1))
