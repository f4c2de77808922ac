"""Gantt charts of plans."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter

from rate_models.drawing.figures import new_figure
from rate_models.drawing.style import BLUE, COLOURS, ORANGE, drawing
from streaming.files.folder import disk
from streaming.schedule.plan import Plan

KINDS = {"S": (BLUE, "standard pass"), "E": (COLOURS[2], "error"),
         "M": (ORANGE, "teaching signal and update")}  # fmt: skip
MOST_LABELS = 150
MOST_ROWS = 40  # workers whose rows can be told apart


def gantt(axes: Axes, plan: Plan, until: float | None = None) -> int:
    """Draw a row per worker and a bar per item. Shades distinguish samples, numbers are layers.

    until: time at which the picture ends, default the makespan. Returns how many numbers were
    drawn: there are none in short bars, or if there are too many bars.
    """
    end = plan.makespan if until is None else min(until, plan.makespan)
    shown = np.flatnonzero((plan.start < end) & (plan.times > 0))
    colours = []
    for i in shown:
        task, t = plan.items[i]
        paler = 1 - 0.2 * (t % 3)
        colours.append([1 - (1 - c) * paler for c in to_rgb(KINDS[task.kind][0])])
    left, right, row = plan.start[shown], plan.finish[shown], plan.worker[shown]
    corners = [(left, row - 0.4), (right, row - 0.4), (right, row + 0.4), (left, row + 0.4)]
    outline = "white" if plan.workers <= MOST_ROWS else colours
    bars = np.array(corners).transpose(2, 0, 1)
    axes.add_collection(
        PolyCollection(list(bars), facecolors=colours, edgecolors=outline, linewidths=0.6)
    )
    axes.set_xlim(0, end)
    axes.set_ylim(plan.workers - 0.4, -0.6)
    if plan.workers <= MOST_ROWS:
        axes.set_yticks(range(plan.workers), [str(w + 1) for w in range(plan.workers)])
    axes.set_ylabel("worker")
    axes.grid(axis="y", visible=False)
    wide = [i for i in shown if plan.times[i] > 0.013 * end and plan.items[i].task.layer]
    wide = wide if len(wide) <= MOST_LABELS and plan.workers <= MOST_ROWS else []
    for i in wide:
        middle = plan.start[i] + plan.times[i] / 2
        layer = str(plan.items[i].task.layer)
        axes.text(middle, plan.worker[i], layer, ha="center", va="center", color="white",
                  fontsize=8, clip_on=True)  # fmt: skip
    return len(wide)


def key(plan: Plan) -> list[Patch]:
    """Legend entries of `gantt`, for the kinds of items that take time."""
    kinds = {item.task.kind for item, time in zip(plan.items, plan.times, strict=True) if time}
    return [Patch(color=colour, label=name) for k, (colour, name) in KINDS.items() if k in kinds]


def draw(plan: Plan, path: Path, title: str, unit: str, ran: Plan | None = None) -> Path:
    """Draw the first few samples of a plan into a picture file; returns its path.

    ran: the same items as they ran, drawn below the plan on the same time axis.
    """
    panels = [plan] if ran is None else [plan, ran]
    with drawing():
        height = 1.1 + (0.4 + 0.36 * min(plan.workers, 12)) * len(panels)
        figure = new_figure((9, height))
        several = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        end = max(_first_samples(panel) for panel in panels)
        numbers = [gantt(axes, panel, end) for axes, panel in zip(several, panels, strict=True)]
        several[0].set_title(title, fontweight="bold")
        several[-1].set_xlabel(
            f"{unit}; shades are samples{', numbers layers' if any(numbers) else ''}"
        )
        several[-1].xaxis.set_major_formatter(EngFormatter(sep=""))
        if ran is not None:
            for axes, name in zip(several, ("planned", "measured"), strict=True):
                axes.set_ylabel(f"{name}: worker")
            several[0].set_xlim(0, end)
        figure.legend(handles=key(plan), loc="outside lower center", ncols=3)
        with disk(path):
            figure.savefig(path)
    return path


def _first_samples(plan: Plan) -> float:
    """The time at which the last of the first few samples is finished."""
    _, end = plan.of_sample
    return float(end[: max(4, plan.schedule.batch + 2)].max())
