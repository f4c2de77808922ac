"""``dendrostream bench``: samples per second beside other implementations."""

from __future__ import annotations

import importlib
from typing import Annotated

import typer

from streaming.commands._output import Json, print_json, table
from streaming.terminal import say


def bench(
    seconds: Annotated[float | None, typer.Option(help="Length of a measurement.")] = None,
    repeats: Annotated[int | None, typer.Option(help="Measurements; the median counts.")] = None,
    json_: Json = False,
) -> None:
    """Measure samples per second beside other implementations on this machine."""
    given = {"seconds": seconds, "repeats": repeats}
    measure = importlib.import_module("streaming.benchmarks.bench").run
    if not json_:
        say("measuring, each scenario several times: some minutes")
    result = measure(**{name: value for name, value in given.items() if value is not None})
    if json_:
        print_json(result)
        return
    for name, value in result["machine"].items():
        print(f"{name}: {value}")
    print(f"data: {result['data']}; one thread; median of {result['repeats']}")
    print(table(result["rows"]))
