"""Dellaferrera & Kreiman, ICML 2022, table 4: PEPITA on whitened images.

784-1024-10 on MNIST as in table 1 there, and with ZCA-whitened inputs at a tenth of the rate.
Whitening: pixels over 255 less their means, times (S + 0.1)^-1/2 with S the covariance of the
training images. The paper refers to a program that is no longer available, and does not say what
was added to S, nor whether the result was scaled again; ``rescaled`` has the same inputs from 0 to
1, as images that are to be looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from streaming.papers import Context, Paper, Published, Result, Results, Scale

from . import _training

ROWS: dict[str, dict[str, Any]] = {
    "plain": {},
    "whitened": {"whiten": 0.1, "lr": 0.01},
    "rescaled": {"whiten": 0.1, "lr": 0.01, "rescaled": True},
}
COLUMNS = {"mnist": "MNIST"}
PUBLISHED = {
    ("plain", "mnist"): Published(98.01, 0.09, "table 4"),
    ("whitened", "mnist"): Published(92.08, 0.14, "table 4"),
    ("rescaled", "mnist"): Published(92.08, 0.14, "table 4"),
}


def run(row: str, column: str, scale: Scale) -> dict[str, Any]:
    return _training.run("pepita", column, scale, **ROWS[row])


def measure(run: dict[str, Any], seeds: Sequence[int], context: Context) -> None:
    _training.train(run, seeds, context)


def value(row: str, column: str, results: Sequence[Result]) -> list[float]:
    return _training.percent(results)


def draw(cells: Results, path: Path) -> None:
    """Test curves."""
    _training.draw_curves(cells, {row: row for row in ROWS}, COLUMNS, PUBLISHED, path)


PAPER = Paper(
    __name__,
    rows=ROWS,
    columns=COLUMNS,
    unit="test accuracy (%)",
    published=PUBLISHED,
    full=Scale(seeds=10, epochs=100),
    quick=Scale(seeds=2, epochs=2, samples=6000),
    run=run,
    measure=measure,
    value=value,
    draw=draw,
)
