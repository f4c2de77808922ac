"""The parts of sources: samples in arrays, hold-outs, tasks, other targets, and scaling.

Open `arrays` first, which has the source over arrays in memory.
"""
