"""Dellaferrera & Kreiman, ICML 2022, figure 5: the contribution of the error at the input.

3072-1024-10 on CIFAR-10 as in table 1 there: PEPITA; F = 0, where the last layer learns alone; and
random projection, where random numbers of size k go through F in place of the error, drawn from
U[-1, 1) as the figure's caption has it. Numbers are in the text of appendix D.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from streaming.papers import Context, Paper, Published, Result, Results, Scale

from . import _training

ROWS: dict[str, dict[str, Any]] = {
    "pepita": {},
    "f-zero": {"feedback_scale": 0.0},
    "random-0.01": {"modulation": "random", "perturbation": 0.01},
    "random-0.1": {"modulation": "random", "perturbation": 0.1},
    "random-1": {"modulation": "random", "perturbation": 1.0},
}
COLUMNS = {"cifar10": "CIFAR-10"}
PUBLISHED = {
    ("pepita", "cifar10"): Published(52.6, None, "figure 5, appendix D"),
    ("f-zero", "cifar10"): Published(44.6, None, "figure 5, appendix D"),
}


def run(row: str, column: str, scale: Scale) -> dict[str, Any]:
    return _training.run("pepita", column, scale, hyper=ROWS[row])


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
