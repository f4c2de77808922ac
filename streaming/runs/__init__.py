"""A run: a stream through a learner, scored as it goes, kept in a folder, resumable at any time.

Open `run` first, then `loop`, `config` (what a run computes) and `defaults` (where nothing is asked
for). `state` is where a run stands and what a checkpoint holds of that, `summary` what came out,
`trouble`, `divergence` and `advice` are the warnings, `going_on` and `lineage` begin a run with the
learner of another one.
"""
