"""``dendrostream schedule``: the figures of a plan, and its Gantt chart."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from rate_models.errors import BadOption
from rate_models.support.estimates import check_memory

MOST_ITEMS = 400_000  # laid out one by one, in seconds; a longer stream goes on at the steady pace

if TYPE_CHECKING:
    from streaming.schedule.plan import Plan, Times
    from streaming.threads.measuring import Comparison


def schedule(
    rule: Annotated[str, typer.Option(help="Learning rule; see `dendrostream rules`.")] = "pepita",
    layers: Annotated[
        str, typer.Option(help="Sizes of input, hidden layers and output.")
    ] = "784,512,512,512,10",
    workers: Annotated[int, typer.Option(help="Threads, cores or chips.")] = 2,
    delay: Annotated[
        int, typer.Option(help="Updates that a sample's learning may be behind; 0: none, exact.")
    ] = 0,
    batch: Annotated[
        int, typer.Option(help="Samples per update, streamed through the layers.")
    ] = 1,
    weights: Annotated[
        Literal["stash", "current", "copies"],
        typer.Option(
            help="With a delay: the learning pass sees the weights that the sample's first pass "
            "saw (stash; copies: each update makes a new copy) or the current ones (current)."
        ),
    ] = "stash",
    sequential: Annotated[
        bool, typer.Option("--sequential", help="All of a sample before any of the next.")
    ] = False,
    samples: Annotated[int, typer.Option(help="Length of the stream.")] = 4000,
    equal: Annotated[
        bool, typer.Option("--equal", help="Every stage takes one unit of time, the error none.")
    ] = False,
    standard_times: Annotated[
        str | None,
        typer.Option(help="Time of each layer's standard pass: 9,4,4,1  [default: multiply-adds]"),
    ] = None,
    modulated_times: Annotated[
        str | None, typer.Option(help="Time of each layer's learning pass and update.")
    ] = None,
    error_time: Annotated[float, typer.Option(help="Time of the error, with these.")] = 0.0,
    handover: Annotated[
        float, typer.Option(help="Time until a worker hears what another has done.")
    ] = 0.0,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="A hyperparameter of the rule. Repeatable."
        ),
    ] = None,
    measure: Annotated[
        bool,
        typer.Option("--measure", help="Run it too, on made-up samples, beside one thread."),
    ] = False,
    out: Annotated[Path, typer.Option(help="The Gantt chart.")] = Path("schedule.png"),
    json_: Annotated[
        bool, typer.Option("--json", help="Print one JSON object and nothing else.")
    ] = False,
) -> None:
    """Plan which worker learns which layer of which sample when, and what that is worth."""
    from streaming.pictures.drawn import check_path
    from streaming.runs.config import parse_settings, parse_sizes
    from streaming.schedule.items import Schedule
    from streaming.schedule.plan import equal_times
    from streaming.schedule.planner import plan

    sizes = parse_sizes(layers, "--layers")
    times, unit = _times(standard_times, modulated_times, error_time), "given unit"
    if times is None:
        times, unit = (equal_times(len(sizes) - 1), "stages") if equal else (None, "multiply-adds")
    kind = "sequential" if sequential else f"delayed:{delay}" if delay else "pipelined"
    how = Schedule.parse(kind, batch, weights)
    check_path("--out", out)
    laid_out = min(samples, max(4 * batch * (delay + 2), MOST_ITEMS // (2 * len(sizes))))
    options = parse_settings(settings or [])
    found = plan(
        rule, sizes, how, workers, laid_out, times=times, handover=handover, options=options
    )
    figures = {"rule": rule, "layers": sizes, "schedule": str(how), "unit": unit}
    figures |= _figures(found, samples)
    title = f"{rule}, {_short(sizes)}, {how}: {found.speedup:.2f} times one worker"
    measured = None
    if measure:
        from streaming.threads.measuring import measure as compare

        check_memory("--samples", f"{samples:,} samples", 8 * samples * (sizes[0] + sizes[-1]))
        told = compare(rule, sizes, how, workers, samples, options)
        measured = _measured(told)
        title = f"{rule}, {_short(sizes)}, {how}: {told.speedup:.2f} times one thread"
        picture = _drawn(told.plan, out, title, "seconds", told.ran)
    else:
        picture = _drawn(found, out, title, unit)
    if json_:
        from streaming.files.folder import json_line

        print(json_line({"plan": figures, "measured": measured, "picture": picture}))
        return
    told_too = {f"measured {name}": value for name, value in (measured or {}).items()}
    for name, value in {**figures, **told_too, "picture": picture}.items():
        print(f"{name.replace('_', ' '):<34}{_word(value)}")


def _drawn(plan: Plan, out: Path, *rest: Any) -> str | None:
    """The name of the picture; None, with a warning, where it cannot be drawn."""
    from rate_models.drawing.style import drawing
    from streaming.pictures.drawn import attempt

    with attempt(str(out), "the same command draws it again"), drawing():
        from streaming.schedule import pictures

        return str(pictures.draw(plan, out, *rest))
    return None


def _times(standard: str | None, modulated: str | None, error: float) -> Times | None:
    from streaming.schedule.plan import Times

    if standard is None and modulated is None:
        return None
    if standard is None or modulated is None:
        expected = "both --standard-times and --modulated-times"
        raise BadOption("stage times", got="one of them", expected=expected)
    return Times(
        _numbers(standard, "--standard-times"), _numbers(modulated, "--modulated-times"), error
    )


def _numbers(text: str, option: str) -> tuple[float, ...]:
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError:
        raise BadOption(option, got=repr(text), expected="times, e.g. 9,4,4,1") from None


def _short(sizes: list[int]) -> str:
    shown = sizes if len(sizes) <= 8 else [*sizes[:3], "...", *sizes[-2:]]
    return "-".join(map(str, shown))


def _figures(plan: Plan, samples: int) -> dict[str, Any]:
    """The plan's numbers, for a stream that may be longer than what was laid out."""
    makespan = plan.makespan_of(samples)
    return {
        "workers": plan.workers,
        "samples": samples,
        "laid_out": plan.samples,
        "assignment": plan.assignment,
        "makespan": makespan,
        "speedup": float(plan.times.sum()) / plan.samples * samples / makespan,
        "most_speedup": plan.most_speedup,
        "time_per_sample": plan.period,
        "throughput": 1 / plan.period,
        "latency": plan.latency,
        "utilisation": plan.utilisation.tolist(),
        "activations_held": plan.held,
        "activations_reserved": plan.reserved,
        "stash_reserved": plan.stashed,
    }


def _measured(told: Comparison) -> dict[str, Any]:
    return {
        "speedup": told.speedup,
        "bit_identical": told.identical,
        "samples_per_second": told.rate,
        "samples_per_second_alone": told.alone,
        "predicted_speedup": told.predicted,
        "bound_of_one_threads_stages": told.bound,
        "assignment": told.plan.assignment,
        "standard_seconds": told.times.standard,
        "modulated_seconds": told.times.modulated,
        "error_seconds": told.times.error,
    }


def _word(value: Any) -> str:
    if isinstance(value, list):
        several = [_word(one) for one in value[:16]]
        return ", ".join(several) + (" ..." if len(value) > 16 else "")
    return f"{value:,.6g}" if isinstance(value, float) else str(value)
