"""The circuit files in `biocircuits.circuits`, and a check of their contents."""

from __future__ import annotations

from types import ModuleType

from rate_models import rules
from rate_models.errors import BadOption
from rate_models.rules import Description
from rate_models.support import lookup

CIRCUITS = "biocircuits.circuits"
ALL = ("RULE", "Settings", "build")


def load(name: str) -> ModuleType:
    """The module of a circuit. Raises UnknownName, and BadOption where a member is missing."""
    made = lookup.get(CIRCUITS, name)
    got = ""
    if missing := [what for what in ALL if what not in vars(made)]:
        got = f"no {', '.join(missing)}"
    elif not isinstance(made.RULE, str | Description):
        got = f"RULE = {made.RULE!r}"
    if got:
        expected = "RULE, Settings and build; RULE the name of a rule, or a Description"
        raise BadOption(f"file of circuit {name}", got=got, expected=expected,
                        remedy="see biocircuits.circuits")  # fmt: skip
    return made


def rule_of(made: ModuleType) -> Description:
    """The description of losses, hyperparameters and initial values: of its rule, or its own."""
    rule: str | Description = made.RULE
    return rules.get(rule) if isinstance(rule, str) else rule
