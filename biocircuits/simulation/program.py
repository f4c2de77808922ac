"""Compilation of a circuit to the operations that `machine` executes.

Inputs are clamped during a phase, and so are many other values the same at every step: the outputs
of neurons that only clamped compartments drive, memories in which nothing is stored, and all that
is computed from these. The program ``begin`` computes them once, above all their synaptic currents;
``step`` and ``move`` compute what varies.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from biocircuits.description.circuit import Circuit, Phase
from biocircuits.description.graph import Graph, Node
from biocircuits.description.populations import Population
from biocircuits.description.projections import Projection
from biocircuits.simulation import operations as k
from biocircuits.simulation.layout import Layout
from biocircuits.simulation.machine import Programs
from biocircuits.simulation.plasticity import Gathered, Learning
from biocircuits.simulation.writer import Vector, Writer
from rate_models.errors import BadOption

FEW = 64  # sources: sums over fewer are faster column by column


class Phased(NamedTuple):
    """The compiled programs of one phase.

    loops: whether its steady state needs more than one sweep. gathered: the weight changes that
    the program `end` adds, for every (projection, number of its plasticity). changed: the
    projections whose weights change at the end of the phase.
    """

    programs: Programs
    loops: bool
    gathered: dict[tuple[str, int], list[Gathered]]
    changed: list[Projection]


class Compiled(Layout):
    """A circuit as programs over one flat state vector and one flat weight vector.

    dt: step in ms; None: the steady state. direct: whether plasticity changes weights directly
    instead of eligibilities. phases: the programs, by the name of the phase. Raises BadOption where
    dt is longer than a time constant, and for an algebraic loop.
    """

    def __init__(self, circuit: Circuit, dt: float | None, direct: bool = False) -> None:
        super().__init__(circuit, dt, direct)
        self.phases = {phase.name: _phase(self, phase) for phase in circuit.phases}
        for p in circuit.populations:
            for c in p.compartments:
                if dt is not None and c.clamp is None and 0 < c.tau < dt:
                    at = f"dt of circuit {circuit.name}"
                    expected = f"at most {c.tau:g} ms, τ of {p.name}.{c.name}"
                    raise BadOption(at, got=f"{dt:g} ms", expected=expected, remedy="or τ = 0")


def _phase(of: Layout, phase: Phase) -> Phased:
    """The programs of a phase. Raises BadOption for an algebraic loop."""
    graph = Graph(of.circuit, phase)
    moving = graph.moving()
    order, loops = graph.ordered(set(moving))
    if loops:
        names = " → ".join(f"{p}.{name}" for _, p, name in loops)
        expected = "a time constant above 0 in one of them"
        raise BadOption(f"loop in circuit {of.circuit.name}", got=names, expected=expected)
    if of.dt is None:
        (order, loops), moving = graph.ordered(), []
    return _Compiler(of, graph, order, moving).compiled(bool(loops))


class _Current(NamedTuple):
    """A current into a compartment, as an operation; varies: whether it changes in the phase."""

    varies: bool
    code: int
    a: int
    c: float
    m: int = 0
    w: int = 0
    z: int = 0
    d: float = 0.0


class _Compiler:
    """Writes the programs of one phase."""

    def __init__(self, of: Layout, graph: Graph, order: list[Node], moving: list[Node]) -> None:
        self.of, self.graph, self.order, self.moving = of, graph, order, moving
        self.begin = Writer(of.memory)
        self.step = Writer(of.memory, self.begin, loops=of.dt is None)
        self.move = Writer(of.memory, self.begin, self.step)
        self.learning = Learning(of, graph, self.begin, self.step, self._output, self._variables)
        self.varying = set(moving)
        computed, known = {*order, *moving}, set[Node]()
        for node in order:
            reads = [read for read in graph.reads(node, steady=of.dt is None) if read in computed]
            if not known.issuperset(reads) or any(map(self._changes, self._into(node))):
                self.varying.add(node)
            else:
                known.add(node)

    def compiled(self, loops: bool) -> Phased:
        """Write all programs."""
        self._clamps()
        for node in self.order:
            self._node(self.step if node in self.varying else self.begin, node)
        for projection in self.graph.active():
            if projection.delay and self.of.dt is not None:
                self._delay(projection)
        currents = [self._current(self.move, node) for node in self.moving]
        for node, (current, scale) in zip(self.moving, currents, strict=True):
            self._relax(node, current, scale)
        learning = self.learning
        for q in self.of.circuit.projections:
            learning.add(q)
        writers = [self.begin, self.step, self.move, learning.learn, learning.end]
        programs = Programs(*(w.program() for w in (*writers, learning.committing)))
        return Phased(programs, loops, learning.gathered, learning.changed)

    def _clamps(self) -> None:
        for p in self.of.circuit.populations:
            for c in p.compartments:
                at = self.of.offsets["state", p.name, c.name]
                if c.clamp is None:
                    continue
                if not self.graph.on(c.phases):
                    value = self.of.memory.constant(0.0, p.size)
                elif isinstance(c.clamp, str):
                    value = self.of.given[c.clamp, p.size]
                else:
                    value = self.of.memory.constant(c.clamp, p.size)
                self.begin.add(k.COPY, at, value, n=p.size)

    def _into(self, node: Node) -> list[Projection]:
        return self.graph.into(*node[1:]) if node[0] == "state" else []

    def _changes(self, q: Projection) -> bool:
        """Whether the current of a constant rate varies during the phase."""
        if self.of.dt is None:
            return False
        return bool(q.delay or q.noise or self.learning.changing(q))

    def _output(self, population: str, output: str) -> Vector:
        at = self.of.offsets["out", population, output]
        return Vector(at, ("out", population, output) in self.varying)

    def _variables(self, p: Population) -> Callable[[str], Vector]:
        """A function from the name of a signal of the population to its place."""

        def find(read: str) -> Vector:
            if read == "broadcast":
                assert p.broadcast is not None
                source, output = self.of.circuit.output("broadcast", p.broadcast)
                single = source.size == 1 and p.size > 1
                return self._output(source.name, output)._replace(single=single)
            kind, _, name = read.rpartition(":")
            node = "out" if kind == "out" else "state", p.name, name
            return Vector(self.of.offsets[kind or "state", p.name, name], node in self.varying)

        return find

    def _node(self, to: Writer, node: Node) -> None:
        """Compute an output, or set a compartment to its fixed point."""
        kind, name, part = node
        p = self.of.circuit.population(name)
        if kind == "out":
            to.formula(p.formulas[part], self._variables(p), p.size, self.of.offsets[node])
            return
        at, scale = self._current(to, node)
        to.add(k.SET, self.of.offsets[node], at, n=p.size, c=scale)

    def _current(self, to: Writer, node: Node) -> tuple[int, float]:
        """Compute the sum of all currents into a compartment.

        Returns the offset of a vector, and the factor that makes it the fixed point.
        """
        _, name, part = node
        p = self.of.circuit.population(name)
        total = self.graph.conductance(p, p.compartment(part))
        if total == 0:
            remedy = "give it a leak or a coupling in this phase"
            where = f"steady state of {name}.{part} in phase {self.graph.phase.name}"
            raise BadOption(where, got="currents but no conductance", remedy=remedy)
        parts = [self._synaptic(q) for q in self.graph.into(name, part)]
        for formula, conductance in self.graph.pulls(p, part):
            found = to.formula(formula, self._variables(p), p.size)
            parts.append(_Current(found.varies, k.TRANSFER, found.at, conductance))
        at, scale = self._sum(to, parts, p.size)
        if ("ahead", name, part) in self.of.offsets:
            to.add(k.SET, self.of.offsets["ahead", name, part], at, n=p.size, c=scale / total)
        return at, scale / total

    def _sum(self, to: Writer, parts: list[_Current], n: int) -> tuple[int, float]:
        """A vector and a factor of it that are the sum of currents, the constant ones first."""
        states = {self.of.offsets[node] for node in self.moving}  # they change before they are read
        if len(parts) == 1 and parts[0].code == k.TRANSFER and parts[0].a not in states:
            return parts[0].a, parts[0].c
        so_far = self.of.memory.constant(0.0, n)
        for varies in (False, True):
            these = [part for part in parts if part.varies is varies]
            total = self.of.memory.allocate(n) if these else so_far
            for _, code, a, c, m, w, z, d in these:
                writer = to if varies else self.begin
                writer.add(code, total, a, so_far, n=n, m=m, w=w, z=z, c=c, d=d)
                so_far = total
        return so_far, 1.0

    def _synaptic(self, q: Projection) -> _Current:
        """The current of a projection."""
        at, varies, _ = self._output(q.source_population, q.output)
        varies, timed = varies or self._changes(q), self.of.dt is not None
        if q.delay and timed:
            at = self.of.offsets["delayed", q.name]
        if q.one_to_one:
            return _Current(varies, k.TRANSFER, at, q.sign)
        if self.learning.follows(q):
            return _Current(varies, k.TRANSFER, self.learning.current(q), q.sign)
        (n, m), w = self.of.circuit.shape(q), self.of.weights[q.name].start
        if q.noise and self.of.dt is not None:
            z, d = self.of.noise(n), q.noise / math.sqrt(self.of.dt)
            return _Current(varies, k.RELEASE, at, q.sign, m, w, z, d)
        if varies and timed and m < min(n, FEW) and not self.learning.changing(q):
            z = self.of.memory.allocate(n * m)
            self.begin.add(k.TURN, z, n=n, m=m, w=w)
            return _Current(varies, k.COLUMNS, at, q.sign, m, z=z)
        return _Current(varies, k.CONDUCT, at, q.sign, m, w)

    def _relax(self, node: Node, current: int, scale: float) -> None:
        """Update a compartment with dynamics by one step."""
        _, name, part = node
        p, v = self.of.circuit.population(name), self.of.offsets[node]
        c = p.compartment(part)
        assert self.of.dt is not None
        alpha = -math.expm1(-self.of.dt * self.graph.conductance(p, c) / c.tau)
        if alpha == 1:  # exact: a rounded sum could be below 0, where a logarithm fails
            self.move.add(k.SET, v, current, n=p.size, c=scale)
        else:
            self.move.add(k.RELAX, v, current, n=p.size, c=alpha, d=scale)
        if c.noise:
            size = c.noise * math.sqrt(alpha * (2 - alpha))
            self.move.add(k.NOISE, v, n=p.size, z=self.of.noise(p.size), c=size)

    def _delay(self, q: Projection) -> None:
        n, source = self.of.sizes[q.source_population], self._output(q.source_population, q.output)
        at, steps = self.of.offsets["delayed", q.name], self.of.offsets["steps", q.name]
        if steps:
            self.move.add(k.DELAY, at, source.at, self.of.offsets["ring", q.name], n=n, m=steps)
        else:
            self.move.add(k.COPY, at, source.at, n=n)
