"""What networks are made of: activations, losses, optimisers, hyperparameters, random draws.

Each exists once, as array code and, where a kernel needs it, as a stage beside it. Open
`activations` first.
"""
