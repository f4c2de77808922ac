"""Running scores of a stream, in all and over a window, exact under any chunking."""

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
from streaming.scores.regression import RegressionScores

REGRESSION = "regression."  # before the names of its scores, in a checkpoint
DENSE = 1000  # classes up to which the confusion is one matrix
SHOWN_WHOLE, SHOWN = 200, 20  # up to so many classes all are shown, else the most frequent ones


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
