"""What a file of this folder says of the network that it built."""

from __future__ import annotations

from typing import Any, NamedTuple


class Plan(NamedTuple):
    """rates: {plastic projection: its learning rate}. answer: the group and its trace whose values
    at the end of a sample are what the network says. units: how many those are."""

    rates: dict[str, float]
    answer: tuple[Any, str]
    units: int
