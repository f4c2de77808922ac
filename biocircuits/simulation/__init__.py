"""A circuit as it runs: compiled to operations on vectors, in steady state or in time.

Open `simulate` first. `program` and `writer` turn a description into the operations that `machine`
runs; `recording` keeps what probes ask for; `constraints` bind synapses.
"""
