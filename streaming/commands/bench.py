"""``dendrostream bench``: samples per second, compared with other implementations."""

from __future__ import annotations

import importlib
from typing import Annotated

import typer

from streaming.commands._output import Json, print_json, table
from streaming.terminal import notify


def bench(
    seconds: Annotated[float | None, typer.Option(help="Duration of a measurement.")] = None,
    repeats: Annotated[
        int | None, typer.Option(help="Number of measurements; the median is reported.")
    ] = None,
    json_: Json = False,
) -> None:
    """Measure samples per second on this machine, compared with other implementations."""
    given = {"seconds": seconds, "repeats": repeats}
    measure = importlib.import_module("streaming.benchmarks.bench").run
    if not json_:
        notify("measuring each scenario several times; this takes some minutes")
    result = measure(**{name: value for name, value in given.items() if value is not None})
    if json_:
        print_json(result)
        return
    for name, value in result["machine"].items():
        print(f"{name}: {value}")
    print(f"data: {result['data']}; one thread; median of {result['repeats']}")
    print(table(result["rows"]))
