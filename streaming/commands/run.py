"""``dendrostream run``: trains a network on a stream of samples. `stream` is for ``live`` too."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from rate_models.errors import BadOption
from streaming.commands._options import flags, given, with_options
from streaming.commands._output import Json, Quiet, print_json
from streaming.options import RunOptions
from streaming.terminal import notify

if TYPE_CHECKING:
    from streaming.runs.loop import Run
    from streaming.runs.run import Hooks

BESIDE_RESUME = ("resume", "json_", "quiet", "port", "paused", "stay")

Out = Annotated[
    Path | None, typer.Option(help="New folder for the run  [default: runs/SOURCE-RULE-TIME]")
]
Resume = Annotated[
    Path | None, typer.Option(metavar="RUN_FOLDER", help="Resume a run; its options are fixed.")
]
From = Annotated[
    Path | None,
    typer.Option(
        "--from",
        metavar="RUN_FOLDER",
        help="Start with the learner of another run, on a new --source or on the same one "
        "for more --epochs  [default: 1]. Options that can be given: --lr, --set momentum=..., "
        "--record, and those that end or display a run. Network, rule and seed are fixed.",
    ),
]


@with_options(RunOptions)
def run(
    context: typer.Context,
    out: Out = None,
    resume: Resume = None,
    from_: From = None,
    json_: Json = False,
    quiet: Quiet = False,
    **_: Any,
) -> None:
    """Stream samples through a network that learns from each as it arrives."""
    stream(context, out=out, resume=resume, from_=from_, json_=json_, quiet=quiet)


class Watching(Protocol):
    """What a command does beside a run: see `Hooks`."""

    def watch(self, run: Run) -> None: ...
    def between(self, run: Run) -> None: ...


def stream(
    context: typer.Context,
    *,
    out: Path | None,
    resume: Path | None,
    from_: Path | None,
    json_: bool,
    quiet: bool,
    watching: Callable[[Callable[[], bool]], contextlib.AbstractContextManager[Watching]]
    | None = None,
) -> None:
    """Stream as the options say, print the result and end the command.

    watching(stop): watches the run while the context is open; stop: whether the run is to end.
    """
    from streaming.outlook import Outlook
    from streaming.progress import Bar, Interrupts
    from streaming.runs.run import Hooks
    from streaming.tables.table_file import BARS

    interrupts, bar = Interrupts(), Bar()
    silent = quiet or (json_ and not sys.stderr.isatty())
    BARS.set(not silent)
    outlook = Outlook((lambda _: None) if quiet else notify, (lambda _: None) if silent else bar)
    context.with_resource(interrupts.caught())  # until the command has ended
    hooks = Hooks(interrupts, (lambda message: None) if quiet else notify, outlook)
    with contextlib.ExitStack() as stack:
        if watching is not None:
            more = stack.enter_context(watching(interrupts))

            def watch(run: Run) -> None:
                outlook(run)
                more.watch(run)

            hooks = dataclasses.replace(hooks, watch=watch, between=more.between)
        try:
            with contextlib.closing(bar):
                summary = _summary_of(context, resume, from_, out, hooks)
        except KeyboardInterrupt as stop:
            notify(": ".join(["interrupted", *map(str, stop.args)]))
            raise typer.Exit(interrupts.exit_code) from None
        print_json(summary) if json_ else print(_report(summary), flush=True)
    if summary["stopped"] == "interrupted":
        notify(f"interrupted; go on with: dendrostream run --resume {summary['out']}")
        raise typer.Exit(interrupts.exit_code)


def _summary_of(
    context: typer.Context, resume: Path | None, parent: Path | None, out: Path | None, hooks: Hooks
) -> dict[str, Any]:
    """The summary of a new run, of a resumed run, or of a run that goes on from another run."""
    from streaming.runs import run as runs  # imports the compiler, which --help does not need
    from streaming.runs.config import RunConfig, parse_settings
    from streaming.runs.going_on import go_on

    if resume is not None:
        _refuse_others(context)
        return runs.resume(resume, hooks)
    options = {name: v for name, v in given(context).items() if name in RunOptions.model_fields}
    options["settings"] = parse_settings(options.get("settings", ()))
    if parent is not None:
        return go_on(parent, options, out, hooks)
    return runs.run(RunConfig.checked(**options), out, hooks)


def _refuse_others(context: typer.Context) -> None:
    """Raise BadOption if any option of a run is given with --resume: they are fixed."""
    for name in given(context):
        if name not in BESIDE_RESUME:
            raise BadOption(
                "--resume",
                got=f"{flags(context)[name]} beside it",
                expected="the options that the run was started with, which are in its folder",
                remedy="leave it out, or start a new run",
            )


def _report(summary: dict[str, Any]) -> str:
    """The report at the end of a run, as text."""
    from streaming.runs import footprint
    from streaming.runs.live import report
    from streaming.runs.summary import SHOWN_DRIFTS, adapted, score_rows

    scores = score_rows(summary)
    rows = [
        *scores,
        ("samples", f"{summary['samples_seen']:,}"),
        ("samples per second", f"{summary['samples_per_second']:,.0f}"),
        *footprint.rows(summary),
        *report.rows(summary),
        ("folder", summary["out"]),
    ]
    for name, file in (("picture", "learning_curve.png"), ("recorded", "record.png")):
        if (path := Path(summary["out"], file)).exists():
            rows.insert(-1, (name, path))
    if lineage := summary.get("lineage"):
        before = f"{lineage['parent']}, {lineage['samples_seen']:,} samples"
        rows.insert(-1, ("goes on from", before))
    if "detected_drifts" in summary:
        found = [f"{at:,}" for at in summary["detected_drifts"]]
        more = f"... ({summary['drifts']:,} in all)" if summary["drifts"] > SHOWN_DRIFTS else ""
        text = " ".join([*found[:SHOWN_DRIFTS], more]) if found else "none"
        rows.insert(len(scores) + 1, ("drifts detected after", text))
    rows[len(scores) + 1 : len(scores) + 1] = adapted(summary)
    if summary["skipped"]:
        rows.insert(len(scores) + 1, ("skipped", f"{summary['skipped']:,} bad samples"))
    if summary["missing"]:
        rows.insert(len(scores) + 1, ("missing", f"{summary['missing']:,} values filled"))
    return "\n".join(f"{name:<22}{value}" for name, value in rows)
