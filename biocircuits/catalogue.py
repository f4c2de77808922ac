"""The files of `biocircuits.circuits`, and whether each holds what a circuit's file must."""

from __future__ import annotations

from types import ModuleType

from rate_models import rules
from rate_models.errors import BadOption
from rate_models.rules import Description
from rate_models.support import lookup, own_files

CIRCUITS = lookup.Kind(
    "circuit", "biocircuits.circuits", "CIRCUIT", ModuleType, "RULE, Settings and build"
)
ALL = ("RULE", "Settings", "build")


def load(name: str) -> ModuleType:
    """The file of a circuit of that name or path.

    Raises what `lookup.module` raises, and BadOption where something is not in it.
    """
    made = lookup.module(CIRCUITS, name)
    got = ""
    if missing := [what for what in ALL if what not in vars(made)]:
        got = f"no {', '.join(missing)}"
    elif not isinstance(made.RULE, str | Description):
        got = f"RULE = {made.RULE!r}"
    if got:
        expected = "RULE, Settings and build; RULE the name of a rule, or a Description"
        raise BadOption(f"file of circuit {own_files.shown(name)}", got=got, expected=expected,
                        remedy="see biocircuits.circuits")  # fmt: skip
    return made


def reference(made: ModuleType) -> str:
    """What runs and checkpoints name a circuit by: its name, or path and digest of its file."""
    return lookup.reference(CIRCUITS, made.__name__, f"circuit {made.__name__}")


def rule_of(made: ModuleType) -> Description:
    """What a circuit's losses, hyperparameters and start values are: its rule's, or its own."""
    rule: str | Description = made.RULE
    return rules.get(rule) if isinstance(rule, str) else rule
