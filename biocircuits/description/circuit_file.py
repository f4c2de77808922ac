"""`CircuitFile`: the declaration in the file of a circuit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from biocircuits.description.circuit import Circuit
from rate_models import rules
from rate_models.errors import BadOption
from rate_models.network import NetworkSpec
from rate_models.rules import Description


@dataclass(frozen=True, eq=False)
class CircuitFile:
    """A circuit's file ends in ``CIRCUIT = CircuitFile(__name__, ...)``.

    module: ``__name__`` of the file; its last part is the name of the circuit. The file's docstring
    has the equations, which neuron is what, and a paragraph ``Source:`` with the paper.
    rule: the name of the rule whose algorithm the circuit is; its hyperparameters, losses and start
    values are then the circuit's too. A circuit that is no rule of `rate_models` has a
    `Description` of its own here, which its file calls RULE.
    settings: a NamedTuple of the circuit's own options, each field annotated with its range.
    build(spec, hyper, settings): the `Circuit`; BadOption for a variant it has no neurons for.
    """

    module: str
    rule: str | Description
    settings: type[Any]
    build: Callable[[NetworkSpec, Any, Any], Circuit]

    def __post_init__(self) -> None:
        if not isinstance(self.rule, str | Description):
            expected = "the name of a rule, or a Description"
            raise BadOption(f"rule of circuit {self.name}", got=repr(self.rule), expected=expected)

    @property
    def name(self) -> str:
        """The public name: that of the file."""
        return self.module.rpartition(".")[2]

    @property
    def definition(self) -> Description:
        """Losses, hyperparameters and start values: the rule's, or the circuit's own."""
        return rules.get(self.rule) if isinstance(self.rule, str) else self.rule
