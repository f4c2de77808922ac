"""What a circuit asks of the biology, read off its description.

Every formula is known, so what each plasticity reads is known, and where that comes from. From
this follow the four objections that Dellaferrera & Kreiman (2022, section 1) list against
backpropagation, in the words of `rate_models.rules.Properties`:

weight transport   two projections have the same weights. Those of an observer do not count.
nonlocal signals   a change of a synapse depends on a broadcast: one number for a whole population,
                   by no synapse. (Anything else that is not at the synapse cannot be written: see
                   `signals`.) An error that arrives by a projection at a compartment of the neuron
                   is at the synapse; the paper calls it non-local where a rule has no such
                   compartment.
frozen activity    a hidden synapse learns by what the answer and the target have sent back, while
                   its neuron's rate knows nothing of the target: the error is kept apart from the
                   activity that made it, which must be held until the error has come (the paper's
                   third objection). A target alone that is sent back does not wait for the answer,
                   so by this definition BMVR holds nothing. Of direct random target projection,
                   which is of the same form, the paper says otherwise, without a reason that can
                   be read off a graph.
update locking     none: hidden layers learn without the answer. full: what teaches one of them
                   comes through layers above it. partial: from the answer, by a way that avoids
                   them.

A passage through an earlier phase counts as a dependency like any other.
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
    """Which states and outputs of a circuit are computed from which, in any of its phases."""

    def __init__(self, circuit: Circuit) -> None:
        self.circuit = circuit
        graphs = [Graph(circuit, phase) for phase in circuit.phases]
        nodes: list[Node] = [("out", p.name, o) for p in circuit.populations for o in p.outputs]
        nodes += [("state", p.name, c.name) for p in circuit.populations for c in p.compartments]
        self.reads = {n: {r for g in graphs for r in self._reads(g, n)} for n in nodes}

    def _reads(self, graph: Graph, node: Node) -> Iterator[Node]:
        yield from graph.reads(node)
        if node[0] == "state":  # what is on its way counts too
            for q in graph.into(node[1], node[2]):
                yield ("out", q.source_population, q.output)

    def behind(self, start: Iterable[Node], avoid: str = "") -> set[Node]:
        """All that ``start`` is computed from, with itself; not through population ``avoid``."""
        found: set[Node] = set()
        open_ = list(start)
        while open_:
            node = open_.pop()
            if node not in found:
                found.add(node)
                if node[1] != avoid:
                    open_ += self.reads[node]
        return found

    def read(self, projection: Projection) -> set[Node]:
        """What the plasticity of a projection reads, its presynaptic rate aside."""
        post = projection.target.partition(".")[0]
        nodes: set[Node] = set()
        for name in {name for change in projection.traced for name in change.reads()}:
            kind, _, part = name.rpartition(":")
            if name == "broadcast":
                nodes.add(self.broadcast(post))
            elif name not in ("pre", "weight"):
                nodes.add(("out" if kind else "state", post, part))
        return nodes

    def broadcast(self, population: str) -> Node:
        """What a population hears."""
        heard = self.circuit.population(population).hears
        assert heard is not None
        source, output = self.circuit.output("hears", heard)
        return ("out", source.name, output)


def needs(circuit: Circuit) -> Properties:
    """What a circuit asks of the biology, by the definitions above."""
    d = Dependencies(circuit)
    plastic = [p for p in circuit.projections if p.plasticity]
    answer = circuit.answer[0]
    said: Node = ("out", answer, "rate")
    target = {("state", p.name, c.name) for p in circuit.populations for c in p.compartments
              if c.clamp == "y"}  # fmt: skip
    hidden = [p for p in plastic if p.target.partition(".")[0] != answer]
    shared = [p.parameter for p in circuit.projections if p.parameter and not p.observer]
    frozen = False
    for p in hidden:
        taught, rate = d.behind(d.read(p)), d.behind([("out", p.target.partition(".")[0], "rate")])
        frozen |= said in taught and bool(target & taught) and not target & rate
    return Properties(
        passes=len(circuit.phases),
        weight_transport=len(set(shared)) < len(shared),
        nonlocal_signals=any(_hears(d, p) for p in plastic),
        frozen_activity=frozen,
        update_locking=_locking(d, said, target),
    )


def _hears(d: Dependencies, p: Projection) -> bool:
    """Whether the change depends on a broadcast, within the neuron."""
    post = d.circuit.population(p.target.partition(".")[0])
    if post.hears is None or post.size == d.circuit.output("hears", post.hears)[0].size:
        return False
    # the neuron alone: what other populations say ends the search
    own, found = [n for n in d.read(p) if n[1] == post.name], d.read(p)
    while own:
        new = {r for r in d.reads[own.pop()] if r not in found}
        found |= new
        own += [n for n in new if n[1] == post.name]
    return d.broadcast(post.name) in found


def _locking(d: Dependencies, said: Node, target: set[Node]) -> Any:
    """The strongest that a hidden neuron is under."""
    kinds = {p.name: p.kind for p in d.circuit.populations}
    locking = "none"
    for p in d.circuit.projections:
        me = p.target.partition(".")[0]
        if not p.plasticity or me == said[1] or kinds[me] not in NEURONS:
            continue
        taught = d.read(p)
        if said not in (behind := d.behind(taught)) or not target & behind:
            continue
        locking = "partial"
        for node in d.behind(taught, avoid=said[1]):
            other = node[1] not in (me, said[1]) and kinds[node[1]] in NEURONS
            above = other and ("out", me, "rate") in d.behind([node], avoid=said[1])
            if above and said in d.behind([node]):
                return "full"
    return locking


def example(name: str) -> Circuit:
    """The circuit of that name with two hidden layers, or as many as it can have."""
    made = load(name)
    rule = made.definition
    spec = nearest(rule, NetworkSpec((6, 5, 4, 3), loss=rule.loss))
    if spec is None:
        got = "check() refuses every network that was tried"
        raise BadOption(f"circuit {name}", got=got, expected="one that it takes")
    return made.build(spec, rule.hyperparameters(), made.settings())


def table(problems: dict[str, str] | None = None) -> str:
    """All circuits, as a table in Markdown.

    problems: takes, by its name, why a circuit's file does not build; without it that is raised.

    >>> print(table().splitlines()[0])
    | circuit | passes | weight transport | nonlocal signals | frozen activity | update locking |
    """
    heads = ["circuit", *(field.replace("_", " ") for field in Properties._fields)]
    lines = [heads, ["---"] * len(heads)]
    for name in lookup.names(CIRCUITS):
        try:
            found = needs(example(name))
        except Exception as error:  # the file may do anything
            if problems is None:
                raise
            problems[name] = reason(error)
            continue
        cells = [{True: "yes", False: "no"}.get(v, v) if isinstance(v, bool) else v
                 for v in found]  # fmt: skip
        lines.append([name, *map(str, cells)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def reason(error: Exception) -> str:
    """An error on one line, with the place in the file where it comes from if it is not ours."""
    lines = str(error).splitlines() or [""]
    if isinstance(error, UserError):
        return lines[0]
    frames = traceback.extract_tb(error.__traceback__)
    at = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {lines[0]}{at}"


def main() -> int:
    """Print the table; circuits that do not build go to the standard error, and the status is 1."""
    problems: dict[str, str] = {}
    print(table(problems))
    for name, why in problems.items():
        print(f"circuit {name} does not build: {why}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
