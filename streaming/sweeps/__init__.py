"""The same run over all combinations of some options. Open `sweep` first, then `table`."""
