"""Dellaferrera & Kreiman, ICML 2022, table 3 and figure 8: how many epochs to half the plateau.

The slowness s of accuracy(epoch) = A epoch / (s + epoch), fitted to the test curve of table 1's
runs averaged over the runs: chance stands before it at epoch 0, its first 60 points count, A is
their largest. The standard deviation is that of s fitted to each run alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rate_models.diagnostics.fits import Plateau, slowness
from streaming.papers import Paper, Published, Result, Results

from . import pepita_table1

ROWS, COLUMNS = pepita_table1.ROWS, pepita_table1.DENSE
NUMBERS = {
    "backprop": (0.026, 0.659, 1.338),
    "feedback_alignment": (0.068, 1.048, 4.243),
    "drtp": (0.063, 0.336, 4.05),
    "pepita": (0.049, 0.785, 2.552),
}
PUBLISHED = {
    (row, column): Published(number, None, "table 3")
    for row, numbers in NUMBERS.items()
    for column, number in zip(COLUMNS, numbers, strict=True)
}
REMARKS = {
    ("drtp", "cifar10"): "This is the test curve of DRTP on CIFAR-10 in pepita-table1, which "
    "differs too, for the reasons given there. The released program starts faster, as the paper's "
    "curve does.",
    ("drtp", "cifar100"): "This is the test curve of DRTP on CIFAR-100 in pepita-table1, which "
    "differs too, for the reasons given there.",
}
CHANCE = {"mnist": 0.1, "cifar10": 0.1, "cifar100": 0.01}


def value(row: str, column: str, results: Sequence[Result]) -> list[float]:
    return [_law(column, [result]).s for result in results]


def mean(row: str, column: str, results: Sequence[Result]) -> float:
    """Of the averaged curve."""
    return _law(column, results).s


def draw(cells: Results, path: Path) -> None:
    """Averaged curves and their laws, a panel per data set: figure 8."""

    from rate_models.diagnostics.plots import plateau
    from rate_models.drawing.figures import new_figure
    from rate_models.drawing.style import drawing

    shown = [column for column in COLUMNS if any(c == column for _, c in cells)]
    with drawing():
        figure = new_figure((3.8 * len(shown), 3.2))
        for axes, column in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown,
                                strict=True):  # fmt: skip
            laws = {ROWS[r]: _law(c, results) for (r, c), results in cells.items() if c == column}
            plateau(laws, axes)
            axes.set_title(COLUMNS[column])
        figure.savefig(path)


def _law(column: str, results: Sequence[Result]) -> Plateau:
    curve = np.mean([result["accuracy"] for result in results], axis=0)
    return slowness(curve, CHANCE[column])


PAPER = Paper(
    __name__,
    rows=ROWS,
    columns=COLUMNS,
    unit="slowness (epochs)",
    published=PUBLISHED,
    full=pepita_table1.PAPER.full,
    quick=pepita_table1.PAPER.quick,
    run=pepita_table1.run,
    measure=pepita_table1.measure,
    value=value,
    mean=mean,
    draw=draw,
    remarks=REMARKS,
)
