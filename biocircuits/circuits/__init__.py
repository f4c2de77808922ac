"""Circuits, one file each; the file name is the circuit's public name.

A circuit file holds, in this order:

docstring     equations, which neuron is what, a paragraph ``Source:`` with the paper
`RULE`        the name of the rule in `rate_models.rules` whose algorithm the circuit is; its
              hyperparameters, losses and start values are then the circuit's too
`Settings`    NamedTuple of the circuit's own options, each field annotated with its range
`build(spec, hyper, settings)`   the `Circuit`; BadOption for a variant it has no neurons for

A circuit that is no rule of `rate_models` has RULE None, and of its own `DEFAULT_LOSS`, `LOSSES`,
`PROPERTIES`, `FIXED`, `Hyperparameters`, ``init(spec, hyper, rng)``, ``noise_widths`` and
``noise_of``, and perhaps ``check(spec)`` and `DEFAULTS`, as a rule file has them.

What only some circuits have:

`prepare(spec, hyper, params)`   changes all parameters, W too, before the first sample, in place
"""
