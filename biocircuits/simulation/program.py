"""From the description of a circuit to the operations that `_kernel` runs."""

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
from biocircuits.simulation.writer import Place, Room, Writer
from rate_models.compiler.kernel import Array
from rate_models.errors import BadOption


class Phased(NamedTuple):
    """The programs of one phase. ``loops``: the steady state needs more than one sweep."""

    evaluate: k.Program
    move: k.Program
    solve: k.Program
    learn: k.Program
    loops: bool


class Compiled:
    """A circuit as programs over one flat state and one flat vector of weights.

    dt: step in ms. direct: plasticity writes into the weights themselves, not into eligibilities.
    Raises BadOption where dt is longer than a time constant, or an algebraic loop has no order.
    """

    def __init__(self, circuit: Circuit, dt: float, direct: bool = False) -> None:
        self.circuit, self.dt = circuit, dt
        self.room, self.noise_width = Room(), 0
        self.place: dict[tuple[str, ...], int] = {}
        self.weights: dict[str, slice] = {}
        self.traces: dict[tuple[str, int], slice] = {}  # eligibility of each plasticity
        self._lay_out(direct)
        self.phases = {phase.name: self._phase(phase) for phase in circuit.phases}
        for p in circuit.populations:
            for c in p.compartments:
                if c.clamp is None and 0 < c.tau < dt:
                    at = f"dt of circuit {circuit.name}"
                    expected = f"at most {c.tau:g} ms, τ of {p.name}.{c.name}"
                    raise BadOption(at, got=f"{dt:g} ms", expected=expected, remedy="or τ = 0")

    def rest(self) -> Array:
        """The state before the first sample."""
        v = np.zeros(self.room.size)
        for value, at in self.room.constants.items():
            v[at] = value
        for p in self.circuit.populations:
            for c in p.compartments:
                v[self.at("state", p.name, c.name)] = c.rest
        return v

    def at(self, kind: str, population: str, name: str) -> slice:
        """Where a compartment ("state") or an output ("out") lies in the flat state."""
        start = self.place[kind, population, name]
        return slice(start, start + self.circuit.population(population).size)

    def _lay_out(self, direct: bool) -> None:
        for p in self.circuit.populations:
            for c in p.compartments:
                for kind in ("state", "current", "ahead"):
                    self.place[kind, p.name, c.name] = self.room.take(p.size)
            for name in p.outputs:
                self.place["out", p.name, name] = self.room.take(p.size)
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
                self.traces[projection.name, i] = own if direct else slice(ends, ends + length)
                ends += length
        self.n_traces = ends

    def _phase(self, phase: Phase) -> Phased:
        evaluate, move, learn, solve = (Writer(self.room) for _ in range(4))
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
            at, step = to.formula(p.traced[part], self._environment(p), p.size)
            to.add(k.COPY, self.place["out", name, part], at, step, n=p.size)
            return
        self._currents(to, graph, node, delayed=continuous)
        self._relax(to, graph, node, continuous=continuous)

    def _environment(self, p: Population) -> Callable[[str], Place]:
        def find(read: str) -> Place:
            if read == "broadcast":
                assert p.hears is not None
                source, output = self.circuit.output("hears", p.hears)
                return self.place["out", source.name, output], min(source.size - 1, 1)
            kind, _, name = read.rpartition(":")
            return self.place[kind or "state", p.name, name], 1

        return find

    def _currents(self, to: Writer, graph: Graph, node: Node, *, delayed: bool) -> None:
        """The sum of all currents into a compartment."""
        _, name, part = node
        p, total = self.circuit.population(name), self.place["current", name, part]
        to.add(k.ZERO, total, n=p.size)
        for q in graph.into(name, part):
            source = self.circuit.population(q.source_population)
            at = self.place["out", source.name, q.output]
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
            at, step = to.formula(formula, self._environment(p), p.size)
            at = to.spread((at, step), p.size)
            to.add(k.TRANSFER, total, at, 1, n=p.size, c=conductance)
        conductance = graph.conductance(p, p.compartment(part))
        if conductance:
            ahead, one_over = self.place["ahead", name, part], self.room.constant(1 / conductance)
            to.add(k.MULTIPLY, ahead, total, 1, one_over, 0, n=p.size)

    def _relax(self, to: Writer, graph: Graph, node: Node, *, continuous: bool) -> None:
        """A step of a compartment's equation, or its steady state."""
        _, name, part = node
        p = self.circuit.population(name)
        c = p.compartment(part)
        v, current = self.place["state", name, part], self.place["current", name, part]
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
        """Where what the source said ``delay`` steps ago lies."""
        key = ("delayed", q.name)
        if key not in self.place:
            n = self.circuit.population(q.source_population).size
            self.place[key] = self.room.take(n)
            # what follows at once was read before this step's hand-over: it waits one step less
            population, _, part = q.target.partition(".")
            at_once = self.circuit.population(population).compartment(part).tau == 0
            steps = q.delay - at_once
            self.place["ring", q.name] = self.room.take(n * steps)
            self.place["steps", q.name] = steps
        return self.place[key]

    def _delay(self, to: Writer, q: Projection) -> None:
        at, source = self._delayed(q), self.circuit.population(q.source_population)
        said, steps = self.place["out", source.name, q.output], self.place["steps", q.name]
        if steps:
            to.add(k.DELAY, at, said, 1, self.place["ring", q.name], n=source.size, m=steps)
        else:
            to.add(k.COPY, at, said, 1, n=source.size)

    def _learning(self, to: Writer, phase: Phase) -> None:
        for q in self.circuit.projections:
            n, m = self.circuit.shape(q)
            post = self.circuit.population(q.target.partition(".")[0])
            pre: Place = (self.place["out", q.source_population, q.output], 1)
            for i, (plasticity, change) in enumerate(zip(q.plasticity, q.traced, strict=True)):
                if phase.name not in plasticity.phases:
                    continue
                at, unscaled = self.traces[q.name, i].start, float(not plasticity.scaled)
                rows = []
                for term in change.terms:
                    a, step = to.formula(term.post, self._environment(post), n)
                    b = to.spread(to.formula(term.pre, lambda read, pre=pre: pre, m), m)  # type: ignore[misc]
                    rows.append((a, step, b, self._of_weight(to, q, term.weight, n * m)))
                for a, step, b, h in rows:
                    code = k.LEARN if h is None else k.LEARN_BY_WEIGHT
                    to.add(code, h or 0, a, step, b, n=n, m=m, w=at, c=plasticity.rate, d=unscaled)
                if change.decay:
                    w, rate = self.weights[q.name].start, plasticity.rate * change.decay
                    to.add(k.DECAY, 0, 0, 1, w, n=n, m=m, w=at, c=rate, d=unscaled)

    def _of_weight(self, to: Writer, q: Projection, signal: Signal | None, n: int) -> int | None:
        """Where a factor h(w) lies, of all n weights of a projection; None for a factor of 1."""
        if signal is None:
            return None
        weights = self.room.take(n)
        to.add(k.WEIGHTS, weights, n=n, w=self.weights[q.name].start)
        return to.spread(to.formula(signal, lambda read: (weights, 1), n), n)
