"""Rate models as circuits: which neuron, which compartment, which synapse.

The networks of `rate_models` as populations of neurons with compartments, joined by projections
whose plasticity sees local signals only; solved for their steady state or run in time.

Open `circuits.pepita` first, then `description.circuit`.

`circuits`      one file per circuit; `catalogue` reads them, `locality` says what each asks for
`description`   how a circuit is written down
`simulation`    how it runs; `network`: `CircuitNetwork`, a circuit that learns on streams
`drawing`       circuits and traces as pictures; `traces`: for other tools
`parity`        circuits beside the textbook of their rules
`spiking`       circuits of spiking neurons in Brian 2
"""

from __future__ import annotations

from biocircuits.description.circuit import Circuit, Phase
from biocircuits.description.populations import Compartment, Coupling, Population
from biocircuits.description.projections import Plasticity, Projection
from biocircuits.description.signals import Local
from biocircuits.network import CircuitNetwork
from biocircuits.simulation.recording import Probe, Trace
from biocircuits.simulation.settings import Settings
from biocircuits.simulation.simulate import Simulator

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
