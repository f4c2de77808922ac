"""Where the states, outputs and weights of a circuit are in its flat arrays."""

from __future__ import annotations

import numpy as np

from biocircuits.description.circuit import Circuit
from biocircuits.description.populations import Population
from biocircuits.simulation.writer import Allocator, on_line
from rate_models.compiler.kernel import Array, aligned


class Layout:
    """The memory of a circuit.

    dt: step in ms; None: the steady state. direct: whether plasticity changes weights directly
    instead of eligibilities.

    given: offsets of the values of clamps, by (name of the clamp, number of neurons); all of them
    are the first ``given_width`` numbers of the state. offsets: of each ("state", population,
    compartment), ("out", population, output), ... in the state. lasting: the end of that part of
    the state which the next phase needs; the rest is scratch memory. noise_width: how many random
    numbers a step takes. copies: for each projection the others with its parameter, and whether
    they have its orientation.
    """

    def __init__(self, circuit: Circuit, dt: float | None, direct: bool = False) -> None:
        self.circuit, self.dt, self.direct = circuit, dt, direct
        self.sizes = {p.name: p.size for p in circuit.populations}
        self.memory, self.noise_width = Allocator(), 0
        self.given: dict[tuple[str, int], int] = {}
        self.offsets: dict[tuple[str, ...], int] = {}
        self.weights: dict[str, slice] = {}
        self.eligibilities: dict[tuple[str, int], slice] = {}
        self._allocate()
        self._allocate_weights()
        self.lasting = self.memory.size
        self.copies = _copies(circuit)

    def rest(self, dtype: str) -> Array:
        """The state before the first sample."""
        v = aligned(np.zeros(self.memory.size), dtype)
        for (value, n), at in self.memory.constants.items():
            v[at : at + n] = value
        for p in self.circuit.populations:
            for c in p.compartments:
                v[self.at("state", p.name, c.name)] = c.rest
        return v

    def at(self, kind: str, population: str, name: str) -> slice:
        """The slice of a compartment ("state") or an output ("out") in the flat state."""
        start = self.offsets[kind, population, name]
        return slice(start, start + self.sizes[population])

    def noise(self, n: int) -> int:
        """The offset of n random numbers in the noise of a step."""
        self.noise_width += n
        return self.noise_width - n

    def _allocate(self) -> None:
        for p in self.circuit.populations:
            for c in p.compartments:
                if isinstance(c.clamp, str) and (c.clamp, p.size) not in self.given:
                    self.given[c.clamp, p.size] = self.memory.allocate(p.size)
        self.given_width = self.memory.size
        for p in self.circuit.populations:
            for c in p.compartments:
                self.offsets["state", p.name, c.name] = self.memory.allocate(p.size)
            for name in p.outputs:
                self.offsets["out", p.name, name] = self.memory.allocate(p.size)
            for name in _anticipated(p):
                self.offsets["ahead", p.name, name] = self.memory.allocate(p.size)
        for q in self.circuit.projections:
            if q.delay:
                n, (population, _, part) = self.sizes[q.source_population], q.target.partition(".")
                # a compartment with τ = 0 is evaluated before the buffer moves on, a step earlier
                instantaneous = self.circuit.population(population).compartment(part).tau == 0
                steps = q.delay - instantaneous
                self.offsets["delayed", q.name] = self.memory.allocate(n)
                self.offsets["ring", q.name] = self.memory.allocate(n * steps)
                self.offsets["steps", q.name] = steps

    def _allocate_weights(self) -> None:
        ends = 0
        for projection in self.circuit.projections:
            if not projection.one_to_one:
                n, m = self.circuit.shape(projection)
                start = on_line(ends, n * m)
                self.weights[projection.name] = slice(start, ends := start + n * m)
        self.n_weights, ends = ends, 0
        for projection in self.circuit.projections:
            for i in range(len(projection.plasticity)):
                own = self.weights[projection.name]
                start, length = on_line(ends, own.stop - own.start), own.stop - own.start
                ends = start + length
                at = own if self.direct else slice(start, ends)
                self.eligibilities[projection.name, i] = at
        self.n_eligibilities = ends


def _anticipated(p: Population) -> list[str]:
    """The compartments whose fixed point (``ahead``) a formula of the neuron reads."""
    formulas = [*p.formulas.values(), *p.currents.values(), *p.pulls]
    reads = {read for formula in formulas for read in formula.reads()}
    return [c.name for c in p.compartments if f"ahead:{c.name}" in reads]


def _copies(circuit: Circuit) -> dict[str, list[tuple[str, bool]]]:
    return {
        one.name: [
            (other.name, other.transposed == one.transposed)
            for other in circuit.projections
            if other is not one and other.parameter and other.parameter == one.parameter
        ]
        for one in circuit.projections
    }
