"""The only threads: a schedule carried out by workers inside kernels.

Open `network` first: `ScheduledNetwork`, then `waiting` (samples between two calls) and `runner`.
`kernels` is one worker, `atomics` the counters by which workers wait for each other.
"""
