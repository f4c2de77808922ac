"""The parts of sources: arrays, hold-outs, tasks, other targets, scaling, missing values.

Open `arrays` first, which has the source over arrays in memory.
"""
