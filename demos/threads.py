"""How much faster are several threads, with the same result? PEPITA, compared with one thread.

Shows: samples per second of one thread and of two under exact schedules (pipelined, mini-batches
       streamed through the layers) and with a delay (delayed:3); the speed-up over the fastest
       kernel for one thread, the speed-up in a simulation with the measured item times, and the
       bound by the item times of one thread; speed-ups against depth, width, workers and delay; a
       measured Gantt chart of a few samples. All results are bit-identical to those of one thread
       under the same schedule. Writes the tables as Markdown, and a figure.
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
    """The comparison of threads with one thread for one network and schedule."""

    sizes: tuple[int, ...]
    schedule: Schedule
    workers: int
    result: Comparison


def main(
    width: int = 512,
    depth: int = 5,
    samples: int = 3000,
    table: Path = Path("threads.md"),
    figure: Path = Path("threads.png"),
) -> dict[str, list[Row]]:
    """{varied quantity: rows}."""
    warnings.simplefilter("ignore", UserWarning)  # idle workers are expected

    def rows(*cases: tuple[int, int, Schedule, int]) -> list[Row]:
        results = []
        for wide, deep, schedule, workers in cases:
            sizes = (784, *[wide] * deep, 10)
            result = measure("pepita", sizes, schedule, workers, samples, {})
            results.append(Row(sizes, schedule, workers, result))
            print(line(results[-1]), flush=True)
        return results

    several = (EXACT, LATE, BATCHES)
    results = {
        "schedule": rows(*((width, depth, one, 2) for one in several)),
        "hidden layers": rows(*((width, n, one, 2) for one in several for n in (1, 2, 3, 8))),
        "units per layer": rows(
            *((n, depth, one, 2) for one in several for n in (width // 8, width // 4, width // 2))
        ),
        "workers": rows(*((width, depth, one, n) for one in several for n in (1, 4))),
        "delay": rows(*((width, depth, Schedule("delayed", d), 2) for d in (1, 7, 15))),
    }
    table.write_text(markdown(results), encoding="utf-8")
    draw(results, figure)
    print(f"table: {table}\nfigure: {figure}")
    return results


def short(sizes: tuple[int, ...]) -> str:
    return f"{sizes[0]}-{sizes[1]}x{len(sizes) - 2}-{sizes[-1]}"


def line(row: Row) -> str:
    result = row.result
    same = "bit-identical" if result.identical else "DIFFERENT"
    return (
        f"{short(row.sizes):<16} {row.schedule!s:<24} {row.workers} workers  "
        f"{result.alone:7,.0f} -> {result.rate:7,.0f} samples/s  {result.speedup:.2f} times "
        f"(predicted {result.predicted:.2f}, bound {result.bound:.2f})  {same}"
    )


def markdown(results: dict[str, list[Row]]) -> str:
    import os
    import platform

    lines = [
        "# Threads",
        "",
        f"Made by `python -m dendrostream_demos.threads` on {os.cpu_count()} processors "
        f"({platform.machine()}). PEPITA, float32, random samples as sparse as images of digits. "
        "One thread: the fastest kernel for one thread, with the structured first layer, and with "
        "the modulated pass and the update in one sweep over the weights; for mini-batches, the "
        "same mini-batches in one thread. Predicted: the speed-up in a simulation with the item "
        "times measured in the threads. Bound: the speed-up that this number of workers can reach "
        "with the item times of one thread. Threads exceed it if each keeps its layers in its own "
        "cache. Predicted and bound suppose a processor for each worker. Rates are the best of "
        "seven repeats, measured in turn. Every result equals that of one thread under the same "
        "schedule to the last bit.",
    ]
    for varies, rows in results.items():
        lines += [
            "", f"## By {varies}", "",
            "| network | schedule | workers | one thread, samples/s | threads, samples/s "
            "| speed-up | predicted | bound | bit-identical |",
            "|---|---|---|---|---|---|---|---|---|",
        ]  # fmt: skip
        lines += [
            f"| {short(r.sizes)} | {r.schedule} | {r.workers} | {r.result.alone:,.0f} "
            f"| {r.result.rate:,.0f} | {r.result.speedup:.2f} | {r.result.predicted:.2f} "
            f"| {r.result.bound:.2f} | {'yes' if r.result.identical else 'NO'} |"
            for r in rows
        ]
    return "\n".join([*lines, "", "![Speed-ups and a measured chart](img/threads.png)", ""])


def draw(results: dict[str, list[Row]], path: Path) -> None:
    """Speed-ups against depth, width, workers and delay; below, a measured Gantt chart."""

    from rate_models.drawing.figures import new_figure
    from rate_models.drawing.style import COLOURS, drawing
    from streaming.schedule import pictures

    main_rows = results["schedule"]
    values: dict[str, Callable[[Row], int]] = {
        "hidden layers": lambda row: len(row.sizes) - 2,
        "units per layer": lambda row: row.sizes[1],
        "workers": lambda row: row.workers,
        "delay": lambda row: row.schedule.delay,
    }
    with drawing():
        figure = new_figure((12, 6.2), dpi=130)
        top, bottom = figure.subfigures(2, 1, height_ratios=(1, 0.9), squeeze=False)[:, 0]
        for axes, (varies, at) in zip(top.subplots(1, 4), values.items(), strict=True):
            rows = main_rows + results[varies]
            if varies == "delay":
                rows = [r for r in rows if r.schedule.batch == 1]
            names = ["delayed:d" if varies == "delay" else str(r.schedule) for r in rows]
            for colour, name in zip(COLOURS, dict.fromkeys(names), strict=False):
                some = [row for row, its in zip(rows, names, strict=True) if its == name]
                some.sort(key=at)
                axes.plot(
                    [at(r) for r in some], [r.result.speedup for r in some], "o-", ms=4,
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
        ran = row.result.ran
        pictures.gantt(axes, ran, 6 * ran.makespan / ran.samples)
        axes.set_title(
            f"{short(row.sizes)}, {row.schedule}, measured; numbers are layers", fontweight="bold"
        )
        axes.set_xlabel("seconds")
        bottom.legend(handles=pictures.key(ran), loc="outside lower center", ncols=3)
        figure.savefig(path)


if __name__ == "__main__":
    import typer

    try:
        typer.run(main)
    except UserError as error:
        sys.exit(f"error: {error}")
