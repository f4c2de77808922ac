"""Scores of learning under drift: accuracy over time, recovery, transfer and forgetting.

Two kinds of input: ``hits`` (n,), whether each sample of a stream was right before it was learned;
and the matrix ``R`` (k, T), R[i, j] the held-out accuracy on task j after period i of the stream. A
period learns one task; a task may be a concept of a drift or a group of classes.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rate_models.errors import BadOption

Floats = NDArray[np.float64]


def accuracy_over_time(hits: ArrayLike, window: int = 250) -> Floats:
    """The accuracy of the last ``window`` samples after each sample, (n,); of fewer at first.

    >>> accuracy_over_time([1, 0, 1, 1], window=2).tolist()
    [1.0, 0.5, 0.5, 1.0]
    """
    right = _hits(hits)
    if window < 1:
        raise BadOption("window", got=window, expected="at least 1")
    sums = np.concatenate([[0], np.cumsum(right)])
    last = np.arange(1, len(right) + 1)
    first = np.maximum(last - window, 0)
    return np.asarray((sums[last] - sums[first]) / np.maximum(last - first, 1))


def recovery_time(
    hits: ArrayLike, at: int, until: int | None = None, window: int = 250, fraction: float = 0.95
) -> int | None:
    """Samples from a drift at sample ``at`` until accuracy is back at ``fraction`` of its level.

    The level is the accuracy of the ``window`` samples before the drift. The result is the smallest
    n for which the last ``window`` of the n samples after the drift reach fraction · level. The
    windows lie after the drift, so n is ``window`` if nothing was lost. None if that is never so
    before sample ``until`` (default: the end). Raises BadOption without a whole window before the
    drift.

    After a drift from all right to all wrong for d samples, then all right again, accuracy in a
    window of w is back at the fraction f after d + ⌈f w⌉ samples, and after w at least:

    >>> hits = [1] * 10 + [0] * 7 + [1] * 10
    >>> recovery_time(hits, at=10, window=4, fraction=0.75)
    10
    """
    right = _hits(hits)
    end = len(right) if until is None else min(until, len(right))
    if window < 1 or not 0 < fraction <= 1:
        raise BadOption("window and fraction", got=f"{window}, {fraction}",
                        expected="at least 1, and above 0 to 1")  # fmt: skip
    if not window <= at <= end:
        raise BadOption("drift", got=f"at sample {at}, until {end}", expected=f"{window} before it")
    needed = fraction * right[at - window : at].sum()
    sums = np.concatenate([[0], np.cumsum(right[at:end])])
    back = np.flatnonzero(sums[window:] - sums[:-window] >= needed - 1e-9)
    return int(back[0]) + window if len(back) else None


def average_accuracy(R: ArrayLike) -> float:
    """ACC = 1/T Σ_j R[k, j] after the last period k (Lopez-Paz & Ranzato, NIPS 2017).

    >>> average_accuracy([[0.9, 0.2], [0.5, 0.8]])
    0.65
    """
    return float(_matrix(R)[-1].mean())


def backward_transfer(R: ArrayLike) -> float:
    """BWT = 1/(T-1) Σ_{j<T} R[T, j] - R[j, j] (Lopez-Paz & Ranzato, NIPS 2017).

    What learning later tasks did to earlier ones; below 0 they were forgotten. R (T, T): period j
    learns task j. Raises BadOption for another shape; NaN for a single task.

    >>> round(backward_transfer([[0.9, 0.2], [0.5, 0.8]]), 12)
    -0.4
    """
    r = _square(R)
    return _mean(r[-1, :-1] - np.diag(r)[:-1])


def forward_transfer(R: ArrayLike, before: ArrayLike) -> float:
    """FWT = 1/(T-1) Σ_{j>1} R[j-1, j] - b_j (Lopez-Paz & Ranzato, NIPS 2017).

    What earlier tasks did to a task before it was learned. before (T,): b_j, the accuracy on task j
    of the network before it learned anything. R: as for `backward_transfer`.

    >>> round(forward_transfer([[0.9, 0.2], [0.5, 0.8]], [0.1, 0.1]), 12)
    0.1
    """
    r, b = _square(R), np.asarray(before, np.float64)
    if b.shape != (len(r),):
        raise BadOption("before", got=f"shape {b.shape}", expected=f"({len(r)},), one per task")
    return _mean(np.diag(r, 1) - b[1:])


def forgetting(R: ArrayLike) -> Floats:
    """f_j = max_{i<k} R[i, j] - R[k, j] for each task j after the last period k, (T,).

    The drop from the best held-out accuracy that a task ever had before (Chaudhry et al., ECCV
    2018, section 3; in -1 to 1). It also works for the classes of a stream: R[i, j] is then the
    accuracy on class j. Raises BadOption for fewer than two periods.

    >>> forgetting([[0.9, 0.2], [0.5, 0.8]]).round(12).tolist()
    [0.4, -0.6]
    """
    r = _matrix(R)
    if len(r) < 2:
        raise BadOption("R", got=f"{len(r)} periods", expected="two at least")
    return np.asarray(r[:-1].max(axis=0) - r[-1])


def average_forgetting(R: ArrayLike) -> float:
    """F = 1/(T-1) Σ_{j<T} f_j (Chaudhry et al., ECCV 2018): without the task learned last.

    R (T, T): period j learns task j.

    >>> round(average_forgetting([[0.9, 0.2], [0.5, 0.8]]), 12)
    0.4
    """
    return _mean(forgetting(_square(R))[:-1])


def _hits(hits: ArrayLike) -> NDArray[np.int64]:
    given = np.asarray(hits)
    if given.ndim != 1 or not np.isin(given, (0, 1)).all():
        raise BadOption("hits", got=f"shape {given.shape}", expected="(n,), true or false each")
    return given.astype(np.int64)


def _matrix(R: ArrayLike) -> Floats:
    r = np.asarray(R, np.float64)
    if r.ndim != 2 or not r.size:
        raise BadOption("R", got=f"shape {r.shape}", expected="(periods, tasks)")
    return r


def _square(R: ArrayLike) -> Floats:
    r = _matrix(R)
    if len(r) != r.shape[1]:
        raise BadOption("R", got=f"shape {r.shape}", expected="as many periods as tasks")
    return r


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else math.nan
