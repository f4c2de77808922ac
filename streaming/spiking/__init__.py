"""A trained network shown held-out samples as spikes: what ``dendrostream spiking`` does.

`options` is what can be asked for; open `shown` for the steps: train or load, convert, run, draw.
"""
