"""Spiking circuits in Brian 2: neurons, synapses, conversion of trained networks, and learning.

All functions return ordinary Brian 2 objects with units, which can be inspected and extended.
Brian 2 (extra ``spiking``) is imported when it is first used. Open `conversion.convert` first for
conversion, and `learner` for learning.

`brian`       imports Brian 2
`backend`     ``prepare(dt, mode, target, seed)`` before a network is built; ``finish()`` builds and
              runs a standalone program; ``runtime()`` returns to the mode runtime
`units`       ``quantity(name, value, unit)`` of "20 ms" or of a Quantity; ``check_step(dt, {...})``
`neurons`     ``point_lif``, ``two_compartment_lif``, ``interneuron`` return a `Neuron`, whose
              ``group(n, name)`` is a NeuronGroup; a `Receptor` is the target of spikes
`synapses`    ``connect(source, target, neuron, receptor, weights, name, delay)`` returns Synapses
`fi`          firing rate against current: ``closed_form``, ``measured``, ``inverse``, ``rheobase``
`conversion`  ``to_brian2(trained, X)`` returns a `SpikingNetwork` that approximates a trained
              network; export of spikes as NWB and of networks as NIR
`recording`   the `Recording` of a run: spikes and traces as arrays, rates, decoding
`cells`       cells with traces, phases and projections, from which learning networks are built
`learner`     `SpikingLearner`, a network that learns from a stream; its rules are in `learning`
`pictures`    rasters, membranes, spiking against model rates, accuracy over time, f-I curves
"""

from __future__ import annotations

from biocircuits.spiking.backend import finish, load, prepare, runtime
from biocircuits.spiking.conversion.convert import to_brian2
from biocircuits.spiking.conversion.network import SpikingNetwork
from biocircuits.spiking.learner import SpikingLearner
from biocircuits.spiking.neurons import (
    Neuron,
    Receptor,
    interneuron,
    point_lif,
    two_compartment_lif,
)
from biocircuits.spiking.recording import Recording
from biocircuits.spiking.synapses import connect
from biocircuits.spiking.units import check_step, quantity

__all__ = [
    "Neuron", "Receptor", "Recording", "SpikingLearner", "SpikingNetwork", "check_step", "connect",
    "finish", "interneuron", "load", "point_lif", "prepare", "quantity", "runtime", "to_brian2",
    "two_compartment_lif",
]  # fmt: skip
