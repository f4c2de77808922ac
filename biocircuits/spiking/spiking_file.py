"""What the file of a spiking network that learns states."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from biocircuits.spiking.cells import Builder, Firing, Floats

Sizes = tuple[int, ...]


class Answer(NamedTuple):
    """Where the answer of a network is when a sample is over.

    group: a NeuronGroup. trace: its variable that holds the answer. units: how many numbers."""

    group: Any
    trace: str
    units: int


@dataclass(frozen=True, eq=False)
class SpikingFile:
    """The file ends in ``CIRCUIT = SpikingFile(__name__, ...)``.

    module: ``__name__`` of the file; its last part is the name of the rule. The file's docstring
    says what the cells and the synapses do, with a paragraph ``Source:``.
    phases: the names of the phases that every sample goes through.
    settings: a NamedTuple of learning rates and what else is the rule's own, with ranges.
    parameters(sizes, settings, seed): {projection: weights (n_target, n_source)} at the start.
    rates(sizes, settings): {plastic projection: its learning rate}.
    build(make, sizes, settings, weights): the parts, by a `Builder`.
    firing: how cells fire unless other options are given.
    """

    module: str
    phases: tuple[str, ...]
    settings: type[Any]
    parameters: Callable[[Sizes, Any, int], Mapping[str, Floats]]
    rates: Callable[[Sizes, Any], Mapping[str, float]]
    build: Callable[[Builder, Sizes, Any, dict[str, Floats]], Answer]
    firing: Firing
