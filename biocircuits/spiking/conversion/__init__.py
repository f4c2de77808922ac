"""Conversion of a trained network to a spiking network.

Open `convert` first. `trained` reads the layers of a network, `coding` scales rates and weights,
`network` runs the result, and `export` writes it to files.
"""
