"""Recording of signals and weights of a circuit, sample after sample."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

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


class Product(NamedTuple):
    """A part of a synapse's weight change: the product of the numbers at ``offsets``.

    scaled: whether the learning rate scales it. decay: whether −w, the weight, is a factor too.
    """

    offsets: tuple[int, ...]
    scaled: bool
    decay: bool = False


class Recorder:
    """Records one sample. Offsets are those in the state followed by the eligibilities."""

    def __init__(self, simulator: Recorded, probe: Probe) -> None:
        self._simulator, self.probe = simulator, as_probe(probe)
        self._names = tuple(dict.fromkeys(self.probe.names))
        self._pieces: list[tuple[Array, list[Array]]] = []
        self._columns = {
            phase: {name: self._offsets(name, phase) for name in self._names}
            for phase in simulator.compiled.phases
        }
        for name in self.probe.weights:
            simulator.weights(name)

    def offsets(self, phase: str) -> NDArray[np.int64]:
        """The offsets that the kernel reads in a phase."""
        columns = self._columns[phase].values()
        return np.concatenate([np.zeros(0, np.int64), *columns])

    def _offsets(self, name: str, phase: str) -> NDArray[np.int64]:
        s, match = self._simulator, SYNAPSE.fullmatch(name)
        if not match:
            at = s.at(name)
            return np.arange(at.start, at.stop)
        n, m = s.weights(match[1]).shape
        if int(match[2]) >= n or int(match[3]) >= m:
            expected = f"at most {match[1]}[{n - 1},{m - 1}]"
            raise BadOption("probe", got=name, expected=expected)
        products = self._products(match, phase)
        return np.array([at for product in products for at in product.offsets], np.int64)

    def _products(self, synapse: re.Match[str], phase: str) -> list[Product]:
        """The parts of a weight change, in the eligibilities and gathered in this phase.

        Where weights change at every step, the first one is the weight itself.
        """
        s, q, i, j = self._simulator, synapse[1], int(synapse[2]), int(synapse[3])
        m, direct, products = s.weights(q).shape[1], s.E is s.W, []
        if direct:
            at = s.v.size + s.compiled.weights[q].start + i * m + j
            products.append(Product((at,), scaled=False))
        for k, plasticity in enumerate(s.circuit.projection(q).plasticity):
            scaled = plasticity.scaled and not direct  # else gathered with the learning rate
            if not direct:
                at = s.v.size + s.compiled.eligibilities[q, k].start + i * m + j
                products.append(Product((at,), scaled))
            for g in s.compiled.phases[phase].gathered.get((q, k), []):
                products.append(Product(g.of(i, j, m), scaled, g.decay))
        return products

    def add(self, phase: str, time: Array, rows: Array, lr: float) -> None:
        """Add a phase: times (n,) and the values at ``offsets`` (n, k), before weights change."""
        all_columns = self._columns[phase]
        ends = np.cumsum([len(offsets) for offsets in all_columns.values()])[:-1]
        columns = np.split(rows, ends, axis=1) if all_columns else []
        values = [
            self._value(phase, n, c, lr) for n, c in zip(all_columns, columns, strict=True)
        ]  # fmt: skip
        self._pieces.append((time, values))

    def _value(self, phase: str, name: str, columns: Array, lr: float) -> Array:
        s, match = self._simulator, SYNAPSE.fullmatch(name)
        if not match:
            return columns
        value, at = np.zeros(len(columns)), 0
        if s.E is s.W:
            weight: Any = columns[:, 0]
        else:
            weight = s.weights(match[1])[int(match[2]), int(match[3])]
            value += weight
        for product in self._products(match, phase):
            part = columns[:, at : at + len(product.offsets)].prod(axis=1)
            factor = lr if product.scaled else 1.0
            value += factor * part * (-weight if product.decay else 1.0)
            at += len(product.offsets)
        return value[:, None]

    def trace(self, phases: list[tuple[str, float, float]]) -> Trace:
        """The trace of the whole sample, after its end."""
        times = [time for time, _ in self._pieces]
        values = zip(*(values for _, values in self._pieces), strict=True)
        norms = {n: np.array([np.linalg.norm(self._simulator.weights(n))])
                 for n in self.probe.weights}  # fmt: skip
        return Trace(
            np.concatenate(times),
            {name: np.concatenate(v) for name, v in zip(self._names, values, strict=True)},
            phases,
            np.repeat(np.arange(len(times)), [len(time) for time in times]),
            norms,
        )
