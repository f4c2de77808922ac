"""The mathematics: networks and learning rules as functions of arrays.

No files, no clock, no threads. Open `network` first (what a network is), then `rules.backprop` and
`rules.pepita` (what a rule is) and `textbook` (how a rule learns, in thirty lines).

`network`       sizes, activations, loss and parameters of a network; the standard forward pass
`textbook`      the reference implementation: a rule's readable form with an optimiser
`catalogue`     a table of the rules; `defaults`: learning rates for a rule and its input
`precompile`    compiles all kernels: ``python -m rate_models.precompile``
`errors`        the errors that the user can act on
`rules`         learning rules, one file each
`model`         activations, losses, optimisers, hyperparameters, random draws
`kernels`       weights and layers in compiled code
`online`        `OnlineNetwork`: one sample after another, compiled
`batch`         `BatchNetwork`: the same rules on torch
`checks`        whether the implementations agree and a rule keeps its contract
`diagnostics`   angles, norms, spectra, fits, and their figures
`drawing`       the style of all our figures
`compiler`      the one njit decorator and the cache of kernels
`support`       arguments, bounds, estimates, lookup of names
"""
