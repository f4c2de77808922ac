"""Compilation of a circuit to the operations that `machine` executes.

Inputs are clamped during a phase, and so are many other values the same at every step: the outputs
of neurons that only clamped compartments drive, memories in which nothing is stored, and all that
is computed from these. The program ``begin`` computes them once, above all their synaptic
currents. A weight change f(post) g(pre) h(w) of which one side is constant needs the sum of the
other side only: the program ``learn`` gathers it, and ``end`` adds the product once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from biocircuits.description.circuit import Circuit, Phase
from biocircuits.description.formulas import Term
from biocircuits.description.graph import Graph, Node
from biocircuits.description.populations import Population
from biocircuits.description.projections import Projection
from biocircuits.simulation import machine as k
from biocircuits.simulation.layout import Layout
from biocircuits.simulation.writer import Vector, Writer
from rate_models.errors import BadOption


class Gathered(NamedTuple):
    """A weight change f_i g_j h_ij that is not yet in the eligibilities, or −s w_ij, a decay.

    post, pre, weight: offsets of f (n,), g (m,) and h (n, m), None for a factor of 1; of a decay,
    post is that of s.
    """

    post: int
    pre: int = 0
    weight: int | None = None
    decay: bool = False

    def of(self, i: int, j: int, m: int) -> tuple[int, ...]:
        """The offsets of the factors at the synapse onto neuron i from neuron j of m."""
        if self.decay:
            return (self.post,)
        of_weight = () if self.weight is None else (self.weight + i * m + j,)
        return (self.post + i, self.pre + j, *of_weight)


class Phased(NamedTuple):
    """The programs of one phase, see `machine.Plan`.

    loops: whether its steady state needs more than one sweep. gathered: the weight changes that
    `end` will add, for every (projection, number of its plasticity).
    """

    begin: k.Program
    step: k.Program
    move: k.Program
    learn: k.Program
    end: k.Program
    loops: bool
    gathered: dict[tuple[str, int], list[Gathered]]


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


class _Compiler:
    """Writes the programs of one phase."""

    def __init__(
        self, of: Layout, graph: Graph, order: list[Node], moving: list[Node]
    ) -> None:
        self.of, self.graph, self.order, self.moving = of, graph, order, moving
        self.begin, self.end = Writer(of.memory), Writer(of.memory)
        self.step = Writer(of.memory, self.begin)
        self.move = Writer(of.memory, self.begin, self.step)
        self.learn = Writer(of.memory, self.begin, self.step)
        self.gathered: dict[tuple[str, int], list[Gathered]] = {}
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
        for node in self.order:
            self._node(self.step if node in self.varying else self.begin, node)
        for projection in self.graph.active():
            if projection.delay and self.of.dt is not None:
                self._delay(projection)
        currents = [self._current(self.move, node) for node in self.moving]
        for node, (at, scale) in zip(self.moving, currents, strict=True):
            self._relax(node, at, scale)
        for q in self.of.circuit.projections:
            self._plasticity(q)
        programs = [w.program() for w in (self.begin, self.step, self.move, self.learn, self.end)]
        return Phased(*programs, loops, self.gathered)

    def _into(self, node: Node) -> list[Projection]:
        return self.graph.into(*node[1:]) if node[0] == "state" else []

    def _changes(self, q: Projection) -> bool:
        """Whether the current of a constant rate varies during the phase."""
        if self.of.dt is None:
            return False
        plastic = self.of.direct and any(self.graph.on(p.phases) for p in q.plasticity)
        return bool(q.delay or q.noise or plastic)

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
            at = f"steady state of {name}.{part} in phase {self.graph.phase.name}"
            raise BadOption(at, got="currents but no conductance", remedy=remedy)
        parts = [self._synaptic(q) for q in self.graph.into(name, part)]
        for formula, conductance in self.graph.pulls(p, part):
            found = to.formula(formula, self._variables(p), p.size)
            parts.append((found.varies, {"code": k.TRANSFER, "a": found.at, "c": conductance}))
        at, scale = self._sum(to, parts, p.size)
        if ("ahead", name, part) in self.of.offsets:
            to.add(k.SET, self.of.offsets["ahead", name, part], at, n=p.size, c=scale / total)
        return at, scale / total

    def _sum(
        self, to: Writer, parts: list[tuple[bool, dict[str, Any]]], n: int
    ) -> tuple[int, float]:
        """A vector and a factor of it that are the sum of currents, the constant ones first."""
        states = {self.of.offsets[node] for node in self.moving}
        if len(parts) == 1 and parts[0][1]["code"] == k.TRANSFER and parts[0][1]["a"] not in states:
            return parts[0][1]["a"], parts[0][1]["c"]
        so_far = self.of.memory.constant(0.0, n)
        for varies in (False, True):
            these = [operation for v, operation in parts if v is varies]
            total = self.of.memory.allocate(n) if these else so_far
            for operation in these:
                (to if varies else self.begin).add(to=total, b=so_far, n=n, **operation)
                so_far = total
        return so_far, 1.0

    def _synaptic(self, q: Projection) -> tuple[bool, dict[str, Any]]:
        """Whether the current of a projection varies, and the operation that adds it."""
        at, varies = self._output(q.source_population, q.output)[:2]
        timed = self.of.dt is not None
        if q.delay and timed:
            at = self.of.offsets["delayed", q.name]
        varies = varies or self._changes(q)
        if q.one_to_one:
            return varies, {"code": k.TRANSFER, "a": at, "c": q.sign}
        n, m = self.of.circuit.shape(q)
        operation: dict[str, Any] = {
            "code": k.CONDUCT, "a": at, "m": m, "w": self.of.weights[q.name].start, "c": q.sign
        }  # fmt: skip
        if q.noise and self.of.dt is not None:
            noise = {"z": self.of.noise(n), "d": q.noise / math.sqrt(self.of.dt)}
            operation |= {"code": k.RELEASE, **noise}
        return varies, operation

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

    def _plasticity(self, q: Projection) -> None:
        """The weight changes of a projection."""
        for i, (plasticity, change) in enumerate(zip(q.plasticity, q.changes, strict=True)):
            if not self.graph.on(plasticity.phases):
                continue
            self.gathered[q.name, i] = []
            to = {"w": self.of.eligibilities[q.name, i].start}
            rate = {"c": plasticity.rate, "d": float(not plasticity.scaled)}
            for term in change.terms:
                self._term(q, i, term, to, rate)
            if change.decay:
                self._decay(q, i, to, rate | {"c": plasticity.rate * change.decay})

    def _term(
        self, q: Projection, i: int, term: Term, to: dict[str, int], rate: dict[str, float]
    ) -> None:
        n, m = self.of.circuit.shape(q)
        source, direct = self._output(q.source_population, q.output), self.of.direct
        target = self.of.circuit.population(q.target.partition(".")[0])
        post = self.learn.formula(term.post, self._variables(target), n)
        pre = self.learn.formula(term.pre, lambda read: source, m)
        h = None
        if term.weight is not None:
            weights = self.of.memory.allocate(n * m)
            (self.learn if direct else self.begin).add(
                k.WEIGHTS, weights, n=n * m, w=self.of.weights[q.name].start
            )
            found = Vector(weights, varies=direct)
            h = self.learn.formula(term.weight, lambda read: found, n * m).at
        learn = {"code": k.LEARN if h is None else k.LEARN_BY_WEIGHT, "to": h or 0, "n": n, "m": m}
        if direct or (post.varies and pre.varies):
            self.learn.add(a=post.at, b=pre.at, **learn, **to, **rate)
            return
        width, of = (m, pre) if pre.varies else (n, post)
        total = self._gather(of.at, width, rate)
        a, b = (post.at, total) if pre.varies else (total, pre.at)
        self.end.add(a=a, b=b, d=1.0, **learn, **to)
        self.end.add(k.CLEAR, total, n=width)
        self.gathered[q.name, i].append(Gathered(a, b, h))

    def _decay(
        self, q: Projection, i: int, to: dict[str, int], rate: dict[str, float]
    ) -> None:
        n, m = self.of.circuit.shape(q)
        one = self.of.memory.constant(1.0, 1)
        decay = {"code": k.DECAY, "to": 0, "b": self.of.weights[q.name].start, "n": n, "m": m}
        if self.of.direct:
            self.learn.add(a=one, **decay, **to, **rate)
            return
        total = self._gather(one, 1, rate)
        self.end.add(a=total, d=1.0, **decay, **to)
        self.end.add(k.CLEAR, total, n=1)
        self.gathered[q.name, i].append(Gathered(total, decay=True))

    def _gather(self, of: int, n: int, rate: dict[str, float]) -> int:
        """The offset of the sum of a vector over the steps in which plasticity is active."""
        total = self.of.memory.allocate(n)
        self.learn.add(k.GATHER, total, of, n=n, **rate)
        return total
