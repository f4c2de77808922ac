"""``dendrostream parity``: compares all implementations of every rule on the same samples."""

from __future__ import annotations

import importlib
from contextlib import closing, nullcontext
from typing import Annotated, Any

import typer

from streaming.commands._output import Json, print_json, table
from streaming.terminal import slow


def parity(
    rule: Annotated[
        list[str] | None, typer.Option(help="Compare this rule only (repeatable).")
    ] = None,
    samples: Annotated[
        int | None, typer.Option(help="Number of samples for each network; default 1000.")
    ] = None,
    json_: Json = False,
) -> None:
    """Compare all implementations of every rule on the same samples; exit code 1 if one differs."""
    from streaming.progress import Steps

    circuit = importlib.import_module("biocircuits.parity").maker
    compare = importlib.import_module("rate_models.checks.parity").run
    given: dict[str, Any] = {"rules": rule or None, "samples": samples}
    given = {name: value for name, value in given.items() if value is not None}
    text = "comparing all implementations of each rule, which takes some seconds a rule"
    notice = nullcontext() if json_ else slow(text)
    with notice, closing(Steps("parity", " samples")) as bar:
        result = compare(others={"circuit": circuit}, progress=bar, **given)
    if json_:
        print_json({"ok": result.ok, "deviations": result.rows, "missing": result.missing})
    else:
        print(table(result.rows))
        for name in result.missing:
            print(f"{name}: not installed, not counted")
    raise typer.Exit(0 if result.ok else 1)
