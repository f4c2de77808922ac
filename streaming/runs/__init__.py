"""A run: a learner on a stream, scored continuously, stored in a folder, resumable at any time.

Start with `run`, then read `loop`, `config` (the configuration) and `defaults` (values of options
that are not given). `state` has the state of a run and its part of a checkpoint, `summary` the
results. `rate_checks`, `trouble` and `divergence` give warnings and errors. `going_on` and
`lineage` start a run with the learner of another run. `live` has runs on live sources.
"""
