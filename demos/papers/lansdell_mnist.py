"""Lansdell, Prakash & Kording, ICLR 2020, figure 2: feedback that learns from noise.

784-50-20-10 on MNIST, sigmoid hidden units, linear output, batches of 32 whose gradients are
summed, rate 4e-4: node perturbation with noise of size c, whose feedback is solved for by ridge
regression after an epoch of noise alone, as in the released programs; feedback alignment;
backpropagation. The published numbers are where those programs end after 2 million batches.
Settings, learning and measurements are those of `learned_feedback`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from streaming.papers import Context, Paper, Published, Result, Results, Scale
from streaming.sources import Options, Source, open_source

from .. import learned_feedback

NOISE = {"np-1e-4": 1e-4, "np-1e-3": 1e-3, "np-1e-2": 1e-2, "np-1e-1": 1e-1}
ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    **{row: ("node_perturbation", {**learned_feedback.RIDGE, "c": c}) for row, c in NOISE.items()},
    "feedback_alignment": ("feedback_alignment", {"init": "he_normal"}),
    "backprop": ("backprop", {"init": "he_normal"}),
}
COLUMNS = {
    "error": "test error (%)",
    "angle-1": "angle to the true gradient, first hidden layer",
    "angle-2": "the same, second hidden layer",
}
NUMBERS = {"np-1e-4": 3.51, "np-1e-3": 3.51, "np-1e-2": 3.64, "np-1e-1": 15.9,
           "feedback_alignment": 4.28, "backprop": 2.65}  # fmt: skip
PUBLISHED = {
    (row, "error"): Published(number, None, "figure 2d, the released programs")
    for row, number in NUMBERS.items()
}
REMARKS = {
    row: "One seed at a constant rate; the errors still fall at the end. The order is that of the "
    "paper: learned feedback is beside backpropagation, fixed feedback above both. In which "
    "settings the runs of the programs differed from the printed ones is not known."
    for row in ROWS
}


def run(row: str, column: str, scale: Scale) -> dict[str, Any] | None:
    rule, hyper = ROWS[row]
    if rule == "backprop" and column != "error":
        return None
    return {"experiment": "learned feedback", "rule": rule, "hyper": hyper,
            "lr": learned_feedback.LR, "batches": 1000 * scale.epochs}  # fmt: skip


def measure(run: dict[str, Any], seeds: Sequence[int], context: Context) -> None:
    for seed in seeds:
        course = []
        with threadpool_limits(1):  # on matrices this small threads only wait for each other
            for point in learned_feedback.learn(
                _mnist(context.data, seed), run["rule"], run["hyper"], run["batches"], seed,
                run["lr"],
            ):  # fmt: skip
                course.append(point)
                context.tick(f"{run['rule']}: seed {seed}, {point['batches']:,} batches")
        context.keep(seed, {name: [point[name] for point in course] for name in course[0]})


@lru_cache(maxsize=1)
def _mnist(options: Options, seed: int) -> Source:
    return open_source("mnist", Options(data=options.data, download=options.download, seed=seed))


def value(row: str, column: str, results: Sequence[Result]) -> list[float]:
    return [result[column.replace("-", " ")][-1] for result in results]


def draw(cells: Results, path: Path) -> None:
    """Test error over batches."""

    from rate_models.drawing.figures import new_figure
    from rate_models.drawing.style import COLOURS, drawing, plain_numbers

    with drawing():
        figure = new_figure((5, 3.4))
        axes = figure.subplots()
        for row, colour in zip(ROWS, COLOURS, strict=False):
            if results := cells.get((row, "error")):
                errors = np.array([result["error"] for result in results]).mean(0)
                axes.loglog(results[0]["batches"][1:], errors[1:], color=colour, label=row)
        axes.set(xlabel="mini-batches of 32", ylabel="test error (%)")
        plain_numbers(axes.yaxis)
        axes.legend()
        figure.savefig(path)


PAPER = Paper(
    __name__,
    rows=ROWS,
    columns=COLUMNS,
    unit="test error (%), angles (degrees)",
    published=PUBLISHED,
    full=Scale(seeds=5, epochs=2000),  # an epoch: 1,000 batches
    quick=Scale(seeds=1, epochs=4),
    run=run,
    measure=measure,
    value=value,
    draw=draw,
    torch=False,
    remarks=REMARKS,
)
