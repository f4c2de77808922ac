"""Where a network of this folder says what it says."""

from __future__ import annotations

from typing import Any, NamedTuple


class Answer(NamedTuple):
    """group: a NeuronGroup. trace: its variable that holds the answer when a sample is over.
    units: how many numbers that are."""

    group: Any
    trace: str
    units: int
