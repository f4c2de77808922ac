"""Figures of a comparison: accuracy over time, recovery, forgetting."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from rate_models.drawing.figures import new_figure
from rate_models.drawing.style import BLUE, COLOURS, GREY, ORANGE, drawing
from streaming.continual.comparing import Result
from streaming.files.folder import replacing

REFERENCE = "backprop"
RECURS = "recurring"  # the stream whose drifts return to tasks learned before
MARKS = ("o", "s", "^", "D", "v")


def shown(rule: str) -> str:
    """The name of a rule in text."""
    return rule.replace("_", " ")


def rows_of(result: Result, stream: str) -> dict[str, dict[str, Any]]:
    """{rule: row} of a stream."""
    return {row["rule"]: row for row in result["rows"] if row["stream"] == stream}


def title_of(result: Result, stream: str) -> str:
    """The title of a stream."""
    return str(next(one["title"] for one in result["streams"] if one["name"] == stream))


def draw(result: Result, folder: Path) -> list[Path]:
    """Write all figures into ``folder``; returns their paths."""
    figures = {"rules": lines, "streams": maps, "recovery": recovery, "forgetting": forgetting}
    paths = {name: folder / f"drift_{name}.png" for name in figures}
    for name, figure in figures.items():
        with drawing():
            figure(result, paths[name])
    return list(paths.values())


def lines(result: Result, path: Path, stream: str = "abrupt") -> None:
    """A panel for each rule: accuracy over time, and that of backpropagation behind it."""
    rows = rows_of(result, stream)
    columns = min(4, len(rows))
    height = -(-len(rows) // columns)
    figure = new_figure((2.4 * columns + 0.4, 1.75 * height + 0.9))
    panels = figure.subplots(height, columns, sharex=True, sharey=True, squeeze=False)
    for axes in panels.flat[len(rows) :]:
        axes.set_axis_off()
    for i, (axes, (rule, row)) in enumerate(zip(panels.flat, rows.items(), strict=False)):
        x = result["window"] * (np.arange(len(row["curve"])) + 0.5)
        if rule != REFERENCE and REFERENCE in rows:
            axes.plot(x, 100 * np.array(rows[REFERENCE]["curve"]), color=GREY, lw=0.9, ls="--")
        axes.plot(x, 100 * np.array(row["curve"]), color=BLUE, lw=1.4)
        for at in row["drifts"]:
            axes.axvline(at, color="black", lw=0.8, ls=":")
        axes.set_title(shown(rule), fontsize=9)
        axes.set_ylim(0, 100)
        _thousands(axes.xaxis)
        axes.xaxis.set_tick_params(labelbottom=i + columns >= len(rows))
    figure.supxlabel("samples learned from", fontsize=9.5)
    figure.supylabel(f"right in windows of {result['window']} (%)", fontsize=9.5)
    behind = f"dashed: {REFERENCE}; " if REFERENCE in rows else ""
    figure.suptitle(f"{title_of(result, stream)} ({behind}dotted: drift)", x=0.01, ha="left",
                    fontsize=10.5, fontweight="bold")  # fmt: skip
    _save(figure, path)


def maps(result: Result, path: Path) -> None:
    """A panel for each stream, a row for each rule, colour: accuracy over time."""
    streams = [one["name"] for one in result["streams"]]
    rules = list(rows_of(result, streams[0]))
    figure = new_figure((9.4, 0.62 * len(rules) + 2.6))
    panels = figure.subplots(-(-len(streams) // 2), 2, sharey=True, squeeze=False)
    for axes in panels.flat[len(streams) :]:
        axes.set_axis_off()
    for axes, stream in zip(panels.flat, streams, strict=False):
        rows = rows_of(result, stream)
        curves = 100 * np.array([rows[rule]["curve"] for rule in rules])
        end = result["window"] * curves.shape[1]
        image = axes.imshow(curves, aspect="auto", cmap="cividis", vmin=0, vmax=100,
                            extent=(0, end, len(rules) - 0.5, -0.5),
                            interpolation="nearest")  # fmt: skip
        for at in rows[rules[0]]["drifts"]:
            axes.axvline(at, color="black", lw=1.2, ls=":")
        axes.grid(False)
        axes.set_yticks(range(len(rules)), [shown(rule) for rule in rules], fontsize=8)
        _thousands(axes.xaxis)
        axes.set_title(title_of(result, stream))
    for axes in panels[-1]:
        axes.set_xlabel("samples learned from")
    figure.colorbar(
        image, ax=panels, shrink=0.5, label=f"right in windows of {result['window']} (%)"
    )
    _save(figure, path)


def recovery(result: Result, path: Path) -> None:
    """Median recovery time of each rule on each stream; beside the dashed line: never.

    Of a stream that recurs only the returns to a task that was learned before.
    """
    streams = [one["name"] for one in result["streams"] if one["recovers"]]
    rules = list(rows_of(result, streams[0]))
    middles = {
        (rule, stream): middle(rows_of(result, stream)[rule]["recovery"], stream)
        for rule in rules for stream in streams
    }  # fmt: skip
    most = max([t for t in middles.values() if math.isfinite(t)], default=1.0)
    figure = new_figure((7.6, 0.4 * len(rules) + 1.7))
    axes = figure.subplots()
    for i, stream in enumerate(streams):
        at = np.arange(len(rules)) + 0.15 * (i - (len(streams) - 1) / 2)
        times = np.array([middles[rule, stream] for rule in rules])
        back = np.isfinite(times)
        axes.plot(times[back], at[back], MARKS[i], ms=5.5, color=COLOURS[i],
                  label=title_of(result, stream).partition(":")[0]
                  + (", on return" if stream == RECURS else ""))  # fmt: skip
        axes.plot(np.full((~back).sum(), 1.1 * most), at[~back], MARKS[i], ms=5.5, mfc="white",
                  color=COLOURS[i])  # fmt: skip
    never = not all(map(math.isfinite, middles.values()))
    if never:
        axes.axvline(1.05 * most, color="black", lw=0.8, ls="--")
    axes.set_xlim(0, (1.16 if never else 1.06) * most)
    _rules_down(axes, rules)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_xlabel(f"samples until {result['fraction']:.0%} of the accuracy before the drift"
                    + ("; right of the dashed line: never" if never else ""))  # fmt: skip
    figure.legend(loc="outside upper center", ncols=len(streams))
    _save(figure, path)


def forgetting(result: Result, path: Path) -> None:
    """Held-out accuracy on a task just after it was learned, and at the end; mean of the tasks."""
    streams = [
        one["name"] for one in result["streams"]
        if any("transfer" in row for row in rows_of(result, one["name"]).values())
    ]  # fmt: skip
    if not streams:
        return
    rules = list(rows_of(result, streams[0]))
    figure = new_figure((4.3 * len(streams) + 0.8, 0.3 * len(rules) + 1.6))
    panels = figure.subplots(1, len(streams), sharey=True, squeeze=False)[0]
    for axes, stream in zip(panels, streams, strict=True):
        rows = rows_of(result, stream)
        values = {
            name: 100 * np.array([_mean(rows[rule]["transfer"], name) for rule in rules])
            for name in ("learned", "accuracy")
        }
        at = range(len(rules))
        axes.hlines(at, values["accuracy"], values["learned"], color=GREY, lw=1.2)
        axes.plot(values["learned"], at, "o", color=BLUE, ms=6, label="just after learning a task")
        axes.plot(values["accuracy"], at, "s", color=ORANGE, ms=5.5, label="after all tasks")
        axes.set_title(title_of(result, stream))
        axes.set_xlabel("held-out accuracy, mean of all tasks (%)")
        axes.set_xlim(0, 102)
        _rules_down(axes, rules)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    _save(figure, path)


def _rules_down(axes: Any, rules: Sequence[str]) -> None:
    axes.set_yticks(range(len(rules)), [shown(rule) for rule in rules])
    axes.set_ylim(len(rules) - 0.5, -0.5)


def _thousands(axis: Any) -> None:
    axis.set_major_formatter(lambda value, _: f"{value / 1000:g}k" if value else "0")


def middle(recovery: Sequence[Sequence[int | None]], stream: str) -> float:
    """The median over drifts and seeds; infinite if more than half never recovered.

    Of a stream that recurs only the returns count: all drifts but the first.
    """
    first = 1 if stream == RECURS else 0
    return median(math.inf if t is None else t for one in recovery for t in one[first:])


def _mean(transfer: Sequence[dict[str, float]], name: str) -> float:
    return float(np.mean([one[name] for one in transfer]))


def _save(figure: Any, path: Path) -> None:
    with replacing(path, ending=path.suffix) as temporary:
        figure.savefig(temporary)
