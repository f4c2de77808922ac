"""A run: a stream through a learner, scored as it goes, kept in a folder, resumable at any time.

Open `run` first, then `config` (the options of a run) and `defaults` (where nothing is asked for).
`state` is what a checkpoint holds of a run, `summary` what came out, `trouble`, `divergence` and
`advice` are the warnings, `going_on` and `lineage` begin a run with the learner of another one.
"""
