"""band_power:LOW-HIGH[+LOW-HIGH...][,rate=HERTZ,smooth=1.0,every=1]: log power in bands.

Each feature is filtered by a Butterworth band-pass of order 4 per band (Hz), squared, and smoothed
by a one-pole low-pass with the time constant ``smooth`` (seconds). The output is the natural
logarithm of the power, for all features in the first band, then all in the next. ``rate``: samples
per second, where the source does not know it. ``every``: give every so many samples only.
"""

from __future__ import annotations

import math
import re

import numpy as np
from scipy import signal

from streaming.signals import Arguments, Array, Floats, Given, Step, StepFile

Band = tuple[float, float]
ORDER = 4
LEAST = 1e-30  # power whose logarithm is given for silence


class BandPower(Step):
    """Log power in frequency bands; see the module."""

    def __init__(
        self,
        bands: list[tuple[float, float]],
        rate: float,
        smooth: float,
        every: int,
        n_inputs: int,
    ) -> None:
        self.n_outputs, self.rate = len(bands) * n_inputs, rate / every
        self._every = every
        self._filters = [
            signal.butter(ORDER, band, btype="bandpass", fs=rate, output="sos") for band in bands
        ]
        keep = math.exp(-1 / (rate * smooth))
        self._smoother = [1 - keep], [1.0, -keep]
        self._carried = np.zeros((len(bands), ORDER, 2, n_inputs))
        self._power = np.zeros((len(bands), 1, n_inputs))
        self._due = np.zeros(1, np.int64)

    def __call__(self, X: Floats) -> Given:
        n, parts = len(X), list[Floats]()
        if not n:
            return Given(np.zeros((0, self.n_outputs)), np.arange(0))
        at = np.arange(self._due[0], n, self._every)
        for i, sos in enumerate(self._filters):
            band, self._carried[i] = signal.sosfilt(sos, X, axis=0, zi=self._carried[i])
            power, self._power[i] = signal.lfilter(
                *self._smoother, band * band, axis=0, zi=self._power[i]
            )
            parts.append(np.log(np.maximum(power[at], LEAST)))
        self._due[0] += self._every * len(at) - n
        return Given(np.hstack(parts), at)

    def state(self) -> dict[str, Array]:
        """The states of all filters, and the phase."""
        return {"carried": self._carried, "power": self._power, "due": self._due}


def open(given: Arguments, n_inputs: int, rate: float | None) -> Step:
    text = given.text("bands", None)
    hertz = given.number("rate", rate, 1e-3)
    smooth, every = given.number("smooth", 1.0, 1e-6), given.whole("every", 1, 1)
    given.all_used("LOW-HIGH")
    bands = []
    for item in text.split("+"):
        match = re.fullmatch(r"([0-9.]+)-([0-9.]+)", item.strip())
        try:
            low, high = (float(edge) for edge in match.groups()) if match else (0.0, 0.0)
        except ValueError:
            low = high = 0.0
        if not 0 < low < high < hertz / 2:
            raise given.bad(f"the band {item}", f"0 < LOW < HIGH < {hertz / 2:g} Hz, half the rate")
        bands.append((low, high))
    return BandPower(bands, hertz, smooth, every, n_inputs)


STEP = StepFile(__name__, open=open)
