"""``dendrostream schedule``: the statistics of a schedule, and its Gantt chart."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from rate_models.errors import BadOption
from streaming.commands._options import with_options
from streaming.commands._output import Json, print_json
from streaming.records import Checked, Option, parse_sizes

MOST_ITEMS = 400_000  # planned one by one; a longer stream is extrapolated at the steady pace

if TYPE_CHECKING:
    from streaming.schedule.items import Schedule
    from streaming.schedule.plan import Plan, Times
    from streaming.threads.measuring import Comparison


class ScheduleOptions(Checked):
    """Options of a plan."""

    rule: Annotated[str, Option("Learning rule; see `dendrostream rules`.")] = "pepita"
    layers: Annotated[str, Option("Sizes of input, hidden layers and output.")] = (
        "784,512,512,512,10"
    )
    workers: Annotated[int, Option("Threads, cores or chips.")] = 2
    delay: Annotated[int, Option("Largest delay of an update in samples; 0: none, exact.")] = 0
    batch: Annotated[int, Option("Samples per update, streamed through the layers.")] = 1
    weights: Annotated[
        Literal["stash", "current", "copies"],
        Option(
            "With a delay: the modulated pass uses the weights of the sample's standard pass "
            "(stash; copies: each update makes a new copy) or the current weights (current)."
        ),
    ] = "stash"
    sequential: Annotated[bool, Option("One sample after the other, without overlap.")] = False
    samples: Annotated[int, Option("Length of the stream.")] = 4000
    equal: Annotated[
        bool, Option("Each pass through a layer takes one unit of time, the error none.")
    ] = False
    standard_times: Annotated[
        str | None,
        Option("Time of each layer's standard pass: 9,4,4,1  [default: multiply-adds]"),
    ] = None
    modulated_times: Annotated[
        str | None, Option("Time of each layer's modulated pass and update.")
    ] = None
    error_time: Annotated[float, Option("Time of the error computation, in the same unit.")] = 0.0
    handover: Annotated[float, Option("Time for a signal from one worker to another.")] = 0.0
    settings: Annotated[
        list[str],
        Option("A hyperparameter of the rule. Repeatable.", flag="--set", metavar="NAME=VALUE"),
    ] = Field(default_factory=list)
    measure: Annotated[
        bool, Option("Also run it, on synthetic samples, and compare it with one thread.")
    ] = False
    out: Annotated[Path, Option("File of the Gantt chart.")] = Path("schedule.png")

    @property
    def how(self) -> Schedule:
        """The schedule that the options define."""
        from streaming.schedule.items import Schedule

        delayed = f"delayed:{self.delay}" if self.delay else "pipelined"
        return Schedule.parse(
            "sequential" if self.sequential else delayed, self.batch, self.weights
        )


@with_options(ScheduleOptions)
def schedule(json_: Json = False, **options: Any) -> None:
    """Plan when each worker computes which layer of which sample, and report the speedup."""
    from streaming.pictures.drawn import check_path
    from streaming.runs.config import parse_settings

    chosen = ScheduleOptions(**options)
    sizes, how = parse_sizes(chosen.layers, "--layers"), chosen.how
    check_path("--out", chosen.out)
    settings = parse_settings(chosen.settings)
    planned, unit = _planned(chosen, sizes, how, settings)
    figures = {"rule": chosen.rule, "layers": sizes, "schedule": str(how), "unit": unit}
    figures |= _figures(planned, chosen.samples)
    title = f"{chosen.rule}, {_short(sizes)}, {how}:"
    measured = None
    if chosen.measure:
        comparison = _compared(chosen, sizes, how, settings)
        measured = _measured(comparison)
        title = f"{title} {comparison.speedup:.2f} times one thread"
        picture = _drawn(comparison.plan, chosen.out, title, "seconds", comparison.ran)
    else:
        title = f"{title} {planned.speedup:.2f} times one worker"
        picture = _drawn(planned, chosen.out, title, unit)
    if json_:
        print_json({"plan": figures, "measured": measured, "picture": picture})
        return
    measurements = {f"measured {name}": value for name, value in (measured or {}).items()}
    for name, value in {**figures, **measurements, "picture": picture}.items():
        print(f"{name.replace('_', ' '):<34}{_text(value)}")


def _planned(
    chosen: ScheduleOptions, sizes: list[int], how: Schedule, settings: dict[str, Any]
) -> tuple[Plan, str]:
    """The plan, and the unit of its times."""
    from streaming.schedule.plan import equal_times
    from streaming.schedule.planner import plan

    times = _times(chosen.standard_times, chosen.modulated_times, chosen.error_time)
    unit = "given unit"
    if times is None:
        times = equal_times(len(sizes) - 1) if chosen.equal else None
        unit = "passes" if chosen.equal else "multiply-adds"
    most = max(4 * chosen.batch * (chosen.delay + 2), MOST_ITEMS // (2 * len(sizes)))
    planned = plan(
        chosen.rule, sizes, how, chosen.workers, min(chosen.samples, most), times=times,
        handover=chosen.handover, options=settings,
    )  # fmt: skip
    return planned, unit


def _compared(
    chosen: ScheduleOptions, sizes: list[int], how: Schedule, settings: dict[str, Any]
) -> Comparison:
    """The plan run by threads, compared with one thread."""
    from streaming.terminal import slow
    from streaming.threads.measuring import measure

    with slow("measuring: some seconds, or minutes if kernels are compiled first"):
        return measure(chosen.rule, sizes, how, chosen.workers, chosen.samples, settings)


def _drawn(plan: Plan, out: Path, *rest: Any) -> str | None:
    """The path of the figure; None, with a warning, if it cannot be drawn."""
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
        raise BadOption("item times", got="one of them", expected=expected)
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
    """Statistics of the plan, for a stream that may be longer than the planned part."""
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


def _measured(comparison: Comparison) -> dict[str, Any]:
    return {
        "speedup": comparison.speedup,
        "bit_identical": comparison.identical,
        "samples_per_second": comparison.rate,
        "samples_per_second_alone": comparison.alone,
        "predicted_speedup": comparison.predicted,
        "bound_by_items_of_one_thread": comparison.bound,
        "assignment": comparison.plan.assignment,
        "standard_seconds": comparison.times.standard,
        "modulated_seconds": comparison.times.modulated,
        "error_seconds": comparison.times.error,
    }


def _text(value: Any) -> str:
    if isinstance(value, list):
        several = [_text(one) for one in value[:16]]
        return ", ".join(several) + (" ..." if len(value) > 16 else "")
    return f"{value:,.6g}" if isinstance(value, float) else str(value)
