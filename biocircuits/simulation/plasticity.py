"""Compilation of the plasticity of one phase of a circuit.

A weight change f(post) g(pre) h(w), of which one side is the same at every step, needs the sum of
the other side only. The program ``learn`` gathers it at every step, ``end`` adds the product to the
eligibilities once, and ``commit`` adds eligibilities to the weights. Where no other phase
contributes, ``commit`` adds the product to the weights, and no eligibility is written and read.

Where plasticity changes the weights themselves at every step, synapses from a source with a
constant rate r have the weights W = (1 − u) W_0 + Σ_k a_k g_kᵀ, with a_k a sum over the steps so
far. Their current follows without W: I = W r changes by (g_k·r) Δa_k.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from biocircuits.description.formulas import Change, Term
from biocircuits.description.graph import Graph
from biocircuits.description.populations import Population
from biocircuits.description.projections import Plasticity, Projection
from biocircuits.description.signals import Signal
from biocircuits.simulation import operations as k
from biocircuits.simulation.layout import Layout
from biocircuits.simulation.writer import Vector, Writer


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


class Learning:
    """Writes the programs of plasticity in one phase.

    gathered: the weight changes that the program ``end`` adds, for every (projection, number of its
    plasticity). changed: the projections whose weights change at the end of the phase.
    """

    def __init__(
        self,
        of: Layout,
        graph: Graph,
        begin: Writer,
        step: Writer,
        output: Callable[[str, str], Vector],
        variables: Callable[[Population], Callable[[str], Vector]],
    ) -> None:
        self.of, self.graph, self.begin = of, graph, begin
        self._output, self._variables = output, variables
        self.learn = Writer(of.memory, begin, step)
        self.end, self.committing = Writer(of.memory), Writer(of.memory)
        self.gathered: dict[tuple[str, int], list[Gathered]] = {}
        self.changed: list[Projection] = []
        self._currents: dict[str, int] = {}
        self._eligible: set[tuple[str, int]] = set()  # whose eligibilities this phase changes

    def add(self, q: Projection) -> None:
        """The weight changes of a projection."""
        active = self._active(q)
        self.gathered |= {(q.name, i): [] for i, *_ in active}
        if self.follows(q):
            self._follow(q, active)
        else:
            for i, plasticity, change in active:
                self._change(q, i, plasticity, change)
        self._commit(q)

    def _change(self, q: Projection, i: int, plasticity: Plasticity, change: Change) -> None:
        """The products and the decay of one plasticity."""
        scaled = self.of.direct and plasticity.scaled  # eligibilities are scaled by `_commit`
        c, d = plasticity.rate, float(not scaled)
        for term in change.terms:
            self._term(q, i, term, c, d)
        if change.decay:
            self._decay(q, i, c * change.decay, d)

    def _active(self, q: Projection) -> list[tuple[int, Plasticity, Change]]:
        changes = enumerate(zip(q.plasticity, q.changes, strict=True))
        return [(i, p, change) for i, (p, change) in changes if self.graph.on(p.phases)]

    def changing(self, q: Projection) -> bool:
        """Whether the weights change during the phase."""
        return self.of.direct and bool(self._active(q))

    def follows(self, q: Projection) -> bool:
        """Whether weights change by products of which the presynaptic side is constant."""
        varies = self._output(q.source_population, q.output).varies or q.delay or q.noise
        terms = [term for _, _, change in self._active(q) for term in change.terms]
        return self.changing(q) and not varies and all(term.weight is None for term in terms)

    def current(self, q: Projection) -> int:
        """The offset of the current W r of a projection that `follows`."""
        n, m = self.of.circuit.shape(q)
        source, zeros = self._output(q.source_population, q.output), self.of.memory.constant(0.0, n)
        self._currents[q.name] = at = self.of.memory.allocate(n)
        self.begin.add(k.CONDUCT, at, source.at, zeros, n=n, m=m, w=self.of.weights[q.name].start)
        return at

    def _follow(self, q: Projection, active: list[tuple[int, Plasticity, Change]]) -> None:
        """The sums a_k and u that stand for the weights during the phase, and the current."""
        (n, m), w = self.of.circuit.shape(q), self.of.weights[q.name].start
        memory, one = self.of.memory, self.of.memory.constant(1.0, 1)
        source, target = self._sides(q)
        current = [self._currents[q.name]] if q.name in self._currents else []
        terms = [(i, term, memory.allocate(n)) for i, _, change in active for term in change.terms]
        lost = memory.allocate(1)  # u
        if any(change.decay for _, _, change in active):
            self.end.add(k.DECAY, 0, lost, w, n=n, m=m, w=w, d=1.0)
            self.end.add(k.CLEAR, lost, n=1)
            self.gathered[q.name, active[0][0]].append(Gathered(lost, decay=True))
        for i, plasticity, change in active:
            c, d = plasticity.rate, float(not plasticity.scaled)
            for _, term, total in [one for one in terms if one[0] == i]:
                post = self.learn.formula(term.post, self._variables(target), n).at
                pre = self.learn.formula(term.pre, lambda read: source, m).at
                self.learn.add(k.GATHER, total, post, one, n=n, c=c, d=d)
                for at in current:
                    product = memory.allocate(1)
                    self.begin.add(k.DOT, product, pre, source.at, n=m)
                    self.learn.add(k.GATHER, at, post, product, n=n, c=c, d=d)
                self.end.add(k.LEARN, 0, total, pre, n=n, m=m, w=w, d=1.0)
                self.end.add(k.CLEAR, total, n=n)
                self.gathered[q.name, i].append(Gathered(total, pre))
            if change.decay:
                c *= change.decay
                for at in (*current, *(total for *_, total in terms)):
                    self.learn.add(k.GATHER, at, at, one, n=n, c=-c, d=d)
                self.learn.add(k.GATHER, lost, lost, one, n=1, c=-c, d=d)
                self.learn.add(k.GATHER, lost, one, one, n=1, c=c, d=d)

    def _sides(self, q: Projection) -> tuple[Vector, Population]:
        """The rates of the source, and the target population."""
        source = self._output(q.source_population, q.output)
        return source, self.of.circuit.population(q.target.partition(".")[0])

    def _term(self, q: Projection, i: int, term: Term, c: float, d: float) -> None:
        """One product f(post) g(pre) h(weight) of a weight change."""
        (n, m), w = self.of.circuit.shape(q), self.of.eligibilities[q.name, i].start
        (source, target), direct = self._sides(q), self.of.direct
        post = self.learn.formula(term.post, self._variables(target), n)
        pre = self.learn.formula(term.pre, lambda read: source, m)
        h = None if term.weight is None else self._of_weight(q, term.weight)
        code, to = (k.LEARN, 0) if h is None else (k.LEARN_BY_WEIGHT, h)
        if direct or (post.varies and pre.varies):
            self.learn.add(code, to, post.at, pre.at, n=n, m=m, w=w, c=c, d=d)
            self._eligible.add((q.name, i))
            return
        a = post.at if pre.varies else self._gather(post.at, n, c, d)
        b = self._gather(pre.at, m, c, d) if pre.varies else pre.at
        self.gathered[q.name, i].append(Gathered(a, b, h))
        total, size = (b, m) if pre.varies else (a, n)
        if h is None and self._at_once(q.plasticity[i]):
            self.begin.add(k.CLEAR, total, n=size)
            w, d = self.of.weights[q.name].start, float(not q.plasticity[i].scaled)
            self.committing.add(k.CHANGE, 0, a, b, n=n, m=m, w=w, d=d)
            return
        self.end.add(code, to, a, b, n=n, m=m, w=w, d=1.0)
        self.end.add(k.CLEAR, total, n=size)
        self._eligible.add((q.name, i))

    def _of_weight(self, q: Projection, signal: Signal) -> int:
        """The offset of h(w) for all weights of a projection."""
        n, m = self.of.circuit.shape(q)
        at = self.of.memory.allocate(n * m)
        writer = self.learn if self.of.direct else self.begin
        writer.add(k.WEIGHTS, at, n=n * m, w=self.of.weights[q.name].start)
        weights = Vector(at, varies=self.of.direct)
        return self.learn.formula(signal, lambda read: weights, n * m).at

    def _decay(self, q: Projection, i: int, c: float, d: float) -> None:
        (n, m), w = self.of.circuit.shape(q), self.of.eligibilities[q.name, i].start
        one, weights = self.of.memory.constant(1.0, 1), self.of.weights[q.name].start
        if self.of.direct:
            self.learn.add(k.DECAY, 0, one, weights, n=n, m=m, w=w, c=c, d=d)
            return
        share = self._gather(one, 1, c, d)
        self._eligible.add((q.name, i))
        self.end.add(k.DECAY, 0, share, weights, n=n, m=m, w=w, d=1.0)
        self.end.add(k.CLEAR, share, n=1)
        self.gathered[q.name, i].append(Gathered(share, decay=True))

    def _gather(self, of: int, n: int, c: float, d: float) -> int:
        """The offset of the sum of a vector over the steps in which plasticity is active."""
        total = self.of.memory.allocate(n)
        self.learn.add(k.GATHER, total, of, self.of.memory.constant(1.0, 1), n=n, c=c, d=d)
        return total

    def _due(self, p: Plasticity) -> bool:
        """Whether the weights change at the end of this phase."""
        last = self.graph.phase is self.of.circuit.phases[-1]
        return self.graph.on(p.phases) if p.immediately else last

    def _at_once(self, p: Plasticity) -> bool:
        """Whether weights change at the end of this phase, and by changes of this phase alone.

        Their products are then added to the weights and to no eligibility.
        """
        return self._due(p) and (p.immediately or set(p.phases) == {self.graph.phase.name})

    def _commit(self, q: Projection) -> None:
        """Add eligibilities to the weights that change at the end of the phase."""
        due = [(i, p) for i, p in enumerate(q.plasticity) if self._due(p)]
        if not due:
            return
        self.changed.append(q)
        at = self.of.weights[q.name].start
        for i, plasticity in due if not self.of.direct else []:
            if (q.name, i) in self._eligible or not self._at_once(plasticity):
                own, unscaled = self.of.eligibilities[q.name, i], float(not plasticity.scaled)
                self.committing.add(
                    k.COMMIT, 0, 0, at, n=own.stop - own.start, m=1, w=own.start, d=unscaled
                )
        for name, same in self.of.copies[q.name]:
            n, m = self.of.circuit.shape(self.of.circuit.projection(name))
            code = k.TAKE if same else k.TRANSPOSE
            self.committing.add(code, 0, at, n=n, m=m, w=self.of.weights[name].start)
