"""Simulation of a circuit: compiled to vector operations, in steady state or in time.

Open `simulate` first. `program` and `writer` compile a description to the operations that `machine`
executes. `recording` records the signals that probes name. `constraints` limits weights, `symmetry`
perturbs mirrored weights at the start, `draws` makes masks and noise, and `divergence` writes the
remedy for a circuit that diverges.
"""
