"""``dendrostream sweep``: runs over all combinations of some options."""

from __future__ import annotations

import inspect
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from rate_models.errors import BadOption

NOT_OF_A_SWEEP = ("resume", "from_")


def sweep(
    context: typer.Context,
    over: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=VALUES",
            help="What varies: an option below, or a name that --set takes, with its values: "
            "rule=pepita,drtp or seed=0..4 or a list in JSON, hidden=[[256,128],64]. Repeatable: "
            "all combinations are run.",
        ),
    ],
    workers: Annotated[
        int | None,
        typer.Option(
            help="Processes of a local cluster; for threads of a run see --over "
            "workers=1,2.  [default: one per core]"
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="A Dask cluster that exists instead: tcp://10.0.0.1:8786."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the finished cells.")] = Path("runs/sweep"),
    table: Annotated[
        Path | None,
        typer.Option(help="A row per cell: FILE.csv or FILE.parquet  [default: OUT/sweep.csv]"),
    ] = None,
    runs: Annotated[
        Path | None,
        typer.Option(help="Keep the run folders there, on the workers' machines."),
    ] = None,
    dashboard: Annotated[
        bool, typer.Option("--dashboard", help="Dask's pages about the local cluster.")
    ] = False,
    json_: Annotated[
        bool, typer.Option("--json", help="Print one JSON object and nothing else.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No bar, no messages.")] = False,
    **options: Any,
) -> None:
    """Run all combinations of some options on Dask workers; finished cells are not run twice."""
    from streaming import terminal
    from streaming.commands.progress import Interrupts
    from streaming.files.folder import json_line
    from streaming.runs.config import parse_settings
    from streaming.sweeps import table as sweep_table
    from streaming.sweeps.sweep import parse_over
    from streaming.sweeps.sweep import sweep as run_all

    def say(message: str) -> None:
        if not quiet:
            terminal.say(message)

    varies = parse_over(over)
    for name in options.keys() & varies.keys():
        if _given(context, name):
            raise BadOption(f"--{name}", got="beside --over", expected="one of the two")
    options["settings"] = parse_settings(options["settings"] or [])
    interrupts = Interrupts()
    try:
        with interrupts.caught():
            result = run_all(
                options, varies, out, table=table, scheduler=scheduler, workers=workers, runs=runs,
                dashboard=dashboard, command=_command(context), say=say,
                bar=sys.stderr.isatty() and not quiet,
            )  # fmt: skip
    except KeyboardInterrupt:
        say(f"interrupted; finished cells are kept in {out / 'cells'}: the same command goes on")
        raise typer.Exit(interrupts.exit_code) from None
    if json_:
        print(json_line(result))
    else:
        print(sweep_table.text(result["settings"]))
        print(f"table: {result['table']}")
    if result["failed"]:
        failed = [row["error"] for row in result["rows"] if row["stopped"] == "error"]
        failures = f"{len(failed)} of {result['cells']} cells failed, the first with: {failed[0]}"
        terminal.say(f"{failures}; the same command tries them again")
        raise typer.Exit(2)


def beside(run: Callable[..., None]) -> Callable[..., None]:
    """``sweep`` as typer sees it: with the options of ``run`` behind its own."""
    own, more = (inspect.signature(f, eval_str=True).parameters for f in (sweep, run))
    named = [p for p in own.values() if p.kind is not p.VAR_KEYWORD]
    others = [p for p in more.values() if p.name not in own and p.name not in NOT_OF_A_SWEEP]
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [p.replace(kind=keyword) for p in (*named, *others)]
    sweep.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return sweep


def _given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _command(context: typer.Context) -> str:
    """The command as it was given, without what only says where to and how it is shown."""
    words = ["dendrostream", "sweep"]
    hidden = {"out", "table", "data", "json_", "quiet", "scheduler", "runs"}
    for option in context.command.params:
        if option.name is None or option.name in hidden or not _given(context, option.name):
            continue
        value, flag = context.params[option.name], option.opts[0]
        for one in value if isinstance(value, list | tuple) else [value]:
            words += [flag] if one is True else [flag, str(one)]
    return shlex.join(words)
