"""A circuit as it is written down: signals, populations, projections, phases.

Open `circuit` first, beside `biocircuits.circuits.pepita`. `signals` has what a formula may
contain, `formulas` its algebra; `sight` makes sure that a synapse uses nothing that is not at its
place; `graph` orders what reads what.
"""
