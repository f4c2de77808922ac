"""The mathematics: what a network is, how it learns by a rule, arrays in and arrays out.

No files, no clock, no threads. Open `network` first (what a network is), then `rules.backprop` and
`rules.pepita` (what a rule is) and `textbook` (how a rule learns, in thirty lines).

`network`       sizes, activations, loss and parameters of a network; the standard forward pass
`textbook`      the reference: a rule's readable form with an optimiser, and nothing else
`catalogue`     the rules at a glance; `defaults`: rates that suit rule and input
`precompile`    compiles all kernels: ``python -m rate_models.precompile``
`errors`        the errors that a person can act on
`rules`         learning rules, one file each
`model`         activations, losses, optimisers, hyperparameters, random draws
`kernels`       weights and layers as compiled code sees them
`online`        `OnlineNetwork`: one sample after another, compiled
`batch`         `BatchNetwork`: the same rules on torch
`checks`        do the realisations agree, does a rule keep its contract?
`diagnostics`   angles, norms, spectra, fits, and their figures
`drawing`       how every figure of ours looks
`compiler`      the one njit decorator and the cache of kernels
`support`       arguments, bounds, estimates, lookup of names
"""
