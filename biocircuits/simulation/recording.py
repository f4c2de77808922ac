"""Recording: what a probe shows of a circuit, sample after sample."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from biocircuits.description import checks
from biocircuits.description.circuit import Circuit
from biocircuits.simulation.program import Compiled
from rate_models.compiler.kernel import Array
from rate_models.errors import BadOption

SYNAPSE = re.compile(r"(\w+)\[(\d+),\s*(\d+)\]")


class Probe(NamedTuple):
    """What to record, every ``interval`` ms; in steady state at the end of every phase.

    names: ``population.compartment`` or ``population.output`` of all its neurons, or
    ``projection[i,j]``, the weight of the synapse onto neuron i from neuron j, with the change
    that it has gathered and will take over at the end of the sample.
    weights: projections whose norm ‖w‖_F is read at the end of every sample.
    """

    names: tuple[str, ...]
    interval: float = 1.0
    weights: tuple[str, ...] = ()


def as_probe(probe: object) -> Probe:
    """A probe that can be: names alone are one, one name stands for a tuple of it."""
    if not isinstance(probe, Probe):
        probe = Probe(checks.several("probe", probe, str))
    names = checks.several("names of a probe", probe.names, str)
    weights = checks.several("weights of a probe", probe.weights, str)
    if not names and not weights:
        raise BadOption("probe", got="no names", expected="names of what is to be recorded")
    interval = checks.number("interval of a probe", probe.interval, 0)
    if not interval:
        raise BadOption("interval of a probe", got=interval, expected="a number of ms above 0")
    return Probe(names, interval, weights)


class Trace(NamedTuple):
    """time (n,) in ms since the start (in steady state, which takes none, 1 step of dt a phase);
    values {name: (n, neurons)}, (n, 1) for a synapse.

    phases [(name, from, to)] in ms, those of one sample after those of another. span (n,): which
    of them each line of values is from. weights {projection: (samples,)}: norms at the ``ends``.
    """

    time: Array
    values: dict[str, Array]
    phases: list[tuple[str, float, float]]
    span: NDArray[np.int64]
    weights: dict[str, Array]

    @property
    def ends(self) -> Array:
        """When each sample ended, (samples,) in ms."""
        return np.array([end for name, _, end in self.phases if name == self.phases[-1][0]])

    @property
    def sample(self) -> NDArray[np.int64]:
        """Which sample, from 0, each line of values is from, (n,)."""
        per_sample = len({name for name, _, _ in self.phases})
        return self.span // per_sample


def joined(traces: Sequence[Trace]) -> Trace:
    """One trace of samples that followed each other, recorded by the same probe."""
    first = traces[0]
    shift = np.cumsum([0] + [len(t.phases) for t in traces[:-1]])
    return Trace(
        np.concatenate([t.time for t in traces]),
        {name: np.concatenate([t.values[name] for t in traces]) for name in first.values},
        [phase for t in traces for phase in t.phases],
        np.concatenate([t.span + n for t, n in zip(traces, shift, strict=True)]),
        {name: np.concatenate([t.weights[name] for t in traces]) for name in first.weights},
    )


class Recorded(Protocol):
    """What a recorder reads of a simulator: v its state, W its weights, E what synapses gather."""

    circuit: Circuit
    compiled: Compiled
    v: Array
    W: Array
    E: Array

    def at(self, name: str) -> slice:
        """Where in the state a compartment or an output is."""

    def weights(self, projection: str) -> Array:
        """Those of a projection, (n_target, n_source)."""


class Recorder:
    """Gathers one sample. places: what the kernel reads, in the state and, behind it, in what the
    synapses have gathered."""

    def __init__(self, simulator: Recorded, probe: Probe) -> None:
        self._simulator, self.probe = simulator, as_probe(probe)
        probe = self.probe
        self._width = {name: self._places(name) for name in probe.names}
        self.places = np.concatenate([np.zeros(0, np.int64), *self._width.values()])
        self._pieces: list[tuple[Array, list[Array]]] = []
        for name in probe.weights:
            simulator.weights(name)

    def _places(self, name: str) -> NDArray[np.int64]:
        s, found = self._simulator, SYNAPSE.fullmatch(name)
        if not found:
            at = s.at(name)
            return np.arange(at.start, at.stop)
        projection, i, j = found[1], int(found[2]), int(found[3])
        n, m = s.weights(projection).shape
        if i >= n or j >= m:
            expected = f"at most {projection}[{n - 1},{m - 1}]"
            raise BadOption("probe", got=name, expected=expected)
        traces = [at.start for (p, _), at in s.compiled.traces.items() if p == projection]
        return np.array([s.v.size + at + i * m + j for at in traces], np.int64)

    def take(self, time: Array, lines: Array, lr: float) -> None:
        """A phase: when, and what the kernel read at ``places``, before weights have changed."""
        ends = np.cumsum([len(places) for places in self._width.values()])[:-1]
        columns = np.split(lines, ends, axis=1) if self._width else []
        values = [self._value(n, c, lr) for n, c in zip(self._width, columns, strict=True)]
        self._pieces.append((time, values))

    def _value(self, name: str, columns: Array, lr: float) -> Array:
        s, found = self._simulator, SYNAPSE.fullmatch(name)
        if not found:
            return columns
        if s.E is s.W and columns.shape[1]:  # the weight itself, once for every plasticity
            return columns[:, :1]
        plasticity = s.circuit.projection(found[1]).plasticity
        rates = [lr if p.scaled else 1.0 for p in plasticity]
        weight = s.weights(found[1])[int(found[2]), int(found[3])]
        return np.asarray(weight + columns @ np.array(rates).reshape(-1, 1))

    def trace(self, phases: list[tuple[str, float, float]]) -> Trace:
        """All phases of the sample, after its end."""
        times = [time for time, _ in self._pieces]
        values = zip(*(values for _, values in self._pieces), strict=True)
        norms = {n: np.array([np.linalg.norm(self._simulator.weights(n))])
                 for n in self.probe.weights}  # fmt: skip
        return Trace(
            np.concatenate(times),
            {name: np.concatenate(v) for name, v in zip(self._width, values, strict=True)},
            phases,
            np.repeat(np.arange(len(times)), [len(time) for time in times]),
            norms,
        )
