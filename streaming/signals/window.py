"""window:LENGTH[,hop=1]: the last LENGTH samples side by side, every ``hop`` samples.

A window is a vector of LENGTH times as many numbers, the oldest sample first.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from rate_models.support.estimates import check_memory
from streaming.signals import Arguments, Array, Floats, Given, Step, StepFile


class Window(Step):
    """Windows over the last samples; see the module."""

    def __init__(self, length: int, hop: int, n_inputs: int, rate: float | None) -> None:
        check_memory("--signal window", f"{length:,} samples of {n_inputs:,} numbers",
                     8 * 4 * length * n_inputs)  # fmt: skip
        self.n_outputs, self.rate = length * n_inputs, None if rate is None else rate / hop
        self._length, self._hop = length, hop
        self._last = np.zeros((length - 1, n_inputs))
        # samples so far, at most one window of them; samples until the next window is due
        self._count = np.array([0, length], np.int64)

    def __call__(self, X: Floats) -> Given:
        n, width = X.shape
        together = np.vstack([self._last, X])
        due = np.arange(self._count[1] - 1, n, self._hop)
        windows = sliding_window_view(together, self._length, axis=0)[due] if n else (
            np.zeros((0, width, self._length))
        )  # fmt: skip
        self._last[...] = together[n:]
        self._count[1] += self._hop * len(due) - n
        self._count[0] = min(self._count[0] + n, self._length)
        return Given(windows.transpose(0, 2, 1).reshape(len(due), self.n_outputs), due)

    def state(self) -> dict[str, Array]:
        """The last samples, and when the next window is due."""
        return {"last": self._last, "count": self._count}


def open(given: Arguments, n_inputs: int, rate: float | None) -> Step:
    length, hop = given.whole("length", None, 1), given.whole("hop", 1, 1)
    given.all_used("LENGTH")
    return Window(length, hop, n_inputs, rate)


STEP = StepFile(__name__, open=open)
