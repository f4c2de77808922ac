"""Rate models as circuits: which neuron, which compartment, which synapse.

The networks of `rate_models` written as populations of two-compartment neurons (dendrite, soma)
and interneurons, joined by projections whose plasticity sees local signals only. The circuits
are not part of this version.
"""
