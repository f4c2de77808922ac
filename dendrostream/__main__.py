"""The command line: ``dendrostream`` and ``python -m dendrostream``."""

from __future__ import annotations

import sys
from typing import NoReturn

from dendrostream import packages


def main() -> None:
    """Run the command line; exit code 2 and a line if Python finds other packages of our names."""
    if error := packages.foreign():
        _refuse(error)
    try:
        from streaming.cli import main as command
        from streaming.terminal import unraisable
    except ImportError:
        if error := packages.shared():
            _refuse(error)
        raise
    sys.unraisablehook = unraisable
    command()


def _refuse(error: str) -> NoReturn:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
