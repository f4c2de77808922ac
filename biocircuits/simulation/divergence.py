"""Diagnosis of a circuit that diverges: a phase that is too short, a value that is not finite."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from biocircuits.description.circuit import Circuit
from biocircuits.description.graph import Graph
from biocircuits.simulation.simulate import Simulator

ENOUGH = 5.0  # time constants: a deviation of 0.7 % is left
RECOMMENDED = 8.0


class Span(NamedTuple):
    """A phase and its slowest compartment; tau: τ / g in ms, with g its conductance."""

    phase: str
    duration: float
    compartment: str
    tau: float

    @property
    def length(self) -> float:
        """The duration in time constants."""
        return self.duration / self.tau


def spans(circuit: Circuit) -> list[Span]:
    """The slowest compartment of each phase in which a compartment has dynamics.

    >>> from biocircuits import example
    >>> spans(example())[0].length
    10.0
    """
    result = []
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
            result.append(Span(phase.name, phase.duration, slowest, taus[slowest]))
    return result


def remedy(circuit: Circuit, continuous: bool, lr: float, options: tuple[str, ...]) -> str:
    """The remedy in an error message, on one line.

    continuous: whether the circuit runs in time. lr: η. options: names of the circuit's settings.
    """
    lower = f"lower the learning rate (lr={lr:g}) or scale the input"
    short = [span for span in spans(circuit) if span.length < ENOUGH] if continuous else []
    if not short:
        return lower
    worst = min(short, key=lambda span: span.length)
    needed = max(s.tau for s in short) * RECOMMENDED
    how = f"--set phase={needed:g}" if "phase" in options else f"make it last {needed:g} ms"
    return (
        f"phase {worst.phase} lasts {worst.length:.2g} time constants of {worst.compartment} "
        f"({worst.duration:g} ms, τ = {worst.tau:g} ms) and leaves it far from its steady state: "
        f"{how}, or {lower}"
    )


def not_finite(s: Simulator) -> str:
    """The first weights or compartment with a value that is not finite, else ``circuit``."""
    values = {f"weights of projection {name}": s.W[at] for name, at in s.compiled.weights.items()}
    for p in s.circuit.populations:
        for c in p.compartments:
            values[f"{p.name}.{c.name}"] = s.v[s.compiled.at("state", p.name, c.name)]
    bad = [name for name, x in values.items() if not np.isfinite(x).all()]
    return bad[0] if bad else "circuit"
