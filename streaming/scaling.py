"""Input scaling: what is done to a source's raw numbers before a network sees them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from rate_models.errors import BadOption
from rate_models.kernel import coerce, kernel

Array = NDArray[Any]

KINDS = ("none", "range", "running")


class Scaler:
    """Scales samples X (N, n_features); its state belongs into the checkpoint.

    kind: "none"; "range" divides by ``maximum``; "running" takes off each feature's mean and
    divides by its standard deviation, both over all samples learned so far (Welford), the sample
    itself among them. A feature that was constant so far becomes 0.

    Raises BadOption for an unknown kind, a maximum not above 0, or another number of features.

    >>> scaler = Scaler("running", 2)
    >>> scaler.learn_transform([[1.0, 5.0], [3.0, 5.0]])
    array([[0., 0.],
           [1., 0.]])
    >>> scaler.transform([[2.0, 7.0]])
    array([[0., 0.]])
    """

    def __init__(self, kind: str, n_features: int, maximum: float = 1.0) -> None:
        if kind not in KINDS:
            raise BadOption("scale", got=repr(kind), expected=f"one of {', '.join(KINDS)}")
        if not 0 < maximum < np.inf:
            raise BadOption("maximum", got=maximum, expected="a finite number above 0")
        self.kind, self.n_features, self.maximum = kind, n_features, maximum
        n = n_features if kind == "running" else 0
        self._state = {"count": np.zeros(1, np.int64), "mean": np.zeros(n), "m2": np.zeros(n)}

    def learn_transform(self, X: ArrayLike, out_dtype: DTypeLike = np.float64) -> Array:
        """X scaled, each sample by what is known up to and with it, whatever the chunks are."""
        return self._scaled(X, out_dtype, True)

    def transform(self, X: ArrayLike, out_dtype: DTypeLike = np.float64) -> Array:
        """X scaled by what is known now; changes nothing."""
        return self._scaled(X, out_dtype, False)

    def state(self) -> dict[str, Array]:
        """Copies of count (1,), mean and m2 (n_features,); empty where nothing is learned."""
        if self.kind != "running":
            return {}
        return {name: array.copy() for name, array in self._state.items()}

    def load_state(self, arrays: Mapping[str, Array]) -> None:
        """Go on from `state`. Raises BadOption where it is that of another kind or size."""
        want = self.state()
        if arrays.keys() != want.keys():
            raise BadOption("scaling state", got=sorted(arrays), expected=f"{sorted(want)}")
        self._state |= {
            name: coerce(
                f"scaling state {name}", np.array(arrays[name]), array.dtype.name, array.shape
            )
            for name, array in want.items()
        }

    def _scaled(self, X: ArrayLike, out_dtype: DTypeLike, learn: bool) -> Array:
        shape = (None, self.n_features)
        if self.kind != "running":
            X = coerce("X", X, np.dtype(out_dtype).name, shape)
            return X if self.kind == "none" else X / X.dtype.type(self.maximum)
        X = coerce("X", X, "float64", shape)
        out = np.empty_like(X)
        _running(X, out, learn, *self._state.values())
        return out.astype(out_dtype, copy=False)


@kernel
def _running(X: Array, out: Array, learn: bool, count: Array, mean: Array, m2: Array) -> None:
    for t in range(X.shape[0]):
        if learn:
            count[0] += 1
            for i in range(X.shape[1]):
                delta = X[t, i] - mean[i]
                mean[i] += delta / count[0]
                m2[i] += delta * (X[t, i] - mean[i])
        for i in range(X.shape[1]):
            # constant so far, or nothing learned yet: the spread is 0 and so is the output
            spread = np.sqrt(m2[i] / max(count[0], 1))
            out[t, i] = (X[t, i] - mean[i]) / spread if spread > 0 else 0.0
