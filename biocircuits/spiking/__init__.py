"""Spiking circuits in Brian 2: neurons, synapses, and trained networks as spikes.

What is made are ordinary Brian 2 objects, with units, that can be taken apart and extended. Brian 2
(extra ``spiking``) is imported when something here is first used, not before.

`backend`     ``load()`` the module brian2; ``prepare(dt, mode, target, seed)`` before a network is
              made; ``finish()`` builds and runs a standalone one; ``runtime()`` goes back
`units`       ``quantity(name, value, unit)`` of "20 ms" or of a Quantity; ``check_step(dt, {...})``
`neurons`     ``point_lif``, ``two_compartment_lif``, ``interneuron`` give a `Neuron`, its
              ``group(n, name)`` a NeuronGroup; `Receptor`: what spikes act on, and how it decays
`synapses`    ``connect(source, target, neuron, receptor, weights, name, delay)``: Synapses
`fi`          firing rate against current: ``closed_form``, ``measured``, ``inverse``, ``rheobase``
`convert`     ``to_brian2(trained, X)``: a `SpikingNetwork` that answers as a trained network does
`trained`     its layers and their activity; `coding`: values as rates, and weights in amperes
`network`     a `SpikingNetwork`: its Brian 2 objects by name; ``run()``, once, for all samples
`recording`   the `Recording` that it returns: spikes and traces as arrays, rates, decoding
`learner`     `SpikingLearner`: a network that learns from a stream; its rules in `learning`
`pictures`    rasters, membranes, rates beside a model's, accuracy over time, f-I curves
`export`      spikes and traces as NWB, networks as NIR
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
