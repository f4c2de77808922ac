"""Recording of signals and weights of a circuit, sample after sample."""

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
    """The signals to record.

    names: ``population.compartment`` or ``population.output``, for all neurons, or
    ``projection[i,j]``, the weight of the synapse onto neuron i from neuron j including the change
    that has accumulated since the start of the sample. interval: in ms; in steady state, values are
    recorded at the end of every phase. weights: projections whose norm ‖w‖_F is recorded at the end
    of every sample.
    """

    names: tuple[str, ...]
    interval: float = 1.0
    weights: tuple[str, ...] = ()


def as_probe(probe: object) -> Probe:
    """A valid probe, from a probe, from names, or from a single name. Raises BadOption."""
    if not isinstance(probe, Probe):
        probe = Probe(checks.several("probe", probe, str))
    names = checks.several("names of a probe", probe.names, str)
    weights = checks.several("weights of a probe", probe.weights, str)
    if not names and not weights:
        raise BadOption("probe", got="no names", expected="one name or more")
    interval = checks.number("interval of a probe", probe.interval, 0)
    if not interval:
        raise BadOption("interval of a probe", got=interval, expected="a number of ms above 0")
    return Probe(names, interval, weights)


class Trace(NamedTuple):
    """Recorded signals.

    time (n,): in ms since the start; in steady state, a phase counts as one step of dt. values:
    {name: (n, neurons)}, or (n, 1) for a synapse. phases: [(name, start, end)] in ms, for one
    sample after another. span (n,): the index of the phase of each row of values. weights:
    {projection: (samples,)}, norms at the ``ends`` of the samples.
    """

    time: Array
    values: dict[str, Array]
    phases: list[tuple[str, float, float]]
    span: NDArray[np.int64]
    weights: dict[str, Array]

    @property
    def ends(self) -> Array:
        """The end of each sample, (samples,) in ms."""
        return np.array([end for name, _, end in self.phases if name == self.phases[-1][0]])

    @property
    def sample(self) -> NDArray[np.int64]:
        """The number of the sample of each row of values, (n,), counted from 0."""
        per_sample = len({name for name, _, _ in self.phases})
        return self.span // per_sample


def joined(traces: Sequence[Trace]) -> Trace:
    """One trace from those of successive samples, recorded with the same probe."""
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
    """The part of a simulator that a recorder reads: state v, weights W, eligibilities E."""

    circuit: Circuit
    compiled: Compiled
    v: Array
    W: Array
    E: Array

    def at(self, name: str) -> slice:
        """The slice of a compartment or an output in the state."""

    def weights(self, projection: str) -> Array:
        """The weights of a projection, (n_target, n_source)."""


class Recorder:
    """Records one sample.

    offsets: those that the kernel reads, in the state followed by the eligibilities.
    """

    def __init__(self, simulator: Recorded, probe: Probe) -> None:
        self._simulator, self.probe = simulator, as_probe(probe)
        probe = self.probe
        self._columns = {name: self._offsets(name) for name in probe.names}
        self.offsets = np.concatenate([np.zeros(0, np.int64), *self._columns.values()])
        self._pieces: list[tuple[Array, list[Array]]] = []
        for name in probe.weights:
            simulator.weights(name)

    def _offsets(self, name: str) -> NDArray[np.int64]:
        s, match = self._simulator, SYNAPSE.fullmatch(name)
        if not match:
            at = s.at(name)
            return np.arange(at.start, at.stop)
        projection, i, j = match[1], int(match[2]), int(match[3])
        n, m = s.weights(projection).shape
        if i >= n or j >= m:
            expected = f"at most {projection}[{n - 1},{m - 1}]"
            raise BadOption("probe", got=name, expected=expected)
        starts = [at.start for (p, _), at in s.compiled.eligibilities.items() if p == projection]
        return np.array([s.v.size + at + i * m + j for at in starts], np.int64)

    def add(self, time: Array, rows: Array, lr: float) -> None:
        """Add a phase: times (n,) and the values at ``offsets`` (n, k), before weights change."""
        ends = np.cumsum([len(offsets) for offsets in self._columns.values()])[:-1]
        columns = np.split(rows, ends, axis=1) if self._columns else []
        values = [self._value(n, c, lr) for n, c in zip(self._columns, columns, strict=True)]
        self._pieces.append((time, values))

    def _value(self, name: str, columns: Array, lr: float) -> Array:
        s, match = self._simulator, SYNAPSE.fullmatch(name)
        if not match:
            return columns
        if s.E is s.W and columns.shape[1]:  # the weight itself, a column for every plasticity
            return columns[:, :1]
        plasticity = s.circuit.projection(match[1]).plasticity
        rates = [lr if p.scaled else 1.0 for p in plasticity]
        weight = s.weights(match[1])[int(match[2]), int(match[3])]
        return np.asarray(weight + columns @ np.array(rates).reshape(-1, 1))

    def trace(self, phases: list[tuple[str, float, float]]) -> Trace:
        """The trace of the whole sample, after its end."""
        times = [time for time, _ in self._pieces]
        values = zip(*(values for _, values in self._pieces), strict=True)
        norms = {n: np.array([np.linalg.norm(self._simulator.weights(n))])
                 for n in self.probe.weights}  # fmt: skip
        return Trace(
            np.concatenate(times),
            {name: np.concatenate(v) for name, v in zip(self._columns, values, strict=True)},
            phases,
            np.repeat(np.arange(len(times)), [len(time) for time in times]),
            norms,
        )
