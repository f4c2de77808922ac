"""``dendrostream paper``: a table or figure of a paper, run again."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from rate_models.errors import BadOption


def paper(
    name: Annotated[
        str | None, typer.Argument(help="Table or figure; without one they are listed.")
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="Runs per cell  [default: the paper's]")] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Passes, or what the paper counts  [default: the paper's]")
    ] = None,
    device: Annotated[str, typer.Option(help="Where torch computes: cpu, cuda.")] = "cpu",
    rows: Annotated[
        str | None, typer.Option(help="Rows to compute: backprop,pepita  [default: all]")
    ] = None,
    columns: Annotated[
        str | None, typer.Option(help="Columns to compute: mnist,cifar10  [default: all]")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A small setting, three minutes; not the paper's.")
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of data sets  [default: DENDROSTREAM_DATA, else user's cache]"),
    ] = None,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch a missing data set (needs the extra vision).")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(help="Processes that compute cells  [default: this one alone]")
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="A Dask cluster that computes cells: tcp://10.0.0.1:8786."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of tables, figures and finished cells.")] = Path(
        "runs/papers"
    ),
    results: Annotated[
        Path | None,
        typer.Option(metavar="FILE.md", help="Write all tables that --out keeps to one page."),
    ] = None,
    json_: Annotated[
        bool, typer.Option("--json", help="Print one JSON object and nothing else.")
    ] = False,
) -> None:
    """Run a published table or figure again; finished cells are kept and not run twice."""
    from streaming import papers
    from streaming.files.folder import json_line
    from streaming.papers import page, table
    from streaming.papers.reproduce import NOT_YET, reproduce
    from streaming.sources import Options
    from streaming.terminal import say

    if results is not None and name is not None:
        raise BadOption("--results", got=f"with {name}", expected="alone: it is about all papers")
    if results is not None:
        page.write(out, results)
        print(f"page: {results}")
        return
    if name is None:
        every = {public: papers.citation(papers.get(public)) for public in papers.catalogue()}
        if json_:
            print(json_line({"names": list(every), "citations": every}))
        width = max(map(len, every), default=0)
        for public, cited in every.items() if not json_ else ():
            print(f"{public:<{width}}  {cited}")
        return

    given = {"--seeds": seeds, "--epochs": epochs, "--rows": rows, "--columns": columns}
    words = ["dendrostream", "paper", name, *(["--quick"] if quick else [])]
    words += [w for option, v in given.items() if v is not None for w in (option, str(v))]
    words += ["--device", device] if device != "cpu" else []
    try:
        result = reproduce(
            name, out, seeds=seeds, epochs=epochs, quick=quick, rows=_list(rows),
            columns=_list(columns), device=device, data=Options(data, download),
            scheduler=scheduler, workers=workers, command=shlex.join(words), say=say,
            bar=sys.stderr.isatty(),
        )  # fmt: skip
    except KeyboardInterrupt:
        say(f"interrupted; finished cells are kept in {out / 'cells'}: the same command goes on")
        raise typer.Exit(130) from None
    if json_:
        print(json_line(result))
        return
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
