"""The only threads: a schedule carried out by workers inside kernels.

Open `network` first: `ScheduledNetwork`, then `runner`. `kernels` is one worker, `atomics` the
counters by which workers wait for each other.
"""
