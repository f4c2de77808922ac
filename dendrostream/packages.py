"""Whether our packages are the ones that Python finds under their names.

They have plain names (`streaming`, for one), and another distribution may install one of the same
name. What would then be imported is looked up before it is imported, so that a person reads what is
wrong.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from pathlib import Path

PARTS = ("rate_models", "biocircuits", "streaming")
ROOT = Path(__file__).resolve().parent.parent


def foreign() -> str:
    """The error text if another package is found in place of one of ours; else empty."""
    for name in PARTS:
        spec = importlib.util.find_spec(name)
        found = Path(spec.origin).resolve().parent if spec and spec.origin else None
        if found != ROOT / name:
            instead = f"another package of this name, in {found}" if found else "no package"
            return (
                f"{name}: got {instead}; expected dendrostream's own, in {ROOT / name}; take the "
                "other one off PYTHONPATH, or install dendrostream into an environment of its own"
            )
    return ""


def shared() -> str:
    """Which distributions have installed into the same folder, overwriting each other's files."""
    owners = importlib.metadata.packages_distributions()
    for name in PARTS:
        several = sorted(set(owners.get(name, ())))
        if len(several) > 1:
            return (
                f"{name}: got files of {' and '.join(several)} in one folder; expected those of "
                "dendrostream alone; install dendrostream into an environment of its own"
            )
    return ""
