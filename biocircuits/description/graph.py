"""The dependencies within a circuit in each phase, and an order in which to evaluate them."""

from __future__ import annotations

from collections.abc import Iterator

from biocircuits.description.circuit import Circuit, Phase
from biocircuits.description.populations import Compartment, Population
from biocircuits.description.projections import Projection
from biocircuits.description.signals import Signal

Node = tuple[str, str, str]  # ("state" or "out", population, compartment or output)


class Graph:
    """The dependencies within one phase."""

    def __init__(self, circuit: Circuit, phase: Phase) -> None:
        self.circuit, self.phase = circuit, phase

    def active(self) -> list[Projection]:
        """The projections that conduct in this phase."""
        return [p for p in self.circuit.projections if self.on(p.phases)]

    def compartments(self) -> list[Node]:
        """The compartments whose state changes in this phase."""
        nodes: list[Node] = []
        for p in self.circuit.populations:
            for c in p.compartments:
                if c.clamp is None and (self.conductance(p, c) or self.driven(p, c)):
                    nodes.append(("state", p.name, c.name))
        return nodes

    def driven(self, p: Population, c: Compartment) -> bool:
        """Whether the compartment receives any current."""
        return c.current is not None or bool(self.into(p.name, c.name))

    def conductance(self, p: Population, c: Compartment) -> float:
        """The total conductance of a compartment: its leak and its couplings."""
        couplings = [g for g in p.couplings if g.into == c.name and self.on(g.phases)]
        return c.leak + sum(g.conductance for g in couplings)

    def moving(self) -> list[Node]:
        """The compartments with τ > 0, each after those whose fixed point (``ahead``) it reads."""

        def late(node: Node) -> bool:
            p = self.circuit.population(node[1])
            reads = {r for f, _ in self.pulls(p, node[2]) for r in f.reads()}
            return any(r.startswith("ahead:") for r in reads)

        return sorted((n for n in self.compartments() if self.tau(n) > 0), key=late)

    def tau(self, node: Node) -> float:
        """The time constant of a compartment, in ms."""
        return self.circuit.population(node[1]).compartment(node[2]).tau

    def ordered(self, moving: set[Node] | None = None) -> tuple[list[Node], list[Node]]:
        """(order, loop): outputs and compartments without dynamics, each after what it reads.

        loop: the nodes of the first algebraic loop, or an empty list. moving: the compartments with
        τ > 0; None: the steady state, in which nothing has dynamics and delays do not count.
        """
        steady = moving is None
        moving = moving or set()
        outputs: list[Node] = [
            ("out", p.name, o) for p in self.circuit.populations for o in p.outputs
        ]
        nodes = [n for n in self.compartments() if n not in moving] + outputs
        included, order, loop = set(nodes), list[Node](), list[Node]()
        state: dict[Node, int] = {}
        path: list[Node] = []

        def visit(node: Node) -> None:
            if node not in included or state.get(node) == 2:
                return
            if state.get(node) == 1:
                if not loop:
                    loop.extend([*path[path.index(node) :], node])
                return
            state[node] = 1
            path.append(node)
            for other in self.reads(node, steady=steady):
                visit(other)
            path.pop()
            state[node] = 2
            order.append(node)

        for node in nodes:
            visit(node)
        return order, loop

    def into(self, population: str, compartment: str) -> list[Projection]:
        """The projections onto a compartment."""
        return [q for q in self.active() if q.target == f"{population}.{compartment}"]

    def pulls(self, p: Population, compartment: str) -> list[tuple[Signal, float]]:
        """Currents from within the neuron into a compartment, as (formula, conductance)."""
        pulls = [(pull, g.conductance) for g, pull in zip(p.couplings, p.pulls, strict=True)
                 if g.into == compartment and self.on(g.phases)]  # fmt: skip
        current = p.currents.get(compartment)
        return pulls + ([] if current is None else [(current, 1.0)])

    def reads(self, node: Node, *, steady: bool = False) -> Iterator[Node]:
        """The nodes from which an output, or the state of a compartment, is computed in one step.

        steady: whether the state is at rest, so that delayed and present outputs are the same.
        """
        kind, name, part = node
        p = self.circuit.population(name)
        formulas = [p.formulas[part]] if kind == "out" else [f for f, _ in self.pulls(p, part)]
        if kind == "state":
            for q in self.into(name, part):
                if steady or not q.delay:
                    yield ("out", q.source_population, q.output)
        for formula in formulas:
            for read in sorted(formula.reads()):
                if read == "broadcast":
                    assert p.broadcast is not None
                    source, output = self.circuit.output("broadcast", p.broadcast)
                    yield ("out", source.name, output)
                else:
                    yield ("state", name, read.removeprefix("ahead:"))

    def on(self, phases: tuple[str, ...] | None) -> bool:
        """Whether ``phases`` (None: all) includes this phase."""
        return phases is None or self.phase.name in phases
