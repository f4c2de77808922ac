"""Compilation of a circuit to the operations that `machine` executes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from biocircuits.description.circuit import Circuit, Phase
from biocircuits.description.graph import Graph, Node
from biocircuits.description.populations import Population
from biocircuits.description.projections import Projection
from biocircuits.description.signals import Signal
from biocircuits.simulation import machine as k
from biocircuits.simulation.writer import Allocator, Vector, Writer
from rate_models.compiler.kernel import Array
from rate_models.errors import BadOption


class Phased(NamedTuple):
    """The programs of one phase. loops: whether its steady state needs more than one sweep."""

    evaluate: k.Program
    move: k.Program
    solve: k.Program
    learn: k.Program
    loops: bool


class Compiled:
    """A circuit as programs over one flat state vector and one flat weight vector.

    dt: step in ms. direct: whether plasticity changes weights directly instead of eligibilities.
    Raises BadOption where dt is longer than a time constant, and for an algebraic loop.
    """

    def __init__(self, circuit: Circuit, dt: float, direct: bool = False) -> None:
        self.circuit, self.dt = circuit, dt
        self._sizes = {p.name: p.size for p in circuit.populations}
        self.memory, self.noise_width = Allocator(), 0
        self.offsets: dict[tuple[str, ...], int] = {}
        self.weights: dict[str, slice] = {}
        self.eligibilities: dict[tuple[str, int], slice] = {}
        self._allocate(direct)
        self.phases = {phase.name: self._phase(phase) for phase in circuit.phases}
        for p in circuit.populations:
            for c in p.compartments:
                if c.clamp is None and 0 < c.tau < dt:
                    at = f"dt of circuit {circuit.name}"
                    expected = f"at most {c.tau:g} ms, τ of {p.name}.{c.name}"
                    raise BadOption(at, got=f"{dt:g} ms", expected=expected, remedy="or τ = 0")

    def rest(self) -> Array:
        """The state before the first sample."""
        v = np.zeros(self.memory.size)
        for value, at in self.memory.constants.items():
            v[at] = value
        for p in self.circuit.populations:
            for c in p.compartments:
                v[self.at("state", p.name, c.name)] = c.rest
        return v

    def at(self, kind: str, population: str, name: str) -> slice:
        """The slice of a compartment ("state") or an output ("out") in the flat state."""
        start = self.offsets[kind, population, name]
        return slice(start, start + self._sizes[population])

    def _allocate(self, direct: bool) -> None:
        for p in self.circuit.populations:
            for c in p.compartments:
                for kind in ("state", "current", "ahead"):
                    self.offsets[kind, p.name, c.name] = self.memory.allocate(p.size)
            for name in p.outputs:
                self.offsets["out", p.name, name] = self.memory.allocate(p.size)
        ends = 0
        for projection in self.circuit.projections:
            if not projection.one_to_one:
                n, m = self.circuit.shape(projection)
                self.weights[projection.name] = slice(ends, ends + n * m)
                ends += n * m
        self.n_weights, ends = ends, 0
        for projection in self.circuit.projections:
            for i in range(len(projection.plasticity)):
                own = self.weights[projection.name]
                length = own.stop - own.start
                at = own if direct else slice(ends, ends + length)
                self.eligibilities[projection.name, i] = at
                ends += length
        self.n_eligibilities = ends

    def _phase(self, phase: Phase) -> Phased:
        evaluate, move, learn, solve = (Writer(self.memory) for _ in range(4))
        graph = Graph(self.circuit, phase)
        moving = graph.moving()
        order, loops = graph.ordered(set(moving))
        if loops:
            names = " → ".join(f"{p}.{name}" for _, p, name in loops)
            expected = "a time constant above 0 in one of them"
            raise BadOption(f"loop in circuit {self.circuit.name}", got=names, expected=expected)
        for node in order:
            self._node(evaluate, graph, node, continuous=True)
        for projection in graph.active():
            if projection.delay:
                self._delay(move, projection)
        for node in moving:
            self._currents(move, graph, node, delayed=True)
        for node in moving:
            self._relax(move, graph, node, continuous=True)
        self._learning(learn, phase)
        order, loops = graph.ordered()
        for node in order:
            self._node(solve, graph, node, continuous=False)
        return Phased(
            evaluate.program(), move.program(), solve.program(), learn.program(), bool(loops)
        )

    def _node(self, to: Writer, graph: Graph, node: Node, *, continuous: bool) -> None:
        kind, name, part = node
        p = self.circuit.population(name)
        if kind == "out":
            at, step = to.formula(p.formulas[part], self._variables(p), p.size)
            to.add(k.COPY, self.offsets["out", name, part], at, step, n=p.size)
            return
        self._currents(to, graph, node, delayed=continuous)
        self._relax(to, graph, node, continuous=continuous)

    def _variables(self, p: Population) -> Callable[[str], Vector]:
        """A function from the name of a signal of the population to its offset and step."""

        def find(read: str) -> Vector:
            if read == "broadcast":
                assert p.broadcast is not None
                source, output = self.circuit.output("broadcast", p.broadcast)
                return self.offsets["out", source.name, output], min(source.size - 1, 1)
            kind, _, name = read.rpartition(":")
            return self.offsets[kind or "state", p.name, name], 1

        return find

    def _currents(self, to: Writer, graph: Graph, node: Node, *, delayed: bool) -> None:
        """Compute the sum of all currents into a compartment, and its fixed point."""
        _, name, part = node
        p, total = self.circuit.population(name), self.offsets["current", name, part]
        to.add(k.ZERO, total, n=p.size)
        for q in graph.into(name, part):
            source = self.circuit.population(q.source_population)
            at = self.offsets["out", source.name, q.output]
            if q.delay and delayed:
                at = self._delayed(q)
            if q.one_to_one:
                to.add(k.TRANSFER, total, at, 1, n=p.size, c=q.sign)
                continue
            release, b = 0.0, 0
            if q.noise and delayed:
                release, b = q.noise / math.sqrt(self.dt), self._noise(p.size)
            to.add(k.RELEASE if release else k.CONDUCT, total, at, 1, b, n=p.size, m=source.size,
                   w=self.weights[q.name].start, c=q.sign, d=release)  # fmt: skip
        for formula, conductance in graph.pulls(p, part):
            at, step = to.formula(formula, self._variables(p), p.size)
            at = to.repeated((at, step), p.size)
            to.add(k.TRANSFER, total, at, 1, n=p.size, c=conductance)
        conductance = graph.conductance(p, p.compartment(part))
        if conductance:
            ahead = self.offsets["ahead", name, part]
            one_over = self.memory.constant(1 / conductance)
            to.add(k.MULTIPLY, ahead, total, 1, one_over, 0, n=p.size)

    def _relax(self, to: Writer, graph: Graph, node: Node, *, continuous: bool) -> None:
        """Update a compartment by one step, or set it to its fixed point."""
        _, name, part = node
        p = self.circuit.population(name)
        c = p.compartment(part)
        v, current = self.offsets["state", name, part], self.offsets["current", name, part]
        total = graph.conductance(p, c)
        moves = continuous and c.tau > 0
        if total == 0 and not moves:
            remedy = "give it a leak or a coupling in this phase"
            at = f"steady state of {name}.{part} in phase {graph.phase.name}"
            raise BadOption(at, got="currents but no conductance", remedy=remedy)
        if total == 0:
            to.add(k.HOLD, v, current, 1, n=p.size, c=self.dt / c.tau)
            return
        alpha = -math.expm1(-self.dt * total / c.tau) if moves else 1.0
        to.add(k.RELAX, v, current, 1, n=p.size, c=alpha, d=1 / total)
        if moves and c.noise:
            size = c.noise * math.sqrt(alpha * (2 - alpha))
            to.add(k.NOISE, v, v, 1, self._noise(p.size), n=p.size, c=size)

    def _noise(self, n: int) -> int:
        self.noise_width += n
        return self.noise_width - n

    def _delayed(self, q: Projection) -> int:
        """The offset of the output that the source had ``delay`` steps ago."""
        key = ("delayed", q.name)
        if key not in self.offsets:
            n = self.circuit.population(q.source_population).size
            self.offsets[key] = self.memory.allocate(n)
            # a compartment with τ = 0 is evaluated before the buffer moves on, a step earlier
            population, _, part = q.target.partition(".")
            instantaneous = self.circuit.population(population).compartment(part).tau == 0
            steps = q.delay - instantaneous
            self.offsets["ring", q.name] = self.memory.allocate(n * steps)
            self.offsets["steps", q.name] = steps
        return self.offsets[key]

    def _delay(self, to: Writer, q: Projection) -> None:
        at, source = self._delayed(q), self.circuit.population(q.source_population)
        output, steps = self.offsets["out", source.name, q.output], self.offsets["steps", q.name]
        if steps:
            to.add(k.DELAY, at, output, 1, self.offsets["ring", q.name], n=source.size, m=steps)
        else:
            to.add(k.COPY, at, output, 1, n=source.size)

    def _learning(self, to: Writer, phase: Phase) -> None:
        for q in self.circuit.projections:
            n, m = self.circuit.shape(q)
            post = self.circuit.population(q.target.partition(".")[0])
            pre: Vector = (self.offsets["out", q.source_population, q.output], 1)
            for i, (plasticity, change) in enumerate(zip(q.plasticity, q.changes, strict=True)):
                if phase.name not in plasticity.phases:
                    continue
                at, unscaled = self.eligibilities[q.name, i].start, float(not plasticity.scaled)
                factors = []
                for term in change.terms:
                    a, step = to.formula(term.post, self._variables(post), n)
                    b = to.repeated(to.formula(term.pre, lambda read, pre=pre: pre, m), m)  # type: ignore[misc]
                    factors.append((a, step, b, self._of_weight(to, q, term.weight, n * m)))
                for a, step, b, h in factors:
                    code = k.LEARN if h is None else k.LEARN_BY_WEIGHT
                    to.add(code, h or 0, a, step, b, n=n, m=m, w=at, c=plasticity.rate, d=unscaled)
                if change.decay:
                    w, rate = self.weights[q.name].start, plasticity.rate * change.decay
                    to.add(k.DECAY, 0, 0, 1, w, n=n, m=m, w=at, c=rate, d=unscaled)

    def _of_weight(self, to: Writer, q: Projection, signal: Signal | None, n: int) -> int | None:
        """The offset of h(w) for all n weights of a projection; None for a factor of 1."""
        if signal is None:
            return None
        weights = self.memory.allocate(n)
        to.add(k.WEIGHTS, weights, n=n, w=self.weights[q.name].start)
        return to.repeated(to.formula(signal, lambda read: (weights, 1), n), n)
