"""``dendrostream schedule``: the figures of a plan, and its Gantt chart."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from rate_models.errors import BadOption
from streaming.commands._options import with_options
from streaming.commands._output import Json, print_json
from streaming.records import Checked, Option, parse_sizes

MOST_ITEMS = 400_000  # laid out one by one, in seconds; a longer stream goes on at the steady pace

if TYPE_CHECKING:
    from streaming.schedule.items import Schedule
    from streaming.schedule.plan import Plan, Times
    from streaming.threads.measuring import Comparison


class ScheduleOptions(Checked):
    """What can be asked of a plan."""

    rule: Annotated[str, Option("Learning rule; see `dendrostream rules`.")] = "pepita"
    layers: Annotated[str, Option("Sizes of input, hidden layers and output.")] = (
        "784,512,512,512,10"
    )
    workers: Annotated[int, Option("Threads, cores or chips.")] = 2
    delay: Annotated[
        int, Option("Updates that a sample's learning may be behind; 0: none, exact.")
    ] = 0
    batch: Annotated[int, Option("Samples per update, streamed through the layers.")] = 1
    weights: Annotated[
        Literal["stash", "current", "copies"],
        Option(
            "With a delay: the learning pass sees the weights that the sample's first pass "
            "saw (stash; copies: each update makes a new copy) or the current ones (current)."
        ),
    ] = "stash"
    sequential: Annotated[bool, Option("All of a sample before any of the next.")] = False
    samples: Annotated[int, Option("Length of the stream.")] = 4000
    equal: Annotated[bool, Option("Every stage takes one unit of time, the error none.")] = False
    standard_times: Annotated[
        str | None,
        Option("Time of each layer's standard pass: 9,4,4,1  [default: multiply-adds]"),
    ] = None
    modulated_times: Annotated[
        str | None, Option("Time of each layer's learning pass and update.")
    ] = None
    error_time: Annotated[float, Option("Time of the error, with these.")] = 0.0
    handover: Annotated[float, Option("Time until a worker hears what another has done.")] = 0.0
    settings: Annotated[
        list[str],
        Option("A hyperparameter of the rule. Repeatable.", flag="--set", metavar="NAME=VALUE"),
    ] = Field(default_factory=list)
    measure: Annotated[bool, Option("Run it too, on made-up samples, beside one thread.")] = False
    out: Annotated[Path, Option("The Gantt chart.")] = Path("schedule.png")

    @property
    def how(self) -> Schedule:
        """The schedule asked for."""
        from streaming.schedule.items import Schedule

        delayed = f"delayed:{self.delay}" if self.delay else "pipelined"
        return Schedule.parse(
            "sequential" if self.sequential else delayed, self.batch, self.weights
        )


@with_options(ScheduleOptions)
def schedule(json_: Json = False, **options: Any) -> None:
    """Plan which worker learns which layer of which sample when, and what that is worth."""
    from streaming.pictures.drawn import check_path
    from streaming.runs.config import parse_settings

    asked = ScheduleOptions(**options)
    sizes, how = parse_sizes(asked.layers, "--layers"), asked.how
    check_path("--out", asked.out)
    settings = parse_settings(asked.settings)
    found, unit = _planned(asked, sizes, how, settings)
    figures = {"rule": asked.rule, "layers": sizes, "schedule": str(how), "unit": unit}
    figures |= _figures(found, asked.samples)
    title = f"{asked.rule}, {_short(sizes)}, {how}:"
    measured = None
    if asked.measure:
        told = _compared(asked, sizes, how, settings)
        measured = _measured(told)
        title = f"{title} {told.speedup:.2f} times one thread"
        picture = _drawn(told.plan, asked.out, title, "seconds", told.ran)
    else:
        title = f"{title} {found.speedup:.2f} times one worker"
        picture = _drawn(found, asked.out, title, unit)
    if json_:
        print_json({"plan": figures, "measured": measured, "picture": picture})
        return
    told_too = {f"measured {name}": value for name, value in (measured or {}).items()}
    for name, value in {**figures, **told_too, "picture": picture}.items():
        print(f"{name.replace('_', ' '):<34}{_word(value)}")


def _planned(
    asked: ScheduleOptions, sizes: list[int], how: Schedule, settings: dict[str, Any]
) -> tuple[Plan, str]:
    """The plan, and the unit of its times."""
    from streaming.schedule.plan import equal_times
    from streaming.schedule.planner import plan

    times = _times(asked.standard_times, asked.modulated_times, asked.error_time)
    unit = "given unit"
    if times is None:
        stages = equal_times(len(sizes) - 1) if asked.equal else None
        times, unit = stages, "stages" if asked.equal else "multiply-adds"
    most = max(4 * asked.batch * (asked.delay + 2), MOST_ITEMS // (2 * len(sizes)))
    found = plan(
        asked.rule, sizes, how, asked.workers, min(asked.samples, most), times=times,
        handover=asked.handover, options=settings,
    )  # fmt: skip
    return found, unit


def _compared(
    asked: ScheduleOptions, sizes: list[int], how: Schedule, settings: dict[str, Any]
) -> Comparison:
    """The plan as threads run it, beside one thread."""
    from streaming.terminal import slow
    from streaming.threads.measuring import measure

    with slow("measuring: some seconds, or minutes where kernels are compiled first"):
        return measure(asked.rule, sizes, how, asked.workers, asked.samples, settings)


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
