"""Input scaling of a source's raw numbers, before a network gets them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from rate_models.compiler.kernel import coerce, kernel, stage
from rate_models.errors import BadOption, quoted
from rate_models.support import bounds
from rate_models.support.arguments import check_choice

Array = NDArray[Any]

KINDS = ("none", "range", "running", "global")


class Scaler:
    """Scales samples X (N, n_features). Its state is a part of the checkpoint.

    kind: "none". "range" divides by ``maximum``. "running" subtracts each feature's mean and
    divides by its standard deviation, both over all samples learned so far, including the sample
    itself (Welford's algorithm), since the feature exists; a feature that was constant so far
    becomes 0. "global" subtracts
    one mean and divides by one standard deviation, over all features of all samples learned so far;
    it is meant for pixels, as it keeps their relative brightness.

    Raises BadOption for an unknown kind, a maximum not above 0, or another number of features.

    >>> scaler = Scaler("running", 2)
    >>> scaler.learn_transform([[1.0, 5.0], [3.0, 5.0]])
    array([[0., 0.],
           [1., 0.]])
    >>> scaler.transform([[2.0, 7.0]])
    array([[0., 0.]])
    """

    def __init__(self, kind: str, n_features: int, maximum: float = 1.0) -> None:
        check_choice("scale", kind, KINDS)
        number = isinstance(maximum, Real | np.bool_) and not isinstance(maximum, np.timedelta64)
        if not number or not 0 < (largest := _float(maximum)) < math.inf:
            raise BadOption("maximum", got=quoted(maximum), expected="a finite number above 0")
        self.kind, self.n_features, self.maximum = kind, n_features, largest
        n = {"running": n_features, "global": 1}.get(kind, 0)
        self._state = {"count": np.zeros(n, np.int64), "mean": np.zeros(n), "m2": np.zeros(n)}
        self._one = np.zeros((2, 1, n_features))  # a sample, and what becomes of it

    @property
    def moments(self) -> tuple[Array, Array, Array]:
        """The arrays count, mean and m2 themselves, not copies, for a kernel that updates them."""
        count, mean, m2 = self._state.values()
        return count, mean, m2

    def learn_transform(self, X: ArrayLike, out_dtype: DTypeLike = np.float64) -> Array:
        """X scaled, each sample by the moments up to and including it, for any size of chunks."""
        return self._scaled(X, out_dtype, True)

    def transform(self, X: ArrayLike, out_dtype: DTypeLike = np.float64) -> Array:
        """X scaled by the current moments, which do not change."""
        return self._scaled(X, out_dtype, False)

    def scale_one(self, x: Array, into: Array, learn: bool) -> None:
        """`learn_transform` or `transform` of one sample x (n_features,) of floats, ``into`` a
        vector."""
        if not self._state["mean"].size:
            into[:] = x
            if self.kind == "range":
                into /= self.maximum
            return
        self._one[0, 0] = x
        row, out = self._one
        scale = _running if self.kind == "running" else _global
        scale(row, out, learn, *self._state.values())
        into[:] = self._one[1, 0]

    def state(self) -> dict[str, Array]:
        """Copies of count, mean and m2, (n_features,) or (1,) each; empty without moments."""
        if not self._state["mean"].size:
            return {}
        return {name: array.copy() for name, array in self._state.items()}

    def load_state(self, arrays: Mapping[str, Array]) -> None:
        """Restore `state`. Raises BadOption for the state of another kind or size, and for invalid
        numbers.
        """
        want = self.state()
        if arrays.keys() != want.keys():
            raise BadOption("scaling state", got=sorted(arrays), expected=f"{sorted(want)}")
        where = "scaling state "
        given = {where + name: np.array(array) for name, array in arrays.items()}
        if want and given[where + "count"].shape == (1,):  # older checkpoints have one for all
            given[where + "count"] = np.repeat(given[where + "count"], len(want["count"]))
        values = bounds.fitting(
            given,
            {where + name: array for name, array in want.items()},
        )
        bounds.check(values, {where + "count": (0, bounds.MOST), where + "m2": (0, np.inf)})
        if odd := bounds.finite(values):
            raise BadOption(odd, got="NaN or infinite numbers", expected="finite numbers")
        self._state |= {name: values[where + name] for name in want}

    def widened(self, n_features: int, kept: NDArray[np.intp]) -> Scaler:
        """A scaler of more features; kept: the positions of those of this one.

        The moments of the new features begin with their first sample.
        """
        wide = Scaler(self.kind, n_features, self.maximum)
        for name, array in self._state.items():
            wide._state[name][kept if self.kind == "running" else slice(None)] = array
        return wide

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickled scaler; joblib maps its arrays from a file, and they are read-only."""
        self.__dict__.update(state)
        self._state = {name: np.array(array) for name, array in self._state.items()}
        self._one = np.array(self._one)

    def _scaled(self, X: ArrayLike, out_dtype: DTypeLike, learn: bool) -> Array:
        shape = (None, self.n_features)
        if not self._state["mean"].size:
            X = coerce("X", X, np.dtype(out_dtype).name, shape)
            return X if self.kind == "none" else X / X.dtype.type(self.maximum)
        X = coerce("X", X, "float64", shape)
        out = np.empty_like(X)
        scale = _running if self.kind == "running" else _global
        scale(X, out, learn, *self._state.values())
        return out.astype(out_dtype, copy=False)


def _float(number: Any) -> float:
    """The number as a float; infinite if it is too large for one."""
    try:
        return float(number)
    except OverflowError:
        return math.inf


@kernel
def _running(X: Array, out: Array, learn: bool, count: Array, mean: Array, m2: Array) -> None:
    for t in range(X.shape[0]):
        running_step(X[t], out[t], learn, count, mean, m2)


@kernel
def _global(X: Array, out: Array, learn: bool, count: Array, mean: Array, m2: Array) -> None:
    for t in range(X.shape[0]):
        global_step(X[t], out[t], learn, count, mean, m2)


@stage
def running_step(x: Array, out: Array, learn: bool, count: Array, mean: Array, m2: Array) -> None:
    """Scale one sample by the moments of each feature; learn: update the moments with it first."""
    if learn:
        for i in range(x.size):
            count[i] += 1
    # The last feature is the youngest: if it is as old as the first, all are. One count for all is
    # several times as fast.
    if count[0] == count[x.size - 1]:
        _scale(x, out, learn, count[:1], mean, m2)
    else:
        for i in range(x.size):
            one = slice(i, i + 1)
            _scale(x[one], out[one], learn, count[one], mean[one], m2[one])


@stage
def _scale(x: Array, out: Array, learn: bool, count: Array, mean: Array, m2: Array) -> None:
    """Scale features that are ``count[0]`` samples old, this one included."""
    n = count[0]
    if learn:
        for i in range(x.size):
            delta = x[i] - mean[i]
            mean[i] += delta / n
            m2[i] += delta * (x[i] - mean[i])
    for i in range(x.size):
        # if constant so far, or before the first sample, the spread is 0 and so is the output
        spread = np.sqrt(m2[i] / max(n, 1))
        out[i] = (x[i] - mean[i]) / spread if spread > 0 else 0.0


@stage
def global_step(x: Array, out: Array, learn: bool, count: Array, mean: Array, m2: Array) -> None:
    """Scale one sample by the moments of all features; learn: update the moments with it first."""
    n = x.size
    if learn:
        # the moments of this sample, then those of both together (Chan et al. 1983)
        own, square = 0.0, 0.0
        for i in range(n):
            own += x[i]
        own /= n
        for i in range(n):
            square += (x[i] - own) ** 2
        delta = own - mean[0]
        count[0] += 1
        mean[0] += delta / count[0]
        m2[0] += square + delta * (own - mean[0]) * n
    spread = np.sqrt(m2[0] / max(count[0] * n, 1))
    alike = spread <= 1e-12 * abs(mean[0])  # the rounding of a mean is no spread
    for i in range(n):
        out[i] = 0.0 if alike else (x[i] - mean[0]) / spread
