"""Drawings of circuits and of what was recorded of them. Open `drawings` first, then `traces`."""
