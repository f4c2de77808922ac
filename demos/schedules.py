"""How much can samples overlap without a change of the result? Plans for five rules, any depth.

Shows: Gantt charts of four layers under three schedules; throughput and memory for activities of
       PEPITA, backpropagation, feedback alignment, direct feedback alignment and direct random
       target projection with 2 to 100 layers, if every item takes one unit of time, with a worker
       per layer; the speed-up of PEPITA over one worker against depth, width, workers and delay,
       with item times in proportion to multiply-adds.
From:  the remark on layer-wise updates in Dellaferrera & Kreiman, ICML 2022, section 5
Score: 100 layers, one sample per update: PEPITA 1.98 times one worker, direct feedback alignment
       1.98, direct random target projection 100, backpropagation and feedback alignment 1.00;
       batches of as many samples as layers: PEPITA 100 times, backpropagation 50
Seed:  none, nothing is random
Run time: 10 s
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rate_models.errors import UserError
from streaming.schedule.items import Schedule, Weights
from streaming.schedule.plan import Plan, equal_times
from streaming.schedule.planner import plan

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DEPTHS = (2, 3, 5, 10, 20, 50, 100)
RULES = {
    "PEPITA": "pepita",
    "backpropagation": "backprop",
    "feedback alignment": "feedback_alignment",
    "direct feedback alignment": "direct_feedback_alignment",
    "direct random target projection": "drtp",
}
SCHEDULES = {
    "pipelined": Schedule(),
    "delayed:3": Schedule("delayed", 3),
    "batches of 16": Schedule(batch=16),
}
TEXT = """\
Made by `python -m dendrostream_demos.schedules`. These numbers are planned, not measured. Each
layer has a worker of its own. A standard pass through a layer takes one unit of time, and so does a
teaching signal with its update; the error and hand-overs take none. The schedules of this table are
exact: the result is that of one worker to the last bit. The dependencies are derived from the
arrays that the rules declare to read and write. Time per sample and speed-up are those of an
endless stream. Held: the most numbers of activities and signals that are needed at the same time,
for layers of one unit. Reserved: the same if every array has buffer slots of its own.

With one sample per update, PEPITA and direct feedback alignment take L + 1 units per sample,
backpropagation and feedback alignment 2L, and direct random target projection 2.
`streaming/schedule/closed_form.py` has the formula for any item times. In batches of B ≥ L, PEPITA
takes 2 units, without a bubble, and backpropagation 2 (B + L - 1) / B.
"""
OVER_ONE_WORKER = """\
Speed-up of PEPITA over one worker, with item times in proportion to multiply-adds. Weights are
changed in place. A delayed sample uses the weights of its standard pass, kept as pending updates.
"""
DELAYS = """\
Backpropagation gains from a delay only if every update makes new copies of the weights. In place,
with one delay for all layers, S(t+1,1) waits for M(t-d,1), which comes after M(t-d,L), which waits
for S(t,L). PEPITA's updates come in the order of its passes. Speed-up over one worker, for eight
equal layers and eight workers:"""
Curves = dict[str, tuple[list[int], list[float]]]


class Row(NamedTuple):
    """A rule at a depth. time: units per sample; held, reserved: numbers per unit of width."""

    rule: str
    schedule: str
    layers: int
    time: float
    speedup: float
    held: int
    reserved: int


def main(
    depths: list[int] = list(DEPTHS),  # noqa: B006  typer takes no tuple of any length
    figure: Path = Path("schedules.png"),
    table: Path = Path("schedules.md"),
) -> list[Row]:
    """Plan all rows, and write the table and the figure."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "workers: ")  # idle workers are expected in some plans
        rows = compared(depths)
        curves = speedups()
        draw(rows, curves, figure)
        write(rows, curves, table, figure)
    print(f"table: {table}\nfigure: {figure}")
    return rows


def compared(depths: Sequence[int]) -> list[Row]:
    """Each rule under the fastest exact schedule that it permits; then in batches."""
    rows = []
    for layers in depths:
        samples = max(40, 2 * layers)
        for name, rule in RULES.items():
            try:
                rows.append(row(name, rule, layers, Schedule(), samples))
            except UserError:  # no two items can run at the same time
                rows.append(row(name, rule, layers, Schedule("sequential"), samples))
        for name in ("PEPITA", "backpropagation"):
            rows.append(row(name, RULES[name], layers, Schedule(batch=layers), 8 * layers))
    return rows


def row(name: str, rule: str, layers: int, schedule: Schedule, samples: int) -> Row:
    best = plan(
        rule, (1,) * (layers + 1), schedule, layers, samples,
        times=equal_times(layers), assignment="layers",
    )  # fmt: skip
    steady = 2 * layers / best.period  # of an endless stream
    return Row(name, str(schedule), layers, best.period, steady, best.held, best.reserved)


def speedups() -> dict[str, Curves]:
    """{varied quantity: {schedule: (its values, speed-ups)}}, for an endless stream."""
    curves: dict[str, Curves] = {"hidden layers of 512, 2 workers": {}, "units in each of 5 hidden "
        "layers, 2 workers": {}, "workers, 8 hidden layers of 512": {}}  # fmt: skip
    depth, width, workers = curves.values()
    for name, schedule in SCHEDULES.items():
        several = [1, 2, 3, 5, 8, 12, 20]
        depth[name] = several, [steady([784, *[512] * n, 10], schedule, 2) for n in several]
        several = [16, 32, 64, 128, 256, 512, 1024, 2048]
        width[name] = several, [steady([784, *[n] * 5, 10], schedule, 2) for n in several]
        several = list(range(1, 11))
        workers[name] = several, [steady([784, *[512] * 8, 10], schedule, n) for n in several]
    delay = curves["delay in samples, 8 hidden layers of 512"] = {}
    for n in (2, 4, 8):
        several = list(range(13))
        sizes = [784, *[512] * 8, 10]
        delay[f"{n} workers"] = (
            several,
            [steady(sizes, Schedule("delayed", d), n) for d in several],
        )
    return curves


def steady(sizes: Sequence[int], schedule: Schedule, workers: int) -> float:
    best = plan("pepita", sizes, schedule, workers, 96)
    return float(best.times.sum()) / best.samples / best.period


def write(rows: list[Row], curves: dict[str, Curves], table: Path, figure: Path) -> None:
    """Tables in Markdown."""
    lines = [
        "# Schedules, planned",
        "",
        *TEXT.splitlines(),
        "",
        "| layers | rule | schedule | time per sample | speed-up | held | reserved |",
        "|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        lines.append(
            f"| {r.layers} | {r.rule} | {r.schedule} | {r.time:.4g} | {r.speedup:.2f} "
            f"| {r.held} | {r.reserved} |"
        )
    lines += ["", *OVER_ONE_WORKER.splitlines(), ""]
    for against, several in curves.items():
        x = next(iter(several.values()))[0]
        lines += [f"| {against} | {' | '.join(f'{n:g}' for n in x)} |", "|---" * (len(x) + 1) + "|"]
        for name, (_, y) in several.items():
            lines.append(f"| {name} | {' | '.join(f'{n:.2f}' for n in y)} |")
        lines.append("")
    lines += [DELAYS, "", "| delay | weights | PEPITA | backpropagation |", "|---|---|---|---|"]
    for d, weights, ours, theirs in delays():
        lines.append(f"| {d} | {weights} | {ours:.2f} | {theirs:.2f} |")
    lines += ["", f"![Gantt charts, throughput, memory and speed-up](img/{figure.name})", ""]
    table.write_text("\n".join(lines), encoding="utf-8")


def delays() -> list[tuple[int, str, float, float]]:
    """(delay, weights, speed-up of PEPITA, of backpropagation), for eight layers of equal times."""
    rows: list[tuple[int, str, float, float]] = []
    both: tuple[Weights, ...] = ("stash", "copies")
    for d in (1, 3, 7):
        for weights in both:
            how = Schedule("delayed", d, weights=weights)
            ours, theirs = (
                16 / plan(rule, (1,) * 9, how, 8, 300, times=equal_times(8)).period
                for rule in ("pepita", "backprop")
            )
            rows.append((d, weights, ours, theirs))
    return rows


def charts() -> dict[str, Plan]:
    """Four layers, four workers, under three schedules."""
    sizes: Any = (1,) * 5
    times = equal_times(4)
    return {
        "backpropagation: one after another": plan(
            "backprop", sizes, Schedule("sequential"), 4, 3, times=times
        ),
        "PEPITA, pipelined": plan(
            "pepita", sizes, Schedule(), 4, 4, assignment="layers", times=times
        ),
        "PEPITA, batches of 4": plan(
            "pepita", sizes, Schedule(batch=4), 4, 12, assignment="layers", times=times
        ),
    }


def draw(rows: list[Row], curves: dict[str, Curves], path: Path) -> None:
    """Charts above; throughput and memory; four speed-ups."""

    from rate_models.drawing.figures import new_figure
    from rate_models.drawing.style import COLOURS, drawing
    from streaming.schedule import pictures

    with drawing():
        figure = new_figure((11, 9.6), dpi=130)
        parts = figure.subfigures(3, 1, height_ratios=(0.8, 1.25, 1), squeeze=False)
        top, middle, bottom = parts[:, 0]
        plans = charts()
        for axes, (title, one) in zip(top.subplots(1, 3), plans.items(), strict=True):
            pictures.gantt(axes, one, 24)
            axes.set_title(title, fontweight="bold")
            axes.set_xlabel("units of time; numbers are layers")
        key = pictures.key(next(iter(plans.values())))
        top.legend(handles=key, loc="outside lower center", ncols=2)
        panels = middle.subplots(1, 2)
        lines = {(r.rule, "batch" in r.schedule) for r in rows}
        colours = dict(zip(RULES, COLOURS, strict=False))
        for rule, batch in sorted(lines, key=lambda line: (line[1], list(RULES).index(line[0]))):
            some = [r for r in rows if r.rule == rule and ("batch" in r.schedule) == batch]
            x = [r.layers for r in some]
            style: dict[str, Any] = {
                "color": colours[rule],
                "ls": "--" if batch else "-",
                "marker": "o",
                "ms": 3.5,
            }
            if "direct" in rule or rule == "feedback alignment":
                style |= {"ls": ":", "lw": 3.5}  # so that a line below it is visible
            label = f"{rule}, batches of L" if batch else rule
            panels[0].plot(x, [1 / r.time for r in some], label=label, **style)
            panels[1].plot(x, [r.held for r in some], **style)
        for axes, title in zip(
            panels, ("samples per unit of time", "numbers held, layers of one unit"), strict=True
        ):
            axes.set(xscale="log", yscale="log", xlabel="layers L, each with a worker")
            axes.set_title(title, fontweight="bold")
        middle.legend(loc="outside lower center", ncols=4, fontsize=8.5)
        for axes, (against, several) in zip(bottom.subplots(1, 4), curves.items(), strict=True):
            speedup_panel(axes, against, several)
        figure.savefig(path)


def speedup_panel(axes: Axes, against: str, curves: Curves) -> None:
    """Speed-up over one worker."""
    from matplotlib.ticker import MaxNLocator

    from rate_models.drawing.style import COLOURS

    for colour, (name, (x, y)) in zip(COLOURS, curves.items(), strict=False):
        axes.plot(x, y, "o-", ms=3.5, color=colour, label=name)
    what, _, rest = against.partition(", ")
    if "units" in what:
        axes.set_xscale("log")
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel(what)
    axes.set_title(f"PEPITA, times one worker\n{rest}", fontweight="bold")
    axes.set_ylim(bottom=0.9)
    axes.set_ylim(top=axes.get_ylim()[1] * (1.25 if "delay" in what else 1))
    axes.legend(fontsize=8)


if __name__ == "__main__":
    import typer

    try:
        typer.run(main)
    except UserError as error:
        sys.exit(f"error: {error}")
