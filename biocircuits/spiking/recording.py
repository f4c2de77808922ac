"""The recording of a spiking network as plain arrays: spikes, membrane traces, decoding."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rate_models.errors import BadOption

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
HALF = 5e-7  # s: shorter than any step, so that rounding does not move spikes between samples
Decoding = Literal["rate", "first_spike", "membrane"]


class Spikes(NamedTuple):
    """The spikes of a population.

    size: number of neurons. neuron, time (s): of every spike, ordered by time.
    """

    size: int
    neuron: Whole
    time: Floats


class Traces(NamedTuple):
    """The values of a variable over time.

    time (n,): in s. values (n, neurons): in ``unit`` ("V", "A"). neurons: their indices.
    """

    time: Floats
    values: Floats
    unit: str
    neurons: Whole


class Recording(NamedTuple):
    """A recording of successive samples, each presented for ``presentation`` seconds.

    samples: their number. spikes: {population: Spikes}. traces: {"population.variable": Traces}.
    output: the output population. cells: the number of neurons, with successive indices, for each
    unit.
    """

    presentation: float
    samples: int
    spikes: dict[str, Spikes]
    traces: dict[str, Traces]
    output: str
    cells: int = 1

    def counts(self, population: str, until: float | None = None) -> Whole:
        """Spikes per sample and unit (samples, n) within ``until`` (s) of each sample's start."""
        size, neuron, time = self._spikes(population)
        units = size // self.cells
        sample, since = self._when(time)
        counted = (since < self._until(until) - HALF) & (sample < self.samples)
        index = sample[counted] * units + neuron[counted] // self.cells
        return np.bincount(index, minlength=self.samples * units).reshape(self.samples, units)

    def rates(self, population: str, until: float | None = None) -> Floats:
        """Mean rates of the neurons of each unit (samples, n), in Hz."""
        return self.counts(population, until) / (self._until(until) * self.cells)

    def first_spikes(self, population: str, until: float | None = None) -> Floats:
        """The first spike of each unit (samples, n), in s from the start of its sample, or inf."""
        size, neuron, time = self._spikes(population)
        sample, since = self._when(time)
        counted = (since < self._until(until) - HALF) & (sample < self.samples)
        first = np.full((self.samples, size // self.cells), np.inf)
        np.minimum.at(first, (sample[counted], neuron[counted] // self.cells), since[counted])
        return first

    def membrane(self, population: str, until: float | None = None) -> Floats:
        """The mean of ``population.v`` over the presentation (samples, n), in V."""
        name = f"{population}.v"
        if name not in self.traces:
            remedy = "build with readout='membrane' or traces=..."
            raise BadOption("membrane", got=f"no trace of {name}", remedy=remedy)
        traces = self.traces[name]
        sample, since = self._when(traces.time)
        counted = since < self._until(until) - HALF
        sums = np.zeros((self.samples, traces.values.shape[1]))
        np.add.at(sums, sample[counted], traces.values[counted])
        means = sums / np.bincount(sample[counted], minlength=self.samples)[:, None]
        return np.asarray(means.reshape(self.samples, -1, self.cells).mean(axis=2))

    def decode(self, by: Decoding = "rate", until: float | None = None) -> Whole:
        """The decoded class of each sample, (samples,), as an index; −1 without output spikes.

        rate: the unit with the most spikes. first_spike: the unit that fires first. membrane: the
        unit with the highest mean potential. Of equal units, the one with the lowest index.
        """
        if by == "rate":
            counts = self.counts(self.output, until)
            return np.where(counts.any(axis=1), counts.argmax(axis=1), -1)
        if by == "first_spike":
            first = self.first_spikes(self.output, until)
            return np.where(np.isfinite(first).any(axis=1), first.argmin(axis=1), -1)
        if by == "membrane":
            return np.asarray(self.membrane(self.output, until).argmax(axis=1), np.int64)
        raise BadOption("decode", got=repr(by), expected="rate, first_spike or membrane")

    def _spikes(self, population: str) -> Spikes:
        if population not in self.spikes:
            expected = f"one of {', '.join(self.spikes)}"
            raise BadOption("population", got=repr(population), expected=expected)
        return self.spikes[population]

    def _when(self, time: Floats) -> tuple[Whole, Floats]:
        """The sample of each time, and the seconds from its start."""
        sample = ((time + HALF) / self.presentation).astype(np.int64)
        return sample, time - sample * self.presentation

    def _until(self, until: float | None) -> float:
        if until is None:
            return self.presentation
        if not 0 < until <= self.presentation * (1 + 1e-9):
            expected = f"a time above 0, up to {self.presentation:g} s"
            raise BadOption("until", got=f"{until:g} s", expected=expected)
        return until


def rank_correlation(model: Floats, spiking: Floats) -> float:
    """Spearman's ρ of two arrays of rates, over all samples and units at once.

    >>> rank_correlation(np.array([[0.0, 2.0, 3.0]]), np.array([[5.0, 6.0, 9.0]]))
    1.0
    """
    from scipy.stats import spearmanr

    return float(spearmanr(np.ravel(model), np.ravel(spiking)).statistic)
