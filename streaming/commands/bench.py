"""``dendrostream bench``: samples per second, compared with other implementations."""

from __future__ import annotations

import importlib
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from rate_models.errors import BadOption
from streaming.commands._output import Json, print_json, table
from streaming.terminal import slow


def bench(
    only: Annotated[
        list[str] | None,
        typer.Option(help="Measure scenarios with this in their name only (repeatable)."),
    ] = None,
    seconds: Annotated[float | None, typer.Option(help="Duration of a measurement.")] = None,
    repeats: Annotated[
        int | None, typer.Option(help="Number of measurements; the median is reported.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="As few samples as possible: does everything run?")
    ] = False,
    scaling: Annotated[
        bool,
        typer.Option("--scaling", help="How time grows: width, depth, density, classes, chunk."),
    ] = False,
    against: Annotated[
        Path | None, typer.Option(help="An earlier result: list what became slower.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the result to this JSON file.")] = None,
    read: Annotated[
        Path | None, typer.Option(help="Measure nothing: read a result that --out wrote.")
    ] = None,
    page: Annotated[
        Path | None, typer.Option(help="Write a page in Markdown, with figures in img/ beside it.")
    ] = None,
    readme: Annotated[
        Path | None, typer.Option(help="Rewrite the table between the markers of this file.")
    ] = None,
    json_: Json = False,
) -> None:
    """Measure samples per second on this machine, compared with other implementations."""
    kept = importlib.import_module("streaming.benchmarks.reports.kept")
    if page is not None and out is None and read is None:
        raise BadOption("--page", got="no --out", expected="--out FILE or --read FILE beside it",
                        remedy="the page links the file of its numbers")  # fmt: skip
    for path in (out, page, readme):
        if path is not None and not path.parent.is_dir():
            raise BadOption(str(path), expected="a file in a folder that exists")
    pages = importlib.import_module("streaming.benchmarks.reports.page")
    if readme is not None:
        pages.around(readme)
    earlier = None if against is None else kept.read(against)
    if read is None:
        result = _measured(
            json_, only=only or None, seconds=seconds, repeats=repeats, quick=quick or None,
            grows=scaling or None,
        )  # fmt: skip
    else:
        result = kept.read(read)
    if out is not None:
        kept.write(out, result)
    if page is not None:
        pages.write(result, out or read, page)
    if readme is not None:
        pages.rewrite(readme, result)
    if json_:
        slower = {} if earlier is None else {"slower": kept.slower(result, earlier)}
        print_json({**result, **slower})
        return
    _print(result)
    if earlier is not None:
        print("\n" + "\n".join(kept.compared(result, earlier)))


def _measured(json_: bool, **given: Any) -> dict[str, Any]:
    measure = importlib.import_module("streaming.benchmarks.bench").run
    options = {name: value for name, value in given.items() if value is not None}
    text = "measuring; all scenarios take about five minutes, --only NAME takes less"
    with nullcontext() if json_ else slow(text):
        result: dict[str, Any] = measure(**options)
    return result


def _print(result: dict[str, Any]) -> None:
    for name, value in result["machine"].items():
        print(f"{name}: {value}")
    print(f"one thread; median and quartiles of {result['repeats']}\n")
    _table(result["rows"], "scenario peer samples_per_second ratio low high skipped")
    if result["roofline"]:
        print("\nat most, by the roofline, and the fraction of it that was reached")
        names = "scenario density samples_per_second fraction limited_by level block"
        _table(result["roofline"], f"{names} fixed_share above_share first_share")
    if result["scaling"]:
        print("\nexponents of the time of a sample")
        _table(result["scaling"], "axis network rule exponent theory")
    for cost in result["costs"]:
        print(f"{cost['what']}: {cost['value']:.3g} {cost['unit']}")


def _table(rows: list[dict[str, Any]], columns: str) -> None:
    print(table([{name: row[name] for name in columns.split()} for row in rows]))
