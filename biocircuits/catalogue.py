"""The files of `biocircuits.circuits`, and whether each holds what a circuit's file must."""

from __future__ import annotations

from types import ModuleType

from rate_models import lookup
from rate_models.errors import BadOption

CIRCUITS, RULES = "biocircuits.circuits", "rate_models.rules"
ALL = ("RULE", "Settings", "build")
WITHOUT_RULE = ("DEFAULT_LOSS", "LOSSES", "PROPERTIES", "FIXED", "Hyperparameters", "init",
                "noise_widths", "noise_of")  # fmt: skip


def load(name: str) -> ModuleType:
    """The file of a circuit. Raises UnknownName, and BadOption where something is not in it."""
    made = lookup.get(CIRCUITS, name)
    wanted = ALL + (() if getattr(made, "RULE", "") else WITHOUT_RULE)
    if not hasattr(made, "RULE"):
        wanted = ALL
    missing = [what for what in wanted if not hasattr(made, what)]
    if missing:
        expected = "RULE, Settings and build, and with RULE None what else a rule has"
        raise BadOption(f"file of circuit {name}", got=f"no {', '.join(missing)}",
                        expected=expected, remedy="see biocircuits.circuits")  # fmt: skip
    return made


def rule_of(made: ModuleType) -> ModuleType:
    """Where a circuit's losses, hyperparameters and start values are: its rule, or itself."""
    return lookup.get(RULES, made.RULE) if made.RULE else made
