"""Weights and layers as compiled code sees them: flat arrays, and stages on one layer.

Open `layers` first: the arrays of a network and the passes through its layers. `updates` changes
them. `input_synapses` explains and holds the first layer, with a block of pending updates;
`input_passes` are the passes through it and `pending` its updates. `vectors` has the sums that all
of them use, `sweeps` those over whole matrices, `slots` the memory for several samples in flight,
`minibatches` the accumulated updates of a mini-batch, `teams` lets threads share a layer's rows.
"""
