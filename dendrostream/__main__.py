"""The command line: ``dendrostream`` and ``python -m dendrostream``.

Our packages have plain names, and another distribution may install one of the same name. What
would then be imported is looked up before it is imported, so that a person reads what is wrong.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
from pathlib import Path
from typing import NoReturn

PARTS = ("rate_models", "biocircuits", "streaming")
ROOT = Path(__file__).resolve().parent.parent


def stranger() -> str:
    """What stands in place of one of our packages, as an error for a person; empty where none."""
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
    """Which distributions have installed into the same folder, overwriting each other."""
    owners = importlib.metadata.packages_distributions()
    for name in PARTS:
        several = sorted(set(owners.get(name, ())))
        if len(several) > 1:
            return (
                f"{name}: got files of {' and '.join(several)} in one folder; expected those of "
                "dendrostream alone; install dendrostream into an environment of its own"
            )
    return ""


def main() -> None:
    """Run the command line; exit code 2 and one line where our packages are not the ones found."""
    if error := stranger():
        _refuse(error)
    try:
        from streaming.cli import main as command
        from streaming.terminal import unraisable
    except ImportError:
        if error := shared():
            _refuse(error)
        raise
    sys.unraisablehook = unraisable
    command()


def _refuse(error: str) -> NoReturn:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
