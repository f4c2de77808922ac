"""``dendrostream paper``: reproduces a table or figure of a paper."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from rate_models.errors import BadOption
from streaming.commands._options import command_line, with_options
from streaming.commands._output import Json, print_json
from streaming.options import Data, Download
from streaming.records import Checked, Option
from streaming.terminal import notify


class PaperOptions(Checked):
    """Options of the reproduction of a table or figure."""

    quick: Annotated[bool, Option("A small setting of three minutes, not the paper's.")] = False
    seeds: Annotated[int | None, Option("Runs per cell  [default: the paper's]")] = None
    epochs: Annotated[
        int | None, Option("Epochs, or the paper's unit instead  [default: the paper's]")
    ] = None
    rows: Annotated[str | None, Option("Rows to compute: backprop,pepita  [default: all]")] = None
    columns: Annotated[str | None, Option("Columns to compute: mnist,cifar10  [default: all]")] = (
        None
    )
    device: Annotated[str, Option("Device of torch: cpu, cuda.")] = "cpu"
    data: Data = None
    download: Download = False
    workers: Annotated[
        int | None,
        Option("Processes that compute cells  [default: this one alone]", decides=False),
    ] = None
    scheduler: Annotated[
        str | None,
        Option(
            "A Dask cluster that computes cells: tcp://10.0.0.1:8786.",
            metavar="ADDRESS",
            decides=False,
        ),
    ] = None
    out: Annotated[Path, Option("Folder of tables, figures and finished cells.", decides=False)] = (
        Path("runs/papers")
    )


@with_options(PaperOptions)
def paper(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Argument(help="Table or figure  [default: list them].")
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(metavar="FILE.md", help="Write all tables stored in --out to one page."),
    ] = None,
    json_: Json = False,
    **options: Any,
) -> None:
    """Reproduce a published table or figure; finished cells are stored and not run twice."""
    chosen = PaperOptions(**options)
    if results is not None and name is not None:
        raise BadOption("--results", got=f"with {name}", expected="no name: it covers all papers")
    if results is not None:
        from streaming.papers import page

        page.write(chosen.out, results)
        print(f"page: {results}")
    elif name is None:
        _list_all(json_)
    else:
        result = _reproduce(name, chosen, command_line(context, PaperOptions))
        print_json(result) if json_ else _report(result)


def _list_all(as_json: bool) -> None:
    from streaming import papers

    every = {public: papers.citation(papers.get(public)) for public in papers.catalogue()}
    if as_json:
        print_json({"names": list(every), "citations": every})
        return
    width = max(map(len, every), default=0)
    for public, cited in every.items():
        print(f"{public:<{width}}  {cited}")


def _reproduce(name: str, chosen: PaperOptions, command: str) -> dict[str, Any]:
    from streaming.papers.reproduce import reproduce
    from streaming.sources import Options

    try:
        return reproduce(
            name, chosen.out, seeds=chosen.seeds, epochs=chosen.epochs, quick=chosen.quick,
            rows=_list(chosen.rows), columns=_list(chosen.columns), device=chosen.device,
            data=Options(data=chosen.data, download=chosen.download), scheduler=chosen.scheduler,
            workers=chosen.workers, command=command, notify=notify,
            bar=sys.stderr.isatty(),
        )  # fmt: skip
    except KeyboardInterrupt:
        kept = chosen.out / "cells"
        notify(f"interrupted; finished cells are kept in {kept}: the same command goes on")
        raise typer.Exit(130) from None


def _report(result: dict[str, Any]) -> None:
    from streaming.papers import table
    from streaming.papers.reproduce import NOT_YET

    print(result["citation"])
    print(f"{result['unit']}; setting: {result['setting']}")
    shown = [cell for cell in result["cells"] if cell["state"] != NOT_YET]
    print(table.text(shown))
    if hidden := len(result["cells"]) - len(shown):
        print(f"{hidden} more {'cell is' if hidden == 1 else 'cells are'} {NOT_YET}")
    print(f"table: {result['json']}")
    if Path(result["figure"]).exists():
        print(f"figure: {result['figure']}")


def _list(given: str | None) -> list[str] | None:
    return None if given is None else [word.strip() for word in given.split(",") if word.strip()]
