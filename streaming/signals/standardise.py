"""standardise[:half_life=SAMPLES]: zero mean and unit variance of each feature.

Mean m and variance v are those of all samples so far, or, with ``half_life``, weighted means in
which the weight of a sample halves every so many samples. With rate r = max(1 / count, a), where
a = 1 - 2^(-1 / half_life), or 0 without it:

    d = x - m;   m += r d;   v = (1 - r) (v + r d²);   output (x - m) / √v, 0 while v = 0
"""

from __future__ import annotations

import numpy as np

from rate_models.compiler.kernel import kernel
from streaming.signals import Arguments, Array, Floats, Given, Step, StepFile


class Standardise(Step):
    """Standardisation by running moments; see the module."""

    def __init__(self, least_rate: float, n_inputs: int, rate: float | None) -> None:
        self.n_outputs, self.rate = n_inputs, rate
        self._least_rate = least_rate
        self._count = np.zeros(1, np.int64)
        self._mean, self._variance = np.zeros(n_inputs), np.zeros(n_inputs)

    def __call__(self, X: Floats) -> Given:
        X = np.ascontiguousarray(X, np.float64)
        out = np.empty_like(X)
        _standardise(X, out, self._least_rate, self._count, self._mean, self._variance)
        return Given(out, np.arange(len(X)))

    def state(self) -> dict[str, Array]:
        """The number of samples, mean and variance."""
        return {"count": self._count, "mean": self._mean, "variance": self._variance}


def open(given: Arguments, n_inputs: int, rate: float | None) -> Step:
    half_life = given.number("half_life", 0, 0)
    given.all_used("")
    return Standardise(1 - 2 ** (-1 / half_life) if half_life else 0.0, n_inputs, rate)


@kernel
def _standardise(
    X: Array, out: Array, least_rate: float, count: Array, mean: Array, variance: Array
) -> None:
    for t in range(X.shape[0]):
        count[0] += 1
        rate = max(1.0 / count[0], least_rate)
        for i in range(X.shape[1]):
            delta = X[t, i] - mean[i]
            mean[i] += rate * delta
            variance[i] = (1 - rate) * (variance[i] + rate * delta * delta)
            spread = np.sqrt(variance[i])
            out[t, i] = (X[t, i] - mean[i]) / spread if spread > 0 else 0.0


STEP = StepFile(__name__, open=open)
