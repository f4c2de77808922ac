"""Srinivasan et al., ICLR 2024, figure 2a: PEPITA beside adaptive feedback alignment on MNIST.

784-1024-10, ReLU, without momentum: PEPITA and its first-order approximation in F should have about
the same test curve. The paper has the figure only, without a rate: 0.1 here, and s = -1, dropout
and the decay of the rate as in table 1 of the 2022 paper.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from streaming.papers import Cell, Context, Paper, Published, Result, Results, Scale

from . import _training

ROWS = {"pepita": "PEPITA", "adaptive_feedback_alignment": "AFA"}
COLUMNS = {"mnist": "MNIST"}
PUBLISHED: dict[Cell, Published] = {}


def run(row: str, column: str, scale: Scale) -> dict[str, Any]:
    return _training.run(row, column, scale, momentum=0.0, hyper={"sign": -1})


def measure(run: dict[str, Any], seeds: Sequence[int], context: Context) -> None:
    _training.train(run, seeds, context)


def value(row: str, column: str, results: Sequence[Result]) -> list[float]:
    return _training.percent(results)


def draw(cells: Results, path: Path) -> None:
    """Test curves: the figure's panel a."""
    _training.draw_curves(cells, ROWS, COLUMNS, PUBLISHED, path)


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
