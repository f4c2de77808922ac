"""What to do about a circuit whose numbers grow without bound: which phase is too short for it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from biocircuits.description.circuit import Circuit
from biocircuits.description.graph import Graph
from biocircuits.simulation.simulate import Simulator

ENOUGH = 5.0  # time constants: 0.7 % of the way is left
ADVISED = 8.0


class Span(NamedTuple):
    """A phase beside the slowest compartment that relaxes in it: τ / g in ms, g its conductance."""

    phase: str
    duration: float
    compartment: str
    tau: float

    @property
    def length(self) -> float:
        """The duration in time constants."""
        return self.duration / self.tau


def spans(circuit: Circuit) -> list[Span]:
    """For every phase in which something takes its time, the slowest of it.

    >>> from biocircuits import example
    >>> spans(example())[0].length
    10.0
    """
    found = []
    for phase in circuit.phases:
        graph, taus = Graph(circuit, phase), {}
        for node in graph.moving():
            _, name, part = node
            population = circuit.population(name)
            conductance = graph.conductance(population, population.compartment(part))
            if conductance and not population.observer:
                taus[f"{name}.{part}"] = graph.tau(node) / conductance
        if taus:
            slowest = max(taus, key=lambda part: taus[part])
            found.append(Span(phase.name, phase.duration, slowest, taus[slowest]))
    return found


def remedy(circuit: Circuit, continuous: bool, lr: float, options: tuple[str, ...]) -> str:
    """Advice for an error, on one line.

    continuous: whether it runs in time. lr: η. options: names of the circuit's own settings.
    """
    lower = f"lower the learning rate (lr={lr:g}) or scale the input"
    short = [span for span in spans(circuit) if span.length < ENOUGH] if continuous else []
    if not short:
        return lower
    worst = min(short, key=lambda span: span.length)
    needed = max(s.tau for s in short) * ADVISED
    how = f"--set phase={needed:g}" if "phase" in options else f"make it last {needed:g} ms"
    return (
        f"phase {worst.phase} lasts {worst.length:.2g} time constants of {worst.compartment} "
        f"({worst.duration:g} ms, τ = {worst.tau:g} ms) and leaves it far from its steady state: "
        f"{how}, or {lower}"
    )


def not_finite(s: Simulator) -> str:
    """The first weights or compartment with a number that is not finite; empty where all are."""
    if np.isfinite(s.W).all() and np.isfinite(s.v).all():
        return ""
    found = {f"weights of projection {name}": s.W[at] for name, at in s.compiled.weights.items()}
    for p in s.circuit.populations:
        for c in p.compartments:
            found[f"{p.name}.{c.name}"] = s.v[s.compiled.at("state", p.name, c.name)]
    bad = [what for what, x in found.items() if not np.isfinite(x).all()]
    return bad[0] if bad else "circuit"
