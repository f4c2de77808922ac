"""Srinivasan et al., ICLR 2024, figure S2: the goodness of clean and modulated activity.

A network with two hidden layers of 1024 units learns CIFAR-10 with PEPITA and weight decay 1e-4;
over the test set, |h_1|^2 - |p_1|^2 of the first hidden layer in the standard and the modulated
pass. As the error falls so does the difference: its standard deviation is smaller in the middle
and at the end of training than before it. The paper has histograms only.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rate_models.network import one_hot
from streaming.papers import Context, Paper, Result, Results, Scale

from . import _training

ROWS = {"before": 0.0, "middle": 0.5, "end": 1.0}  # share of training
COLUMNS = {"mean": "mean", "std": "standard deviation"}
BINS = 80


def run(row: str, column: str, scale: Scale) -> dict[str, Any]:
    return _training.run(
        "pepita", "cifar10", scale, hidden=[1024, 1024], weight_decay=1e-4, hyper={"sign": -1},
        watched="goodness",
    )  # fmt: skip


def measure(run: dict[str, Any], seeds: Sequence[int], context: Context) -> None:
    _training.train(run, seeds, context, watch=_difference)


def _difference(net: Any, X: Any, y: Any) -> Result:
    targets = one_hot(y, net.spec.sizes[-1], np.float32)
    h, p = _training.hidden(net, X), _training.hidden(net, X, targets)
    gap = (np.float64(h) ** 2).sum(1) - (np.float64(p) ** 2).sum(1)
    count, edges = np.histogram(gap, BINS)
    return {"mean": float(gap.mean()), "std": float(gap.std()),
            "histogram": [count.tolist(), edges.round(6).tolist()]}  # fmt: skip


def value(row: str, column: str, results: Sequence[Result]) -> list[float]:
    return [result[column][_place(row, result)] for result in results]


def _place(row: str, result: Result) -> int:
    return round(ROWS[row] * (len(result["std"]) - 1))


def draw(cells: Results, path: Path) -> None:
    """The histograms of the first seed: figure S2."""

    from rate_models.drawing.figures import new_figure
    from rate_models.drawing.style import BLUE, drawing

    result = next(iter(cells.values()))[0]
    with drawing():
        figure = new_figure((9, 2.8))
        for axes, row in zip(figure.subplots(1, 3), ROWS, strict=True):
            count, edges = result["histogram"][_place(row, result)]
            axes.stairs(count, edges, fill=True, color=BLUE)
            axes.set(title=f"{row} (epoch {_place(row, result)})", xlabel="|h_1|² - |p_1|²")
        figure.savefig(path)


PAPER = Paper(
    __name__,
    rows=ROWS,
    columns=COLUMNS,
    unit="|h_1|^2 - |p_1|^2 over the test set",
    published={},
    full=Scale(seeds=10, epochs=100),
    quick=Scale(seeds=1, epochs=4, samples=6000),
    run=run,
    measure=measure,
    value=value,
    draw=draw,
)
