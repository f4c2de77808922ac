"""Rate models as neural circuits: which neuron, which compartment, which synapse.

The networks of `rate_models` are written as populations of neurons with compartments, and
projections whose plasticity reads local signals only. A circuit is solved for its steady state or
simulated in time.

Open `circuits.pepita` first, then `description.circuit`.

`circuits`      one file per circuit
`catalogue`     loads these files and checks their contents
`description`   populations, projections, phases and formulas
`simulation`    steady states, simulation in time, recording
`network`       `CircuitNetwork`, a circuit that learns from streams; `configured`: its options
`locality`      the biological requirements of a circuit, derived from its description
`parity`        circuits compared with the textbook implementation of their rules
`drawing`       pictures of circuits and traces
`traces`        export of traces to xarray and NWB
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
    """Two neurons that repeat their input, with feedback to their own apical compartments."""
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
