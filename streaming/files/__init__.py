"""Files that are whole at any moment, and files that may be damaged.

Open `folder` and `checkpoint` first. `lock` lets one process into a run folder, `log` reads
damaged lines, `bounded` reads a file no further than its format allows, `data_sets` finds data
sets on disk.
"""
