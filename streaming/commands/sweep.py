"""``dendrostream sweep``: a run for each combination of option values."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from rate_models.errors import BadOption
from streaming import terminal
from streaming.commands._options import command_line, flags, given, with_options
from streaming.commands._output import Json, Quiet, print_json
from streaming.options import RunOptions
from streaming.records import Checked, Option


class SweepOptions(Checked):
    """Options of a sweep, in addition to those of its runs."""

    over: Annotated[
        list[str],
        Option(
            "An option below, or a name that --set takes, with the values to vary it over: "
            "rule=pepita,drtp or seed=0..4 or a list in JSON, hidden=[[256,128],64]. Repeatable: "
            "all combinations are run.",
            metavar="NAME=VALUES",
        ),
    ]
    workers: Annotated[
        int | None,
        Option(
            "Processes of a local cluster; for threads within a run use --over workers=1,2  "
            "[default: one per core]"
        ),
    ] = None
    scheduler: Annotated[
        str | None,
        Option(
            "An existing Dask cluster instead: tcp://10.0.0.1:8786.",
            metavar="ADDRESS",
            decides=False,
        ),
    ] = None
    out: Annotated[Path, Option("Folder of the finished cells.", decides=False)] = Path(
        "runs/sweep"
    )
    table: Annotated[
        Path | None,
        Option("A row per cell: FILE.csv or FILE.parquet  [default: OUT/sweep.csv]", decides=False),
    ] = None
    runs: Annotated[
        Path | None,
        Option("Keep the run folders in this folder, on the workers' machines.", decides=False),
    ] = None
    dashboard: Annotated[bool, Option("Show the Dask dashboard of the local cluster.")] = False


@with_options(SweepOptions, RunOptions)
def sweep(
    context: typer.Context, json_: Json = False, quiet: Quiet = False, **options: Any
) -> None:
    """Run all combinations of option values on Dask workers; finished cells are not run twice."""
    chosen = SweepOptions(**{name: options[name] for name in SweepOptions.model_fields})
    result = _swept(context, chosen, (lambda _: None) if quiet else terminal.notify, quiet)
    if json_:
        print_json(result)
    else:
        from streaming.sweeps import table as sweep_table

        print(sweep_table.text(result["settings"]))
        print(f"table: {result['table']}")
    if result["failed"]:
        failed = [row["error"] for row in result["rows"] if row["stopped"] == "error"]
        failures = f"{len(failed)} of {result['cells']} cells failed, the first with: {failed[0]}"
        terminal.notify(f"{failures}; the same command tries them again")
        raise typer.Exit(2)


def _swept(
    context: typer.Context, chosen: SweepOptions, notify: Callable[[str], None], quiet: bool
) -> dict[str, Any]:
    """The results of the sweep; an interrupt ends the command."""
    from streaming.progress import Interrupts
    from streaming.sweeps.sweep import parse_over
    from streaming.sweeps.sweep import sweep as run_all

    varies = parse_over(chosen.over)
    options = _of_all_runs(context)
    for name in options.keys() & varies.keys():
        raise BadOption(flags(context)[name], got="beside --over", expected="one of the two")
    interrupts = Interrupts()
    try:
        with interrupts.caught():
            return run_all(
                options, varies, chosen.out, table=chosen.table, scheduler=chosen.scheduler,
                workers=chosen.workers, runs=chosen.runs, dashboard=chosen.dashboard,
                command=command_line(context, SweepOptions, RunOptions), notify=notify,
                bar=sys.stderr.isatty() and not quiet,
            )  # fmt: skip
    except KeyboardInterrupt:
        kept = chosen.out / "cells"
        notify(f"interrupted; finished cells are kept in {kept}: the same command goes on")
        raise typer.Exit(interrupts.exit_code) from None


def _of_all_runs(context: typer.Context) -> dict[str, Any]:
    """The options of runs that are on the command line, without those of the sweep."""
    from streaming.runs.config import parse_settings

    names = RunOptions.model_fields.keys() - SweepOptions.model_fields.keys()
    options = {name: value for name, value in given(context).items() if name in names}
    return {**options, "settings": parse_settings(options.get("settings", ()))}
