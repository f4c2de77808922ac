"""``dendrostream parity``: compares all implementations of every rule on the same samples."""

from __future__ import annotations

import contextlib
import importlib

import typer

from streaming.commands._output import Json, print_json, table
from streaming.terminal import notify


def parity(json_: Json = False) -> None:
    """Compare all implementations of every rule on the same samples; exit code 1 if one differs."""
    from streaming.progress import Steps

    circuit = importlib.import_module("biocircuits.parity").maker
    compare = importlib.import_module("rate_models.checks.parity").run
    if not json_:
        notify("comparing all implementations of every rule; this takes some minutes")
    with contextlib.closing(Steps("parity", " samples")) as bar:
        result = compare(others={"circuit": circuit}, progress=bar)
    if json_:
        print_json({"ok": result.ok, "deviations": result.rows, "missing": result.missing})
    else:
        print(table(result.rows))
        for name in result.missing:
            print(f"{name}: not installed, not counted")
    raise typer.Exit(0 if result.ok else 1)
