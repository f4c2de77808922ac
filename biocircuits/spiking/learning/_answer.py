"""The variable that holds the output of a network."""

from __future__ import annotations

from typing import Any, NamedTuple


class Answer(NamedTuple):
    """The output of a network.

    group: a NeuronGroup. trace: its variable that holds the output at the end of a sample. units:
    the size of the output.
    """

    group: Any
    trace: str
    units: int
