"""Running scores of a stream, in total and over a window, independent of chunking."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rate_models.errors import BadOption
from rate_models.support import bounds
from streaming.files.checkpoint import part
from streaming.scores.drift_detector import DriftDetector
from streaming.scores.regression import RegressionScores

# Prefixes in a checkpoint: of the regression scores, and of the drift detector.
REGRESSION, DRIFT = "regression.", "drift."
DENSE = 1000  # the largest number of classes for a full confusion matrix
SHOWN_WHOLE, SHOWN = 200, 20  # up to 200 classes all are shown, else the 20 most frequent


class Scored(NamedTuple):
    """Predictions with their targets and losses: the arguments of `Metrics.update`.

    true, predicted: class indices (N,), or targets and outputs (N, n_L) for regression. A predicted
    class of -1 is no prediction: it is wrong, and not part of a confusion.
    losses: (N,), or None.
    """

    true: Any
    predicted: Any
    losses: Any


def joined(parts: Sequence[Scored]) -> Scored:
    """The predictions of several chunks of samples, concatenated."""
    if len(parts) == 1:
        return parts[0]
    return Scored(*(np.concatenate(part) for part in zip(*parts, strict=True)))


class Metrics:
    """Running scores of a stream of predictions.

    n_classes: the number of classes; it grows if more classes occur, and may start at 0. None for
    regression, which has the scores of `RegressionScores` and no accuracy. window: the number of
    samples in ``windowed_*`` scores. labels: the labels of the classes in the order of `confusion`,
    if known. detector: watches the errors of a classification. Raises BadOption for a window below
    1, or a detector without classes.

    >>> m = Metrics(2, window=2)
    >>> m.update([0, 1, 1], [1, 1, 1], [0.5, 0.25, 0.25])
    >>> m.get()["windowed_accuracy"], m.confusion.tolist()
    (1.0, [[0, 1], [0, 2]])
    """

    def __init__(
        self,
        n_classes: int | None,
        window: int = 1000,
        labels: tuple[Any, ...] | None = None,
        detector: DriftDetector | None = None,
    ) -> None:
        if window < 1:
            raise BadOption("window", got=window, expected="at least 1")
        if detector is not None and n_classes is None:
            raise BadOption("--drift-detector", got=f"{detector.name}, with numbers to predict",
                            expected="labels, which are right or wrong")  # fmt: skip
        self.detector = detector
        self.n_classes, self.labels = n_classes, labels
        self.samples, self.correct, self._loss = 0, 0, 0.0
        self._hits = np.zeros(window, np.bool_)
        self._losses = np.zeros(window)
        self._regression = RegressionScores(window) if n_classes is None else None
        # Count of (true t, predicted p), with key t · 2³² + p: only few of all pairs occur.
        self._pairs: Counter[int] = Counter()

    @property
    def window(self) -> int:
        """The number of samples in windowed scores."""
        return len(self._losses)

    def update(self, true: ArrayLike, predicted: ArrayLike, losses: ArrayLike | None) -> None:
        """Add samples: indices of true and predicted classes (N,), and losses (N,) or None.

        For regression ``true`` and ``predicted`` are targets and predictions (N,) or (N, n_L).
        """
        t = np.asarray(true)
        n = len(t)
        loss = np.full(n, np.nan) if losses is None else np.asarray(losses, np.float64)
        hits = np.zeros(n, np.bool_)
        if self.n_classes is not None and n:
            t, p = t.astype(np.int64), np.asarray(predicted, np.int64)
            self.n_classes = max(self.n_classes, int(max(t.max(), p.max())) + 1)
            self._pairs.update((t << 32 | p)[p >= 0].tolist())
            hits = t == p
            self.correct += int(hits.sum())
            if self.detector is not None:
                self.detector.update(~hits)
        if self._regression is not None and n:
            self._regression.update(true, predicted)
        # cumsum adds in order, so that the result does not depend on chunks
        self._loss = float(np.cumsum(np.concatenate([[self._loss], loss]))[-1])
        last = min(n, self.window)
        slots = np.arange(self.samples + n - last, self.samples + n) % self.window
        self._hits[slots], self._losses[slots] = hits[n - last :], loss[n - last :]
        self.samples += n

    def recent(self, n: int) -> NDArray[np.bool_]:
        """Whether each of the last n samples was right, (n,); fewer if there are not so many."""
        n = min(n, self.samples, self.window)
        return np.asarray(self._hits[np.arange(self.samples - n, self.samples) % self.window])

    def get(self) -> dict[str, Any]:
        """{samples, progressive_accuracy, windowed_accuracy, loss, windowed_loss}.

        Losses are means. For regression the scores of `RegressionScores.get` are included, with a
        drift detector those of `DriftDetector.get`. A score is None if it is not defined: without
        samples, losses or classes.
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
            **(self.detector.get() if self.detector else {}),
        }

    @property
    def confusion(self) -> NDArray[np.int64]:
        """The number of samples of class i predicted as class j, [i, j].

        Raises BadOption for more than 1,000 classes: use `largest` for the most frequent ones.
        """
        n = self.n_classes or 0
        if n > DENSE:
            raise BadOption(
                "confusion", got=f"{n:,} classes", expected=f"{DENSE:,} at most",
                remedy="`largest` has the part that belongs to the most frequent ones",
            )  # fmt: skip
        return self._among(np.arange(n))

    def largest(self, n: int = SHOWN) -> tuple[list[int], NDArray[np.int64]]:
        """The n most frequent classes in ascending order, and the `confusion` among them."""
        true = self._table()
        counts = Counter[int]()
        for t, _, count in true.tolist():
            counts[t] += count
        most = sorted(t for t, _ in counts.most_common(n))
        return most, self._among(np.array(most, np.int64))

    def shown(self) -> tuple[list[int] | None, NDArray[np.int64] | None]:
        """`confusion` of all classes, or `largest` if there are more than `SHOWN_WHOLE` classes."""
        if self.n_classes is None:
            return None, None
        return self.largest() if self.n_classes > SHOWN_WHOLE else (None, self.confusion)

    def _table(self) -> NDArray[np.int64]:
        """[true, predicted, count] of the pairs that occurred, (pairs, 3)."""
        code = np.fromiter(self._pairs.keys(), np.int64, len(self._pairs))
        count = np.fromiter(self._pairs.values(), np.int64, len(self._pairs))
        return np.stack([code >> 32, code & 0xFFFFFFFF, count], axis=1)

    def _among(self, classes: NDArray[np.int64]) -> NDArray[np.int64]:
        """The confusion among these classes."""
        index = {int(label): i for i, label in enumerate(classes)}
        confusion = np.zeros((len(classes), len(classes)), np.int64)
        for t, p, count in self._table().tolist():
            if t in index and p in index:
                confusion[index[t], index[p]] = count
        return confusion

    def state(self) -> dict[str, NDArray[Any]]:
        """The whole state as copies, in small arrays."""
        regression = self._regression.state() if self._regression else {}
        detected = self.detector.state() if self.detector else {}
        return {
            "counts": np.array([self.samples, self.correct], np.int64),
            "loss": np.array([self._loss]),
            "hits": self._hits.copy(),
            "losses": self._losses.copy(),
            "classes": np.array([self.n_classes or 0], np.int64),
            "pairs": self._table(),
            **{f"{REGRESSION}{name}": array for name, array in regression.items()},
            **{f"{DRIFT}{name}": array for name, array in detected.items()},
        }

    def load_state(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Restore what `state` returned, with its window. Raises BadOption for an invalid state."""
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
        if self.detector is not None:
            self.detector.load_state(part(DRIFT, arrays))

    def _stored_pairs(
        self, arrays: Mapping[str, NDArray[Any]], samples: int
    ) -> tuple[NDArray[np.int64], int]:
        """`_table` and the number of classes in a stored state."""
        if "confusion" in arrays:  # the old format: the full matrix
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
        if table[:, 2].sum() > samples:
            raise BadOption("pairs", got=f"{table[:, 2].sum()}", expected=f"{samples} at most")
        return table, classes


def _whole(what: str, given: Any, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Integers of a stored state. Raises BadOption unless they are from 0 to `bounds.MOST`."""
    fit = bounds.fitting({what: given}, {what: np.zeros(shape, np.int64)})
    bounds.check(fit, {what: (0, bounds.MOST)})
    return fit[what]
