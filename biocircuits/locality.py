"""The biological requirements of a circuit, derived from its description.

Every formula is known, so the signals that each plasticity reads and their origins are known. From
this follow the four objections that Dellaferrera & Kreiman (2022, section 1) list against
backpropagation, as fields of `rate_models.rules.Properties`:

weight transport   Two projections have the same weights. Those of an observer do not count.
nonlocal signals   A weight change depends on a broadcast: one number for a whole population, which
                   no synapse transmits. (Other non-local signals cannot be written at all, see
                   `signals`.) An error that arrives by a projection at a compartment of the neuron
                   is local to its synapses; the paper calls it non-local where a rule has no such
                   compartment.
frozen activity    A hidden synapse learns from signals that depend on the answer and the target,
                   while the rate of its neuron does not depend on the target. The error is then
                   separate from the activity that caused it, and this activity must be held until
                   the error arrives (the third objection of the paper). Feedback of the target
                   alone does not wait for the answer, so by this definition BMVR freezes no
                   activity. The paper states the opposite for direct random target projection,
                   which has the same form, and its reason cannot be derived from a graph.
update locking     none: hidden layers learn without the answer. full: the teaching signal of a
                   hidden layer passes through hidden layers above it. partial: it depends on the
                   answer, but by a path that avoids them.

A dependency through an earlier phase counts like any other.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from biocircuits.catalogue import CIRCUITS, load
from biocircuits.description.circuit import Circuit
from biocircuits.description.graph import Graph, Node
from biocircuits.description.projections import Projection
from rate_models.errors import BadOption, UserError
from rate_models.network import NetworkSpec
from rate_models.rules import Properties, nearest
from rate_models.support import lookup

NEURONS = ("point", "pyramidal")


class Dependencies:
    """The states and outputs from which each other one is computed, in any phase of a circuit."""

    def __init__(self, circuit: Circuit) -> None:
        self.circuit = circuit
        graphs = [Graph(circuit, phase) for phase in circuit.phases]
        nodes: list[Node] = [("out", p.name, o) for p in circuit.populations for o in p.outputs]
        nodes += [("state", p.name, c.name) for p in circuit.populations for c in p.compartments]
        self.reads = {n: {r for g in graphs for r in self._reads(g, n)} for n in nodes}

    def _reads(self, graph: Graph, node: Node) -> Iterator[Node]:
        yield from graph.reads(node)
        if node[0] == "state":  # delayed outputs count too
            for q in graph.into(node[1], node[2]):
                yield ("out", q.source_population, q.output)

    def ancestors(self, start: Iterable[Node], avoid: str = "") -> set[Node]:
        """``start`` and all nodes from which it is computed, not through population ``avoid``."""
        visited: set[Node] = set()
        pending = list(start)
        while pending:
            node = pending.pop()
            if node not in visited:
                visited.add(node)
                if node[1] != avoid:
                    pending += self.reads[node]
        return visited

    def read(self, projection: Projection) -> set[Node]:
        """The nodes that the plasticity of a projection reads, except its presynaptic rate."""
        post = projection.target.partition(".")[0]
        nodes: set[Node] = set()
        for name in {name for change in projection.changes for name in change.reads()}:
            kind, _, part = name.rpartition(":")
            if name == "broadcast":
                nodes.add(self.broadcast(post))
            elif name not in ("pre", "weight"):
                nodes.add(("out" if kind else "state", post, part))
        return nodes

    def broadcast(self, population: str) -> Node:
        """The output that is broadcast to a population."""
        name = self.circuit.population(population).broadcast
        assert name is not None
        source, output = self.circuit.output("broadcast", name)
        return ("out", source.name, output)


def needs(circuit: Circuit) -> Properties:
    """The requirements of a circuit, by the definitions of this module."""
    d = Dependencies(circuit)
    plastic = [p for p in circuit.projections if p.plasticity]
    output = circuit.answer[0]
    answer: Node = ("out", output, "rate")
    target = {("state", p.name, c.name) for p in circuit.populations for c in p.compartments
              if c.clamp == "y"}  # fmt: skip
    hidden = [p for p in plastic if p.target.partition(".")[0] != output]
    shared = [p.parameter for p in circuit.projections if p.parameter and not p.observer]
    frozen = False
    for p in hidden:
        teaching = d.ancestors(d.read(p))
        rate = d.ancestors([("out", p.target.partition(".")[0], "rate")])
        frozen |= answer in teaching and bool(target & teaching) and not target & rate
    return Properties(
        passes=len(circuit.phases),
        weight_transport=len(set(shared)) < len(shared),
        nonlocal_signals=any(_reads_broadcast(d, p) for p in plastic),
        frozen_activity=frozen,
        update_locking=_locking(d, answer, target),
    )


def _reads_broadcast(d: Dependencies, p: Projection) -> bool:
    """Whether a weight change depends on a broadcast, directly or through its own neuron."""
    post = d.circuit.population(p.target.partition(".")[0])
    if post.broadcast is None:
        return False
    if post.size == d.circuit.output("broadcast", post.broadcast)[0].size:  # one for each neuron
        return False
    # the search ends at the outputs of other populations
    own, visited = [n for n in d.read(p) if n[1] == post.name], d.read(p)
    while own:
        new = {r for r in d.reads[own.pop()] if r not in visited}
        visited |= new
        own += [n for n in new if n[1] == post.name]
    return d.broadcast(post.name) in visited


def _locking(d: Dependencies, answer: Node, target: set[Node]) -> Any:
    """The strongest update locking of any hidden neuron."""
    kinds = {p.name: p.kind for p in d.circuit.populations}
    locking = "none"
    for p in d.circuit.projections:
        me = p.target.partition(".")[0]
        if not p.plasticity or me == answer[1] or kinds[me] not in NEURONS:
            continue
        teaching = d.read(p)
        if answer not in (ancestors := d.ancestors(teaching)) or not target & ancestors:
            continue
        locking = "partial"
        for node in d.ancestors(teaching, avoid=answer[1]):
            other = node[1] not in (me, answer[1]) and kinds[node[1]] in NEURONS
            above = other and ("out", me, "rate") in d.ancestors([node], avoid=answer[1])
            if above and answer in d.ancestors([node]):
                return "full"
    return locking


def example(name: str) -> Circuit:
    """The circuit of that name with two hidden layers, or the nearest network that it allows."""
    file = load(name)
    rule = file.definition
    spec = nearest(rule, NetworkSpec((6, 5, 4, 3), loss=rule.loss))
    if spec is None:
        got = "check() refuses every network that was tried"
        raise BadOption(f"circuit {name}", got=got, expected="a network that it accepts")
    return file.build(spec, rule.hyperparameters(), file.settings())


def table(problems: dict[str, str] | None = None) -> str:
    """A table of the requirements of all circuits, in Markdown.

    problems: receives {name: reason} of circuits that do not build; if None, errors are raised.

    >>> print(table().splitlines()[0])
    | circuit | passes | weight transport | nonlocal signals | frozen activity | update locking |
    """
    heads = ["circuit", *(field.replace("_", " ") for field in Properties._fields)]
    lines = [heads, ["---"] * len(heads)]
    for name in lookup.names(CIRCUITS):
        try:
            properties = needs(example(name))
        except Exception as error:  # the file may raise anything
            if problems is None:
                raise
            problems[name] = reason(error)
            continue
        cells = [{True: "yes", False: "no"}.get(v, v) if isinstance(v, bool) else v
                 for v in properties]  # fmt: skip
        lines.append([name, *map(str, cells)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def reason(error: Exception) -> str:
    """An error on one line; unless it is a UserError, with the file and line that raised it."""
    lines = str(error).splitlines() or [""]
    if isinstance(error, UserError):
        return lines[0]
    frames = traceback.extract_tb(error.__traceback__)
    at = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {lines[0]}{at}"


def main() -> int:
    """Print the table. Circuits that do not build are printed to stderr, and the status is 1."""
    problems: dict[str, str] = {}
    print(table(problems))
    for name, why in problems.items():
        print(f"circuit {name} does not build: {why}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
