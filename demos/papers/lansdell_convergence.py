"""Lansdell, Prakash & Kording, ICLR 2020, figure 4: learned feedback against fixed weights.

784-50-20-10 as in figure 2, with W fixed at its initial values (a learning rate of 1e-30): the
feedback B, solved for by ridge regression, gamma 0.1, from noise of size c. The relative error
|W - B| / |W| and the angle of the teaching signal to the true gradient at the end of 1 million
batches, for the matrix from the output to the second hidden layer (top) and for the one below
(lower).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from streaming.papers import Paper, Published, Result, Results, Scale

from .. import learned_feedback
from . import lansdell_mnist

ROWS = {"c-1e-3": 1e-3, "c-1e-2": 1e-2, "c-1e-1": 1e-1}
COLUMNS = {
    "top-distance": ("distance 2", 100.0),
    "top-angle": ("angle 2", 1.0),
    "lower-distance": ("distance 1", 100.0),
    "lower-angle": ("angle 1", 1.0),
}
PUBLISHED = {(row, "top-distance"): Published(0.8, None, "figure 4a, text") for row in ROWS}
STILL = 1e-30
# The error at 10⁵, 3·10⁵ and 10⁶ batches: about 4.4 %, 2.7 % and 1.35 %
REMARKS = {row: "The error falls with the square root of the number of batches. The paper does not "
           "give this number; an error of 0.8 % would take about 2.8 times the 1 million batches "
           "of its program." for row in ROWS}  # fmt: skip


def run(row: str, column: str, scale: Scale) -> dict[str, Any]:
    hyper = {**learned_feedback.RIDGE, "c": ROWS[row], "warmup": 0}
    return {"experiment": "learned feedback", "rule": "node_perturbation", "hyper": hyper,
            "lr": STILL, "batches": 1000 * scale.epochs}  # fmt: skip


def value(row: str, column: str, results: Sequence[Result]) -> list[float]:
    name, factor = COLUMNS[column]
    return [factor * result[name][-1] for result in results]


def draw(cells: Results, path: Path) -> None:
    """Relative error of both matrices over batches."""

    from rate_models.drawing.figures import new_figure
    from rate_models.drawing.style import COLOURS, drawing, plain_numbers

    with drawing():
        figure = new_figure((5, 3.4))
        axes = figure.subplots()
        for row, colour in zip(ROWS, COLOURS, strict=False):
            results = cells.get((row, "top-distance"), [])
            for name, line in (("distance 2", "-"), ("distance 1", "--")) if results else ():
                mean = np.array([result[name] for result in results]).mean(0)
                axes.loglog(results[0]["batches"][1:], mean[1:], line, color=colour,
                            label=f"{row}, {'top' if line == '-' else 'lower'}")  # fmt: skip
        axes.set(xlabel="mini-batches of 32", ylabel="|W - B| / |W|")
        plain_numbers(axes.yaxis)
        axes.legend()
        figure.savefig(path)


PAPER = Paper(
    __name__,
    rows=ROWS,
    columns=COLUMNS,
    unit="distance: |W - B| / |W| (%); angle: degrees",
    published=PUBLISHED,
    full=Scale(seeds=5, epochs=1000),  # an epoch: 1,000 batches
    quick=Scale(seeds=1, epochs=3),
    run=run,
    measure=lansdell_mnist.measure,
    value=value,
    draw=draw,
    remarks=REMARKS,
    torch=False,
)
