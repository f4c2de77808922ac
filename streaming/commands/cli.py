"""The command line: ``dendrostream run | rules | sources | parity | check | bench | schedule |
paper | sweep | spiking``."""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from rate_models.errors import BadOption, Diverged, UserError, quoted
from rate_models.support import lookup
from streaming.commands.check import check
from streaming.commands.paper import paper
from streaming.commands.schedule import schedule
from streaming.commands.spiking import spiking
from streaming.commands.sweep import beside
from streaming.terminal import delivered
from streaming.terminal import say as _say

app = typer.Typer(
    help="Networks of two-compartment neurons that learn from a stream, one sample at a time.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    no_args_is_help=True,
)

FILE = "a file or a folder that can be used"

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


def main(arguments: list[str] | None = None) -> None:
    """Entry point; always ends in SystemExit: 0, 1 (output not written, or realisations that do
    not agree), 2 (error), 3 (diverged), 128 + signal.
    """
    say_once = functools.cache(_say)
    with delivered(), warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: say_once(f"warning: {message}")
        try:
            app(args=arguments, prog_name="dendrostream")
        except UserError as error:
            _say(f"error: {error}")
            sys.exit(3 if isinstance(error, Diverged) else 2)
        except MemoryError:
            _say("error: got no more memory; what was saved before is kept; choose smaller layers, "
                 "a smaller --batch or fewer workers")  # fmt: skip
            sys.exit(2)
        except OSError as error:
            if error.filename is None:  # the output: see `delivered`
                raise
            name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else "?"
            _say(
                f"error: {UserError(quoted(name, 200), got=error.strerror or error, expected=FILE)}"
            )
            sys.exit(2)


@app.command()
def run(
    context: typer.Context,
    source: Annotated[
        str, typer.Option(help="Where samples come from; see `dendrostream sources`.")
    ] = "digits",
    rule: Annotated[
        str | None,
        typer.Option(
            help="Learning rule; see `dendrostream rules`  [default: pepita, or the circuit's]"
        ),
    ] = None,
    circuit: Annotated[
        str | None,
        typer.Option(
            help="Learn as a circuit of neurons with compartments: pepita, bmvr, "
            "node_perturbation, ...; options by --set: mode=continuous, phase=80, "
            "cut=PROJECTION, silence=POPULATION, dale=true, low=-1, high=1, bits=4, asymmetry=0.1."
        ),
    ] = None,
    hidden: Annotated[
        str | None, typer.Option(help="Sizes of the hidden layers: 256,128  [default: 256]")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the source  [default: 1; digits: 12]")
    ] = None,
    lr: Annotated[
        float | None, typer.Option(help="Learning rate  [default: 0.03; digits: 0.1]")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of weights, order of samples, masks and noise.")] = 0,
    dtype: Annotated[
        Literal["float32", "float64"] | None,
        typer.Option(help="Precision of all numbers  [default: float32; circuits: float64]"),
    ] = None,
    scale: Annotated[
        Literal["none", "range", "running", "global"] | None,
        typer.Option(
            help="Input scaling: none; range: over the largest possible value; running: zero "
            "mean, unit variance, as seen so far, each feature; global: all features alike  "
            "[default: what suits rule and source]"
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Any hyperparameter of rule, circuit, network or optimiser, e.g. momentum=0.9, "
            "weight_decay, decay_epochs=[8], decay_at=[10000] (samples), decay_factor, bias=true, "
            "activation=tanh, loss=mse, target_scale=none (of a regression). Repeatable.",
        ),
    ] = None,
    samples: Annotated[int | None, typer.Option(help="Stop after this many samples.")] = None,
    seconds: Annotated[
        float | None, typer.Option(help="Stop after this many seconds of streaming.")
    ] = None,
    accuracy: Annotated[
        float | None,
        typer.Option(help="Stop when the last 1,000 samples reach this accuracy (0 to 1)."),
    ] = None,
    interval: Annotated[
        int | None,
        typer.Option(help="Samples between lines of metrics.jsonl  [default: 500]"),
    ] = None,
    save_every: Annotated[
        int | None, typer.Option(help="Samples between checkpoints  [default: 10000]")
    ] = None,
    on_bad: Annotated[
        Literal["raise", "skip"],
        typer.Option(help="A bad sample (NaN, wrong length, ...): stop, or skip and count it."),
    ] = "raise",
    label: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help="Of a table: the labels  [default: label, or the last column]"
        ),
    ] = None,
    drop: Annotated[
        str | None,
        typer.Option(metavar="COLUMN[,...]", help="Of a table: columns that are left out."),
    ] = None,
    sep: Annotated[
        str | None,
        typer.Option(
            help="Of a table: what separates cells; ';', tab, space, ...  [default: a comma, or "
            "what the first line has instead]"
        ),
    ] = None,
    decimal: Annotated[
        Literal[".", ","], typer.Option(help="Of a table: what stands before decimals.")
    ] = ".",
    encoding: Annotated[
        str | None,
        typer.Option(help="Of a table: its encoding, e.g. latin-1  [default: utf-8]"),
    ] = None,
    header: Annotated[
        bool,
        typer.Option(
            help="Of a table: whether the first line names the columns; else they are 1, 2, ..."
        ),
    ] = True,
    missing: Annotated[
        Literal["raise", "skip", "mean", "last", "zero"],
        typer.Option(
            help="Of a table: at a missing cell stop, skip the row, or fill in the column's mean "
            "so far, its last value, or zero."
        ),
    ] = "raise",
    missing_indicator: Annotated[
        bool,
        typer.Option(
            "--missing-indicator",
            help="Of a table: one more feature for each column with missing cells, 1 where one is.",
        ),
    ] = False,
    held_out: Annotated[
        float,
        typer.Option(help="Of a table: the share of rows, the last ones, that is tested on only."),
    ] = 0.0,
    stratify: Annotated[
        bool,
        typer.Option("--stratify", help="Hold out a random sample of every class instead."),
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of data sets  [default: DENDROSTREAM_DATA, else user's cache]"),
    ] = None,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch a missing data set (needs the extra vision).")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="New folder for the run  [default: runs/SOURCE-RULE-TIME]"),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(metavar="RUN_FOLDER", help="Go on with a run; its options are fixed."),
    ] = None,
    from_: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="RUN_FOLDER",
            help="Begin with the learner of another run: on a new --source, or on the same one "
            "for more --epochs  [default: 1]. --lr, --set momentum=..., --record and what ends or "
            "shows a run can be given; the network, its rule and its seed stay.",
        ),
    ] = None,
    target: Annotated[
        Literal["label", "input"],
        typer.Option(help="What is learned: the label, or the input itself (an autoencoder)."),
    ] = "label",
    task: Annotated[
        Literal["regression", "classification"] | None,
        typer.Option(
            help="Whether labels are numbers to predict or classes  [default: guessed from them]"
        ),
    ] = None,
    schedule: Annotated[
        str,
        typer.Option(
            help="sequential: all of a sample before the next; pipelined: the next sample enters a "
            "layer that has learned, with the same result to the last bit; delayed:3: a sample is "
            "learned from after the first passes of 3 more, through the weights of its own first "
            "pass; delayed:3:current: through those of the moment."
        ),
    ] = "sequential",
    workers: Annotated[int, typer.Option(help="Threads that share the layers.")] = 1,
    batch: Annotated[
        int, typer.Option(help="Samples per update, streamed through the layers.")
    ] = 1,
    record: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Diagnostic to write with every metrics line, and to draw: alignment_angle, "
            "sign_congruence, relative_error, weight_norms, teaching_angles, update_norms. "
            "Repeatable.",
        ),
    ] = None,
    json_: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No bar, no messages.")] = False,
) -> None:
    """Stream samples through a network that learns from each as it arrives."""
    from streaming.commands.outlook import Outlook
    from streaming.commands.progress import Bar, Interrupts
    from streaming.runs import run as runs
    from streaming.runs.config import RunConfig, parse_settings
    from streaming.tables.table_file import BARS

    interrupts, bar = Interrupts(), Bar()
    silent = quiet or (json_ and not sys.stderr.isatty())
    BARS.set(not silent)
    hooks = runs.Hooks(
        stop=interrupts,
        say=(lambda message: None) if quiet else _say,
        watch=Outlook((lambda _: None) if quiet else _say, (lambda _: None) if silent else bar),
    )
    context.with_resource(interrupts.caught())  # until the command has ended
    try:
        with contextlib.closing(bar):
            if resume is not None:
                _refuse_others(context)
                summary = runs.resume(resume, hooks)
            elif from_ is not None:
                from streaming.runs.going_on import go_on

                summary = go_on(from_, _given(context, settings), out, hooks)
            else:
                config = RunConfig.checked(
                    source=source,
                    rule=rule,
                    circuit=circuit,
                    hidden=hidden,
                    epochs=epochs,
                    lr=lr,
                    seed=seed,
                    dtype=dtype,
                    target=target,
                    task=task,
                    schedule=schedule,
                    workers=workers,
                    batch=batch,
                    scale=scale,
                    data=data,
                    download=download,
                    samples=samples,
                    seconds=seconds,
                    accuracy=accuracy,
                    interval=interval,
                    save_every=save_every,
                    on_bad=on_bad,
                    label=label,
                    drop=drop,
                    sep=sep,
                    decimal=decimal,
                    encoding=encoding,
                    header=header,
                    missing=missing,
                    missing_indicator=missing_indicator,
                    held_out=held_out,
                    stratify=stratify,
                    record=record,
                    settings=parse_settings(settings or []),
                )
                summary = runs.run(config, out, hooks)
    except KeyboardInterrupt as stop:
        _say(": ".join(["interrupted", *map(str, stop.args)]))
        raise typer.Exit(interrupts.exit_code) from None
    if json_:
        _print_json(summary)
    else:
        print(_report(summary))
    if summary["stopped"] == "interrupted":
        _say(f"interrupted; go on with: dendrostream run --resume {summary['out']}")
        raise typer.Exit(interrupts.exit_code)


@app.command()
def rules(
    sizes: Annotated[
        str, typer.Option(help="Layers of the network whose cost is counted.")
    ] = "784,1024,10",
    json_: Json = False,
) -> None:
    """List the learning rules: what each needs, and multiply-adds per sample of a network."""
    from biocircuits import parity as circuits
    from rate_models import catalogue
    from streaming.runs.config import parse_sizes

    n = parse_sizes(sizes, "--sizes")
    if len(n) < 2 or min(n) < 1:
        raise BadOption("--sizes", got=sizes, expected="at least two sizes from 1 on")
    table = catalogue.rows(n, {"circuit": lambda rule: bool(circuits.circuits_of(rule))})
    if json_:
        _print_json({"names": [row["rule"] for row in table], "rows": table})
    else:
        print(_table(table))


@app.command()
def sources(json_: Json = False) -> None:
    """List the sources of samples."""
    from streaming.sources import SOURCES

    _catalogue(SOURCES, json_)


@app.command()
def parity(json_: Json = False) -> None:
    """Compare all realisations of every rule on the same samples; exit code 1 if one is out."""
    from streaming.commands.progress import Steps

    circuit = importlib.import_module("biocircuits.parity").maker
    compare = importlib.import_module("rate_models.checks.parity").run
    if not json_:
        _say("comparing all realisations of every rule: some minutes")
    with contextlib.closing(Steps("parity", " samples")) as bar:
        result = compare(others={"circuit": circuit}, tell=bar)
    if json_:
        _print_json({"ok": result.ok, "deviations": result.rows, "missing": result.missing})
    else:
        print(_table(result.rows))
        for name in result.missing:
            print(f"{name}: not installed, not counted")
    raise typer.Exit(0 if result.ok else 1)


@app.command()
def bench(
    seconds: Annotated[float | None, typer.Option(help="Length of a measurement.")] = None,
    repeats: Annotated[int | None, typer.Option(help="Measurements; the median counts.")] = None,
    json_: Json = False,
) -> None:
    """Measure samples per second beside other implementations on this machine."""
    given = {"seconds": seconds, "repeats": repeats}
    bench_module = importlib.import_module("streaming.benchmarks.bench")
    if not json_:
        _say("measuring, each scenario several times: some minutes")
    result = bench_module.run(**{k: v for k, v in given.items() if v is not None})
    if json_:
        _print_json(result)
    else:
        for name, value in result["machine"].items():
            print(f"{name}: {value}")
        print(f"data: {result['data']}; one thread; median of {result['repeats']}")
        print(_table(result["rows"]))


app.command()(schedule)
app.command()(check)
app.command()(paper)
app.command()(beside(run))
app.command()(spiking)


def _print_json(values: dict[str, Any]) -> None:
    from streaming.files.folder import json_line

    print(json_line(values))


def _refuse_others(context: typer.Context) -> None:
    """A run's options are fixed at its start: none can be given with --resume."""
    for name in context.params:
        asked = context.get_parameter_source(name)
        if name not in ("resume", "json_", "quiet") and asked and asked.name == "COMMANDLINE":
            option = "set" if name == "settings" else name.strip("_").replace("_", "-")
            raise BadOption(
                "--resume",
                got=f"--{option} beside it",
                expected="the options that the run was started with, which are in its folder",
                remedy="leave it out, or start a new run",
            )


def _given(context: typer.Context, settings: list[str] | None) -> dict[str, Any]:
    """The options of a run that stand on the command line."""
    from streaming.runs.config import RunConfig, parse_settings

    given = {}
    for name in context.params.keys() & RunConfig.model_fields.keys():
        asked = context.get_parameter_source(name)
        if asked and asked.name == "COMMANDLINE":
            given[name] = context.params[name]
    return {**given, "settings": parse_settings(settings or [])}


def _report(summary: dict[str, Any]) -> str:
    """The end of a run for a person to read."""
    from streaming.runs import footprint
    from streaming.runs.summary import score_rows

    scores = score_rows(summary)
    rows = [
        *scores,
        ("samples", f"{summary['samples_seen']:,}"),
        ("samples per second", f"{summary['samples_per_second']:,.0f}"),
        *footprint.rows(summary),
        ("folder", summary["out"]),
    ]
    for name, file in (("picture", "learning_curve.png"), ("recorded", "record.png")):
        if (path := Path(summary["out"], file)).exists():
            rows.insert(-1, (name, path))
    if lineage := summary.get("lineage"):
        before = f"{lineage['parent']}, {lineage['samples_seen']:,} samples"
        rows.insert(-1, ("goes on from", before))
    if summary["skipped"]:
        rows.insert(len(scores) + 1, ("skipped", f"{summary['skipped']:,} bad samples"))
    return "\n".join(f"{name:<22}{value}" for name, value in rows)


def _catalogue(kind: lookup.Kind[Any], as_json: bool) -> None:
    names = lookup.names(kind)
    if as_json:
        _print_json({"names": names})
        return
    width = max(map(len, names), default=0)
    for name in names:
        about = lookup.document(lookup.module(kind, name)).partition("\n")[0]
        print(f"{name:<{width}}  {about}")


def _table(rows: list[dict[str, Any]]) -> str:
    """Rows of equal keys as columns of text."""
    if not rows:
        return "nothing to show"
    from streaming.papers.table import aligned

    return aligned([list(rows[0]), *([_cell(v) for v in row.values()] for row in rows)])


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "-" if value is None else str(value)
