"""A trained network as a spiking one: `convert` is the first file to open, `coding` the method."""
