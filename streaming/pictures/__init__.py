"""The pictures of a run, drawn from its folder. Open `run` first, then `regression`."""
