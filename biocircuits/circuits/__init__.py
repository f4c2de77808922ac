"""Circuits, one file each; the file name is the public name of the circuit.

A circuit file contains, in this order:

docstring     equations, the role of each population, a paragraph ``Source:`` with the paper
`RULE`        the name of the rule in `rate_models.rules` that the circuit implements; the circuit
              has the hyperparameters, losses and initial values of this rule
`Settings`    NamedTuple of further options, each field annotated with its range
`build(spec, hyper, settings)`   returns the `Circuit`; BadOption for an unsupported variant

A circuit that implements no rule of `rate_models` has a `rate_models.rules.Description` as its
RULE, at the end of its file.

Optional:

`prepare(spec, hyper, params)`   changes all parameters, W too, in place before the first sample
"""
