"""The description of a circuit: signals, populations, projections, phases.

Open `circuit` first, beside `biocircuits.circuits.pepita`. `signals` lists what a formula may
contain, `formulas` holds its algebra and `grammar` its limits. `closures` makes sure that the
function of a synapse reaches no value that is not local to the synapse. `graph` finds an order of
evaluation. `checks` validates the fields.
"""
