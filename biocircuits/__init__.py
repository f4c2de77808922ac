"""Rate models as circuits: which neuron, which compartment, which synapse.

The networks of `rate_models` as populations of neurons with compartments, joined by projections
whose plasticity sees local signals only; solved for their steady state or run in time.
"""

from __future__ import annotations

from biocircuits.circuit import Circuit, Phase
from biocircuits.network import CircuitNetwork
from biocircuits.populations import Compartment, Coupling, Population
from biocircuits.projections import Plasticity, Projection
from biocircuits.recording import Probe, Trace
from biocircuits.settings import Settings
from biocircuits.signals import Local
from biocircuits.simulate import Simulator

__all__ = [
    "Circuit", "CircuitNetwork", "Compartment", "Coupling", "Local", "Phase", "Plasticity",
    "Population", "Probe", "Projection", "Settings", "Simulator", "Trace", "example",
]  # fmt: skip


def example() -> Circuit:
    """Two neurons that repeat their input, and hear themselves in a second phase."""
    rate = {"rate": lambda n: n.soma}
    return Circuit(
        "example",
        (
            Population("input", 2, (Compartment("soma", clamp="x"),), rate, kind="input"),
            Population("hidden", 2, (Compartment("soma"), Compartment("apical")), rate),
        ),
        (
            Projection("forward", "input", "hidden.soma", parameter=("W", 0)),
            Projection("feedback", "hidden", "hidden.apical", parameter=("F", None)),
        ),
        (Phase("standard"),),
        ("hidden", "soma", "standard"),
    )
