"""decimate:FACTOR: every FACTOR-th sample of the low-pass filtered signal.

The filter is that of `scipy.signal.decimate`: Chebyshev type I of order 8, with 0.05 dB ripple
below 0.8 of the new Nyquist frequency. It runs forwards only, as a live signal has no future, so it
delays the signal. It begins as if the first sample had always been there.
"""

from __future__ import annotations

import numpy as np
from scipy import signal

from streaming.signals import Arguments, Array, Floats, Given, Step, StepFile

ORDER, RIPPLE, EDGE = 8, 0.05, 0.8


class Decimate(Step):
    """Low-pass filter and thinning out; see the module."""

    def __init__(self, factor: int, n_inputs: int, rate: float | None) -> None:
        self.n_outputs, self.rate = n_inputs, None if rate is None else rate / factor
        self._factor = factor
        self._filter = signal.cheby1(ORDER, RIPPLE, EDGE / factor, output="sos")
        self._steady = signal.sosfilt_zi(self._filter)[:, :, None]
        self._carried = np.zeros((len(self._filter), 2, n_inputs))
        self._due = np.array([0, 0], np.int64)  # samples to the next one given; whether it began

    def __call__(self, X: Floats) -> Given:
        n = len(X)
        if not n:
            return Given(X, np.arange(0))
        if not self._due[1]:
            self._carried[...] = self._steady * X[0]
            self._due[1] = 1
        Y, carried = signal.sosfilt(self._filter, X, axis=0, zi=self._carried)
        self._carried[...] = carried
        at = np.arange(self._due[0], n, self._factor)
        self._due[0] += self._factor * len(at) - n
        return Given(Y[at], at)

    def state(self) -> dict[str, Array]:
        """The state of the filter, and the phase."""
        return {"carried": self._carried, "due": self._due}


def open(given: Arguments, n_inputs: int, rate: float | None) -> Step:
    factor = given.whole("factor", None, 2)
    given.all_used("FACTOR")
    return Decimate(factor, n_inputs, rate)


STEP = StepFile(__name__, open=open)
