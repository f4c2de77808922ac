"""The parts of networks: activations, losses, optimisers, hyperparameters, random draws.

Each is written once as array code and, where a kernel needs it, once more as a stage in the same
file. Open `activations` first.
"""
