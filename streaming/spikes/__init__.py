"""A trained network shown held-out samples as spikes: ``dendrostream spiking``.

Open `conversion` first; `options` has what the command takes.
"""
