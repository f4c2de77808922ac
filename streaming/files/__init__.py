"""Files that are written atomically, and files that are read although they may be damaged.

Open `folder` and `checkpoint` first. `lock` gives a run folder to one process at a time. `log`
writes JSON lines and detects damaged ones. `bounded` reads a file no further than its format
allows. `data_sets` finds data sets on disk.
"""
