"""Test-then-train: scores of a stream, in all and over a window, exact under any chunking."""

from __future__ import annotations

import copy
import math
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain, islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rate_models.errors import BadOption, BadSample
from rate_models.network import one_hot
from rate_models.support import bounds
from streaming.files.checkpoint import part
from streaming.scores.regression import SCORES, RegressionScores, as_row, is_regression

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
    if len(parts) == 1:
        return parts[0]
    return Scored(*(np.concatenate(part) for part in zip(*parts, strict=True)))


DENSE = 1000  # classes up to which the confusion is one matrix
SHOWN_WHOLE, SHOWN = 200, 20  # up to so many classes all are shown, else the most frequent ones


class Stopped(Exception):
    """What was asked for has not been finished, since whoever asked wants to stop."""


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
        self._regression = RegressionScores(window) if n_classes is None else None
        # How often class t was taken for class p, at t · 2³² + p: few of all pairs occur.
        self._pairs: Counter[int] = Counter()

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
            self.n_classes = max(self.n_classes, int(max(t.max(), p.max())) + 1)
            self._pairs.update((t << 32 | p).tolist())
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

    @property
    def confusion(self) -> NDArray[np.int64]:
        """How often class i was taken for class j, [i, j]; BadOption with more than 1,000 classes.

        For those `largest` has the part that belongs to the most frequent ones.
        """
        n = self.n_classes or 0
        if n > DENSE:
            raise BadOption(
                "confusion", got=f"{n:,} classes", expected=f"{DENSE:,} at most",
                remedy="`largest` has the part that belongs to the most frequent ones",
            )  # fmt: skip
        return self._among(np.arange(n))

    def largest(self, n: int = SHOWN) -> tuple[list[int], NDArray[np.int64]]:
        """The n classes with most samples, in order; and `confusion` among them."""
        true = self._table()
        counts = Counter[int]()
        for t, _, count in true.tolist():
            counts[t] += count
        most = sorted(t for t, _ in counts.most_common(n))
        return most, self._among(np.array(most, np.int64))

    def shown(self) -> tuple[list[int] | None, NDArray[np.int64] | None]:
        """What a person can look at: `confusion`, or `largest` where there are many classes."""
        if self.n_classes is None:
            return None, None
        return self.largest() if self.n_classes > SHOWN_WHOLE else (None, self.confusion)

    def _table(self) -> NDArray[np.int64]:
        """[true, predicted, count] of the pairs that occurred, (pairs, 3)."""
        code = np.fromiter(self._pairs.keys(), np.int64, len(self._pairs))
        count = np.fromiter(self._pairs.values(), np.int64, len(self._pairs))
        return np.stack([code >> 32, code & 0xFFFFFFFF, count], axis=1)

    def _among(self, classes: NDArray[np.int64]) -> NDArray[np.int64]:
        place = {int(label): i for i, label in enumerate(classes)}
        found = np.zeros((len(classes), len(classes)), np.int64)
        for t, p, count in self._table().tolist():
            if t in place and p in place:
                found[place[t], place[p]] = count
        return found

    def state(self) -> dict[str, NDArray[Any]]:
        """Copies of all that a continuation needs, as small arrays."""
        regression = self._regression.state() if self._regression else {}
        return {
            "counts": np.array([self.samples, self.correct], np.int64),
            "loss": np.array([self._loss]),
            "hits": self._hits.copy(),
            "losses": self._losses.copy(),
            "classes": np.array([self.n_classes or 0], np.int64),
            "pairs": self._table(),
            **{f"{REGRESSION}{name}": array for name, array in regression.items()},
        }

    def load_state(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take over what `state` gave, its window included; BadOption where it cannot be one."""
        samples, correct = _whole("counts", arrays["counts"], (2,)).tolist()
        if not correct <= samples:
            raise BadOption("counts", got=f"{correct} of {samples} right")
        hits, losses = np.asarray(arrays["hits"]), np.asarray(arrays["losses"])
        if (
            hits.dtype != np.bool_
            or losses.dtype.kind != "f"
            or not hits.shape == losses.shape == (max(losses.size, 1),)
        ):
            raise BadOption("hits and losses", expected="as many, one for each sample of a window")
        loss = np.asarray(arrays["loss"])
        if loss.shape != (1,) or loss.dtype.kind != "f":
            raise BadOption("loss", got=f"shape {loss.shape}", expected="one number")
        table, classes = self._stored_pairs(arrays, samples)
        self.samples, self.correct, self._loss = samples, correct, float(loss[0])
        self._hits, self._losses = hits.copy(), losses.astype(np.float64)
        self._pairs = Counter({t << 32 | p: count for t, p, count in table.tolist()})
        if self.n_classes is not None:
            self.n_classes = classes
        if self._regression is not None:
            self._regression = RegressionScores(self.window)
            self._regression.load_state(part(REGRESSION, arrays))

    def _stored_pairs(
        self, arrays: Mapping[str, NDArray[Any]], samples: int
    ) -> tuple[NDArray[np.int64], int]:
        """`_table` and how many classes there are, of a state."""
        if "confusion" in arrays:  # as it was stored at first: all of the matrix
            given = np.asarray(arrays["confusion"])
            dense = _whole("confusion", given, (len(given), len(given)) if given.ndim else (0, 0))
            at = np.argwhere(dense)
            table, classes = np.column_stack([at, dense[tuple(at.T)]]), len(dense)
        else:
            table = _whole("pairs", arrays["pairs"], (len(arrays["pairs"]), 3))
            classes = int(_whole("classes", arrays["classes"], (1,))[0])
        if len(table) and table[:, :2].max() >= classes:
            raise BadOption(
                "pairs", got=f"class {table[:, :2].max()}", expected=f"{classes} classes"
            )
        if len(table) and table[:, 2].sum() != samples:
            raise BadOption("pairs", got=f"{table[:, 2].sum()}", expected=f"{samples} samples")
        return table, classes


def _whole(what: str, given: Any, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Whole numbers of a state, none below 0 or beyond what is counted."""
    fit = bounds.fitting({what: given}, {what: np.zeros(shape, np.int64)})
    bounds.check(fit, {what: (0, bounds.MOST)})
    return fit[what]


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


def held_out(
    learner: Any,
    chunks: Iterable[tuple[Any, Any]],
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """accuracy, loss (mean), confusion [true, predicted] and n on samples that are not learned.

    chunks: (X (m, n_0), y (m,)). Bad samples raise, or are left out when the learner skips them.
    accuracy and loss are None without samples, accuracy and confusion for regression, which has
    r2, rmse and mae besides. With many classes confusion is that of the most frequent ones, whose
    indices are confusion_classes. stop: asked between two chunks; True raises Stopped.
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

    Where h has rounded to 0 or 1 the loss is that of the nearest number that has not.

    >>> losses_of("mse", np.array([[1.0, 0.0]]), np.array([1])).tolist()
    [1.0]
    """
    limits = np.finfo(outputs.dtype)
    if loss == "cross_entropy" and truth.ndim == 1:  # one term of the sum is not 0
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
