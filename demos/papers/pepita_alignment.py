"""Dellaferrera & Kreiman, ICML 2022, figures 3 and 9: the angle between forward weights and F.

784-1024-10 on MNIST with PEPITA, s = +1, as in table 1 there: the angle between (W_2 W_1)^T and F,
flattened, before training and after it, and how much the norm of W_1 grows. Figure 9 is the same
for ten times as long. The paper's text gives about 90 degrees before and about 120 after.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from streaming.papers import Context, Paper, Published, Result, Results, Scale

from . import _training

ROWS = {"angle-before": "before training", "angle-after": "after training", "norm-growth": "|W_1|"}
COLUMNS = {"figure-3": 1, "figure-9": 10}  # times as long
PUBLISHED = {
    ("angle-before", "figure-3"): Published(90.0, None, "figure 3b, text: about"),
    ("angle-after", "figure-3"): Published(120.0, None, "figure 3b, text: about"),
}
REMARKS = {
    "angle-after": "The text of the paper has no exact number: the angle saturates at "
    "approximately 120 degrees. Ours passes 120 degrees in the first ten epochs, and saturates too."
}


def run(row: str, column: str, scale: Scale) -> dict[str, Any]:
    long = scale._replace(epochs=scale.epochs * COLUMNS[column])
    return _training.run("pepita", "mnist", long)


def measure(run: dict[str, Any], seeds: Sequence[int], context: Context) -> None:
    _training.train(run, seeds, context)


def value(row: str, column: str, results: Sequence[Result]) -> list[float]:
    if row == "norm-growth":
        return [r["norms"][-1][0] / r["norms"][0][0] for r in results]
    return [r["angles"]["F"][-1 if row == "angle-after" else 0] for r in results]


def draw(cells: Results, path: Path) -> None:
    """Accuracy, angle and norm over epochs: the three panels of figure 3."""

    from rate_models.drawing.figures import new_figure
    from rate_models.drawing.style import COLOURS, drawing

    with drawing():
        figure = new_figure((9.2, 3))
        panels = figure.subplots(1, 3)
        for colour, column in zip(COLOURS, COLUMNS, strict=False):
            results = cells.get(("angle-after", column), [])
            if not results:
                continue
            for axes, curves in zip(panels, _curves(results), strict=True):
                at = np.arange(curves.shape[1]) + (axes is panels[0])
                _training.band(axes, at, curves, colour, column)
        for axes, label in zip(panels, ("test accuracy (%)", "angle (degrees)", "|W_1|"),
                               strict=True):  # fmt: skip
            axes.set(xlabel="epoch", ylabel=label)
        panels[1].axhline(90, color="0.5", lw=0.8, ls="--")
        panels[2].legend()
        figure.savefig(path)


def _curves(results: Sequence[Result]) -> list[Any]:
    """(seeds, points) of accuracy, angle and norm."""
    return [
        100 * np.array([r["accuracy"] for r in results]),
        np.array([r["angles"]["F"] for r in results]),
        np.array([[norms[0] for norms in r["norms"]] for r in results]),
    ]


PAPER = Paper(
    __name__,
    rows=ROWS,
    columns=COLUMNS,
    unit="degrees; norm-growth: |W_1| after over before",
    published=PUBLISHED,
    full=Scale(seeds=5, epochs=100),
    quick=Scale(seeds=2, epochs=2, samples=6000),
    run=run,
    measure=measure,
    value=value,
    draw=draw,
    remarks=REMARKS,
)
