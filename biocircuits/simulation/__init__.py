"""Simulation of a circuit: compiled to vector operations, in steady state or in time.

Open `simulate` first. `program`, `plasticity`, `layout` and `writer` compile a description to
programs of `operations`, which the kernels of `machine` execute. `recording` records the signals
that probes name. `clamps` checks inputs and draws masks and noise, `constraints` limits weights,
`symmetry` perturbs mirrored weights at the start, and `divergence` writes the remedy for a circuit
that diverges.
"""
