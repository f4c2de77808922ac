"""Srinivasan et al., ICLR 2024, figure 3 and table 2: PEPITA in deeper networks on CIFAR-10.

One to three hidden layers of 1024 units, s = -1, rate 0.01, momentum 0.9, batches of 64: weights
and F uniform or normal; the Hebbian form; weight decay 1e-4; weight mirroring, before training (two
epochs of a hundred) and also in one batch of ten during it. The columns of angles are those between
F and (W_L ... W_1)^T at the end. The paper's numbers could not be obtained; a public review says
that the Hebbian form stays above 50 % at all three depths; here it does with one and two layers,
and diverges with three. With mirroring during training F comes within 20 degrees of the product of
the weights, and two and three layers reach 52 %; at this rate both then fall to chance, around
epochs 55 and 45.
Deviations: mirroring is spread over all epochs, where the paper's program has whole epochs of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from streaming.papers import Cell, Context, Paper, Published, Result, Results, Scale

from . import _training

NORMAL = {"init": "he_normal"}
ROWS: dict[str, dict[str, Any]] = {
    "uniform": {},
    "normal": NORMAL,
    "hebbian": {**NORMAL, "form": "hebbian"},
    "normal-decay": NORMAL,
    "pre-mirroring": NORMAL,
    "mirroring": NORMAL,
}
COLUMNS = {
    f"{depth}-{what}": (depth, what) for depth in (1, 2, 3) for what in ("accuracy", "angle")
}
TRAINING_SET, BEFORE, EVERY = 50_000, 0.02, 10  # samples; share of training; batches
PUBLISHED: dict[Cell, Published] = {}


def run(row: str, column: str, scale: Scale) -> dict[str, Any]:
    hyper: dict[str, Any] = {"sign": -1, **ROWS[row]}
    if row.endswith("mirroring"):
        length = scale.epochs * (scale.samples or TRAINING_SET)
        hyper["mirror_before"] = round(BEFORE * length)
        hyper["mirror_every"] = 64 * EVERY if row == "mirroring" else 0
    decay = 1e-4 if row.endswith("decay") or row.endswith("mirroring") else 0.0
    hidden = [1024] * COLUMNS[column][0]
    return _training.run("pepita", "cifar10", scale, hidden=hidden, weight_decay=decay, hyper=hyper)


def measure(run: dict[str, Any], seeds: Sequence[int], context: Context) -> None:
    _training.train(run, seeds, context)


def value(row: str, column: str, results: Sequence[Result]) -> list[float]:
    if COLUMNS[column][1] == "accuracy":
        return _training.percent(results)
    return [result["angles"]["F"][-1] for result in results]


def draw(cells: Results, path: Path) -> None:
    """Test curves, a panel per depth."""
    columns = {name: f"{depth} hidden" for name, (depth, what) in COLUMNS.items()
               if what == "accuracy"}  # fmt: skip
    _training.draw_curves(cells, {row: row for row in ROWS}, columns, PUBLISHED, path)


PAPER = Paper(
    __name__,
    rows=ROWS,
    columns=COLUMNS,
    unit="test accuracy (%), or angle (degrees)",
    published=PUBLISHED,
    full=Scale(seeds=10, epochs=100),
    quick=Scale(seeds=1, epochs=2, samples=3000),
    run=run,
    measure=measure,
    value=value,
    draw=draw,
)
