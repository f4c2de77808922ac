"""The command line: finds the commands in `streaming.commands` and runs the requested one.

A new command is a new file in that folder. This module needs no change.
"""

from __future__ import annotations

import functools
import importlib
import os
import pkgutil
import sys
import warnings

import typer

from rate_models.errors import Diverged, UserError, quoted
from streaming import commands
from streaming.terminal import delivered, notify

FILE = "a file or a folder that can be used"
MEMORY = (
    "error: got no more memory; what was saved before is kept; choose smaller layers, "
    "a smaller --batch or fewer workers"
)


def _application() -> typer.Typer:
    """All commands as one application."""
    app = typer.Typer(
        help="Networks of two-compartment neurons that learn from a stream, one sample at a time.",
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        no_args_is_help=True,
    )
    names = [m.name for m in pkgutil.iter_modules(commands.__path__) if not m.name.startswith("_")]
    for name in sorted(names):
        app.command(name)(getattr(importlib.import_module(f"{commands.__name__}.{name}"), name))
    return app


app = _application()


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the program. It always ends in SystemExit.

    Exit codes: 0; 1 (output not written, or a check or parity test that fails); 2 (error);
    3 (diverged); 128 + signal.
    """
    notify_once = functools.cache(notify)
    with delivered(), warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: notify_once(f"warning: {message}")
        try:
            app(args=arguments, prog_name="dendrostream")
        except UserError as error:
            notify(f"error: {error}")
            sys.exit(3 if isinstance(error, Diverged) else 2)
        except SystemExit as end:
            if isinstance(getattr(end.__context__, "__cause__", None), KeyboardInterrupt):
                notify("interrupted")  # for commands that save nothing and print nothing themselves
            raise
        except MemoryError:
            notify(MEMORY)
            sys.exit(2)
        except OSError as error:
            if error.filename is None:  # the output: see `delivered`
                raise
            name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else "?"
            why = error.strerror or error
            notify(f"error: {UserError(quoted(name, 200), got=why, expected=FILE)}")
            sys.exit(2)
