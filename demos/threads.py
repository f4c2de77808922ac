"""How much faster do threads learn the same? PEPITA, measured beside the fastest one thread has.

Shows: samples per second of one thread and of two under schedules that are exact (pipelined,
       mini-batches streamed through the layers) and late (delayed:3); the speed-up over one thread,
       that which the simulator says of the measured stage times, and the bound that the stage times
       of one thread allow; speed-ups against depth, width, workers and delay; the measured Gantt
       chart of a few samples. All results are bit-identical to one thread of the same schedule.
       Writes the tables as Markdown, and a figure.
From:  the remark on layer-wise updates in Dellaferrera & Kreiman, ICML 2022, section 5
Score: 784-512x5-10 with two threads: pipelined 1.55 times one thread (the simulator: 1.74),
       delayed:3 1.82 (2.03), mini-batches of 16 2.15 (2.36); one hidden layer is faster in one
Seed:  0
Run time: 12 minutes, and 10 s of compilation the first time; needs idle cores
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from rate_models.errors import UserError
from streaming.schedule.items import Schedule
from streaming.threads.measuring import Comparison, measure

LATE = Schedule("delayed", 3)
BATCHES = Schedule(batch=16)
EXACT = Schedule()


class Row(NamedTuple):
    """One comparison; what varies: the column of the figure that it belongs to, and its place."""

    sizes: tuple[int, ...]
    schedule: Schedule
    workers: int
    told: Comparison


def main(
    width: int = 512,
    depth: int = 5,
    samples: int = 3000,
    table: Path = Path("threads.md"),
    figure: Path = Path("threads.png"),
) -> dict[str, list[Row]]:
    """Rows by what varies in them."""
    warnings.simplefilter("ignore", UserWarning)  # workers without work are meant

    def rows(*cases: tuple[int, int, Schedule, int]) -> list[Row]:
        found = []
        for wide, deep, schedule, workers in cases:
            sizes = (784, *[wide] * deep, 10)
            told = measure("pepita", sizes, schedule, workers, samples, {})
            found.append(Row(sizes, schedule, workers, told))
            print(line(found[-1]), flush=True)
        return found

    several = (EXACT, LATE, BATCHES)
    found = {
        "schedule": rows(*((width, depth, one, 2) for one in several)),
        "hidden layers": rows(*((width, n, one, 2) for one in several for n in (1, 2, 3, 8))),
        "units per layer": rows(
            *((n, depth, one, 2) for one in several for n in (width // 8, width // 4, width // 2))
        ),
        "workers": rows(*((width, depth, one, n) for one in several for n in (1, 4))),
        "delay": rows(*((width, depth, Schedule("delayed", d), 2) for d in (1, 7, 15))),
    }
    table.write_text(markdown(found), encoding="utf-8")
    draw(found, figure)
    print(f"table: {table}\nfigure: {figure}")
    return found


def short(sizes: tuple[int, ...]) -> str:
    return f"{sizes[0]}-{sizes[1]}x{len(sizes) - 2}-{sizes[-1]}"


def line(row: Row) -> str:
    told = row.told
    same = "bit-identical" if told.identical else "DIFFERENT"
    return (
        f"{short(row.sizes):<16} {row.schedule!s:<24} {row.workers} workers  "
        f"{told.alone:7,.0f} -> {told.rate:7,.0f} samples/s  {told.speedup:.2f} times "
        f"(predicted {told.predicted:.2f}, bound {told.bound:.2f})  {same}"
    )


def markdown(found: dict[str, list[Row]]) -> str:
    import os
    import platform

    lines = [
        "# Threads",
        "",
        f"Made by `python -m dendrostream_demos.threads` on {os.cpu_count()} processors "
        f"({platform.machine()}). PEPITA, float32, made-up samples as sparse as pictures of "
        "digits. One thread: the fastest kernel that there is for one, whose first layer is "
        "structured and whose modulated pass and update share a sweep; for mini-batches, the same "
        "mini-batches in one thread. Predicted: by the simulator from the stage times measured in "
        "the threads. Bound: what the stage times measured in one thread would allow so many "
        "workers; threads go beyond it where each keeps its own layers in its own cache. Both "
        "suppose a processor for each worker. Rates are the best of seven, taken in turn. Every "
        "result is to the last bit that of one thread under the same schedule.",
    ]
    for varies, rows in found.items():
        lines += [
            "", f"## By {varies}", "",
            "| network | schedule | workers | one thread, samples/s | threads, samples/s "
            "| speed-up | predicted | bound | bit-identical |",
            "|---|---|---|---|---|---|---|---|---|",
        ]  # fmt: skip
        lines += [
            f"| {short(r.sizes)} | {r.schedule} | {r.workers} | {r.told.alone:,.0f} "
            f"| {r.told.rate:,.0f} | {r.told.speedup:.2f} | {r.told.predicted:.2f} "
            f"| {r.told.bound:.2f} | {'yes' if r.told.identical else 'NO'} |"
            for r in rows
        ]
    return "\n".join([*lines, "", "![Speed-ups and a measured chart](img/threads.png)", ""])


def draw(found: dict[str, list[Row]], path: Path) -> None:
    """Speed-ups against depth, width, workers and delay; below, what ran."""

    from rate_models.drawing.figures import new_figure
    from rate_models.drawing.style import COLOURS, drawing
    from streaming.schedule import pictures

    main_rows = found["schedule"]
    place: dict[str, Callable[[Row], int]] = {
        "hidden layers": lambda row: len(row.sizes) - 2,
        "units per layer": lambda row: row.sizes[1],
        "workers": lambda row: row.workers,
        "delay": lambda row: row.schedule.delay,
    }
    with drawing():
        figure = new_figure((12, 6.2), dpi=130)
        top, bottom = figure.subfigures(2, 1, height_ratios=(1, 0.9), squeeze=False)[:, 0]
        for axes, (varies, at) in zip(top.subplots(1, 4), place.items(), strict=True):
            rows = main_rows + found[varies]
            if varies == "delay":
                rows = [r for r in rows if r.schedule.batch == 1]
            names = ["delayed:d" if varies == "delay" else str(r.schedule) for r in rows]
            for colour, name in zip(COLOURS, dict.fromkeys(names), strict=False):
                some = [row for row, its in zip(rows, names, strict=True) if its == name]
                some.sort(key=at)
                axes.plot(
                    [at(r) for r in some], [r.told.speedup for r in some], "o-", ms=4,
                    color=colour, label=name,
                )  # fmt: skip
            axes.axhline(1, color="0.6", lw=0.8)
            axes.set(xlabel=varies, ylim=(0, None))
            axes.set_title("times one thread", fontweight="bold")
            if varies in ("units per layer",):
                axes.set_xscale("log", base=2)
        top.axes[0].legend(fontsize=8.5)
        row = main_rows[0]
        axes = bottom.subplots()
        pictures.gantt(axes, row.told.ran, 6 * row.told.ran.makespan / row.told.ran.samples)
        axes.set_title(
            f"{short(row.sizes)}, {row.schedule}, as it ran; numbers are layers", fontweight="bold"
        )
        axes.set_xlabel("seconds")
        bottom.legend(handles=pictures.key(row.told.ran), loc="outside lower center", ncols=3)
        figure.savefig(path)


if __name__ == "__main__":
    import typer

    try:
        typer.run(main)
    except UserError as error:
        sys.exit(f"error: {error}")
