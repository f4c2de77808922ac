"""Weights and layers as compiled code sees them: flat arrays, and stages on one layer.

Open `layers` first. `rows` works on rows of weights; `input_synapses` keeps the first layer in a
form that costs little where inputs are zero; `places` holds several samples on their way at once;
`gathering` adds up the updates of a mini-batch.
"""
