"""What a spiking network did, as plain arrays: spikes, membrane traces, and what they say."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rate_models.errors import BadOption

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
HALF = 5e-7  # s: less than any step; on which side of a border a spike lies is not left to rounding
Decoding = Literal["rate", "first_spike", "membrane"]


class Spikes(NamedTuple):
    """size: neurons. neuron, time (s): of every spike, in the order of time."""

    size: int
    neuron: Whole
    time: Floats


class Traces(NamedTuple):
    """time (n,) in s; values (n, neurons) with their ``unit`` ("V", "A"); which neurons."""

    time: Floats
    values: Floats
    unit: str
    neurons: Whole


class Recording(NamedTuple):
    """Samples shown one after another, each for ``presentation`` (s).

    spikes: {population: Spikes}. traces: {"population.variable": Traces}. output: the population
    that answers. cells: neurons that stand for one unit, side by side.
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
        seen = (since < self._until(until) - HALF) & (sample < self.samples)
        place = sample[seen] * units + neuron[seen] // self.cells
        return np.bincount(place, minlength=self.samples * units).reshape(self.samples, units)

    def rates(self, population: str, until: float | None = None) -> Floats:
        """Mean rates of a unit's neurons (samples, n), in Hz."""
        return self.counts(population, until) / (self._until(until) * self.cells)

    def first_spikes(self, population: str, until: float | None = None) -> Floats:
        """When each unit fired first (samples, n), in s since its sample began; inf: not at all."""
        size, neuron, time = self._spikes(population)
        sample, since = self._when(time)
        seen = (since < self._until(until) - HALF) & (sample < self.samples)
        first = np.full((self.samples, size // self.cells), np.inf)
        np.minimum.at(first, (sample[seen], neuron[seen] // self.cells), since[seen])
        return first

    def membrane(self, population: str, until: float | None = None) -> Floats:
        """The mean of ``population.v`` over the presentation (samples, n), in V."""
        name = f"{population}.v"
        if name not in self.traces:
            remedy = "build with readout='membrane' or traces=..."
            raise BadOption("membrane", got=f"no trace of {name}", remedy=remedy)
        traces = self.traces[name]
        sample, since = self._when(traces.time)
        seen = since < self._until(until) - HALF
        sums = np.zeros((self.samples, traces.values.shape[1]))
        np.add.at(sums, sample[seen], traces.values[seen])
        means = sums / np.bincount(sample[seen], minlength=self.samples)[:, None]
        return np.asarray(means.reshape(self.samples, -1, self.cells).mean(axis=2))

    def decode(self, by: Decoding = "rate", until: float | None = None) -> Whole:
        """The index that each sample's output says, (samples,); −1 where it says nothing.

        rate: of the unit with most spikes. first_spike: of the one that fires first.
        membrane: of the one with the highest mean potential. Equal ones: the first of them.
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
        """(sample, seconds since it began)."""
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
