"""Circuits, one file each; the file name is the circuit's public name.

A circuit file holds, in this order:

docstring     equations, which neuron is what, a paragraph ``Source:`` with the paper
`RULE`        the name of the rule in `rate_models.rules` whose algorithm the circuit is; its
              hyperparameters, losses and start values are then the circuit's too
`Settings`    NamedTuple of the circuit's own options, each field annotated with its range
`build(spec, hyper, settings)`   the `Circuit`; BadOption for a variant it has no neurons for

A circuit that is no rule of `rate_models` has as its RULE what it states of itself, a
`rate_models.rules.Description`, at the end of its file.

What only some circuits have:

`prepare(spec, hyper, params)`   changes all parameters, W too, before the first sample, in place
"""
