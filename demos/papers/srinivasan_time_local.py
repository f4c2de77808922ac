"""Srinivasan et al., ICLR 2024, figure S1: time-local PEPITA beside the same with F = 0, CIFAR-10.

3072-1024-10, normal weights, rate 1e-4, weight decay 1e-4, the rate to a tenth at epoch 50; F of
standard deviation 0.5 sqrt(2 / 3072), as the program reads the caption. A public review reads about
40 % off the figure for the time-local form; it says that F = 0 is significantly lower.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from streaming.papers import Context, Paper, Published, Result, Results, Scale

from . import _training

ROWS = {"time-local": 0.5, "f-zero": 0.0}
COLUMNS = {"cifar10": "CIFAR-10"}
PUBLISHED = {
    ("time-local", "cifar10"): Published(40.0, None, "figure S1, about, by a public review"),
}


def run(row: str, column: str, scale: Scale) -> dict[str, Any]:
    hyper = {"form": "time_local", "sign": -1, "init": "he_normal", "feedback_scale": ROWS[row]}
    return _training.run(
        "pepita", column, scale, hyper=hyper, lr=1e-4, weight_decay=1e-4, decay_epochs=[50]
    )


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
