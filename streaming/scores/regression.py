"""Running scores of a regression, in total and over a window, independent of chunking."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rate_models.errors import BadOption, BadSample
from rate_models.support import bounds
from streaming.samples.scaling import Scaler

Array = NDArray[Any]

SCORES = ("r2", "rmse", "mae")


class RegressionScores:
    """Running R², RMSE and MAE of predictions p of targets y, both (N,) or (N, n), in their units.

    R² = 1 - Σ (y - p)² / Σ (y - mean of y)², over all outputs together: scikit-learn's r2_score
    with multioutput="variance_weighted". RMSE and MAE are the root mean squared error and the mean
    absolute error of all numbers. window: the number of samples in ``windowed_*`` scores.
    Samples with a prediction of NaN do not count: a learner with running target scaling cannot
    predict before the first target.

    >>> scores = RegressionScores(window=2)
    >>> scores.update([1.0, 2.0, 4.0], [1.0, 2.0, 3.0])
    >>> scores.get()["windowed_r2"], scores.get()["windowed_rmse"]
    (0.5, 0.7071067811865476)
    """

    def __init__(self, window: int) -> None:
        self.window = window
        self._clear()

    def _clear(self) -> None:
        self._targets: Scaler | None = None  # its moments hold Σ (y - mean)² of each output
        self._samples = 0
        self._errors = np.zeros(2)  # Σ (y - p)², Σ |y - p|
        self._recent = np.zeros((self.window, 2))  # the same of each sample
        self._seen = np.zeros((0, 0))  # their targets

    def update(self, true: ArrayLike, predicted: ArrayLike) -> None:
        """Add samples: targets and predictions. Raises BadSample if their shapes differ."""
        y, p = _table("true", true), _table("predicted", predicted)
        if y.shape != p.shape:
            raise BadSample("predicted", got=f"shape {p.shape}", expected=f"{y.shape}, as targets")
        known = ~np.isnan(p).any(axis=1)
        y, p = y[known], p[known]
        if not (n := len(y)):
            return
        if self._targets is None:
            self._targets = Scaler("running", y.shape[1])
            self._seen = np.zeros((self.window, y.shape[1]))
        self._targets.learn_transform(y)
        with np.errstate(over="ignore", invalid="ignore"):
            error = np.stack([((y - p) ** 2).sum(axis=1), np.abs(y - p).sum(axis=1)], axis=1)
            # cumsum adds in order, so that the result does not depend on chunks
            self._errors = np.cumsum(np.concatenate([self._errors[None], error]), axis=0)[-1]
        last = min(n, self.window)
        slots = np.arange(self._samples + n - last, self._samples + n) % self.window
        self._recent[slots], self._seen[slots] = error[n - last :], y[n - last :]
        self._samples += n

    def get(self) -> dict[str, float | None]:
        """{r2, rmse, mae, windowed_r2, windowed_rmse, windowed_mae}.

        A score is None if it is not defined: without samples, or R² of constant targets.
        """
        n, recent = self._samples, min(self._samples, self.window)
        width = self._seen.shape[1]
        spread = 0.0 if self._targets is None else float(self._targets.moments[2].sum())
        window = self._seen[:recent]
        around = float(((window - window.mean(axis=0)) ** 2).sum()) if recent else 0.0
        own = _scores(self._errors, n * width, spread)
        lately = _scores(self._recent[:recent].sum(axis=0), recent * width, around)
        return {**own, **{f"windowed_{name}": value for name, value in lately.items()}}

    def state(self) -> dict[str, Array]:
        """The whole state as copies; empty before the first sample."""
        if self._targets is None:
            return {}
        return {
            "samples": np.array([self._samples], np.int64),
            "errors": self._errors.copy(),
            "recent": self._recent.copy(),
            "seen": self._seen.copy(),
            **{f"targets.{name}": array for name, array in self._targets.state().items()},
        }

    def load_state(self, arrays: Mapping[str, Array]) -> None:
        """Restore what `state` returned, with its window.

        Without arrays, as from an old checkpoint, the scores start with the next sample. Raises
        BadOption or LookupError for an invalid state.
        """
        self._clear()
        if not arrays:
            return
        width = arrays["seen"].shape[-1] if arrays["seen"].ndim == 2 else 0
        if not width:
            raise BadOption("seen", got=f"shape {arrays['seen'].shape}", expected="(window, n)")
        like = {
            "samples": np.zeros(1, np.int64),
            "errors": self._errors,
            "recent": self._recent,
            "seen": np.zeros((self.window, width)),
        }
        fit = bounds.fitting(arrays, like)
        bounds.check({"samples": fit["samples"]}, {"samples": (0, bounds.MOST)})
        self._targets = Scaler("running", width)
        prefix = "targets."
        self._targets.load_state(
            {k.removeprefix(prefix): a for k, a in arrays.items() if k.startswith(prefix)}
        )
        self._samples = int(fit["samples"][0])
        self._errors, self._recent, self._seen = (
            fit[name].copy() for name in ("errors", "recent", "seen")
        )


def _scores(errors: Array, numbers: int, spread: float) -> dict[str, float | None]:
    """errors: Σ (y - p)² and Σ |y - p|. numbers: their count. spread: Σ (y - mean of y)²."""
    if not numbers:
        return dict.fromkeys(SCORES)
    square, size = (float(e) for e in errors)
    r2 = 1 - square / spread if spread > 0 else None
    return {"r2": r2, "rmse": math.sqrt(square / numbers), "mae": size / numbers}


def is_regression(y: Any, predict: Callable[[], object]) -> bool:
    """Whether y is a number to predict, not a label. ``predict`` is called if y does not show it.

    >>> is_regression(0.5, lambda: None), is_regression(2.0, lambda: 1.0)
    (True, True)
    >>> is_regression(2, lambda: 1.0), is_regression(2.0, lambda: "b")
    (False, False)
    """
    if isinstance(y, list | tuple) or (isinstance(y, np.ndarray) and y.size > 1):
        return True
    number = y.item() if isinstance(y, np.ndarray | np.generic) else y
    if not isinstance(number, float):
        return False
    return not number.is_integer() or isinstance(predict(), float | np.floating | np.ndarray)


def as_row(what: str, values: Any) -> NDArray[np.float64]:
    """The values of one sample as (1, n). Raises BadSample unless they are finite numbers."""
    row = _table(what, [np.ravel(values)])
    if not np.isfinite(row).all():
        raise BadSample(what, got=repr(values)[:60], expected="finite numbers")
    return row


def _table(what: str, values: ArrayLike) -> NDArray[np.float64]:
    """(N, n) numbers from (N,) or (N, n)."""
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise BadSample(what, got=repr(values)[:60], expected="numbers") from None
    return array.reshape(len(array), -1)
