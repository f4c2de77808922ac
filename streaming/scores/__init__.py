"""Scores of a stream, each sample tested before it is learned. Open `evaluate` first;
`metrics` are the running scores."""
