"""Address-event recordings: files of single events of pixels, and their bins as vectors.

`recording` opens a file of any known format: `nmnist`, `aedat3` or `aedat4`. `binning` makes frames
and time surfaces of the events. `streaming.sources.events` makes a source of them.
"""
