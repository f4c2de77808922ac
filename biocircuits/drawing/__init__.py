"""Drawings of circuits and of recorded traces. Open `drawings` first, then `traces`."""
