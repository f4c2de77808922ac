"""Dellaferrera & Kreiman, ICML 2022, figure 4: t-SNE of the hidden layer before and after training.

784-1024-10 on MNIST with PEPITA as in table 1 there; h_1 of 5,000 test images without dropout in
the plane, perplexity 30, from the first two principal components: the paper does not give its
settings. The number is the share of images whose nearest neighbour on the map is of their class.
The paper has the figure only.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rate_models.diagnostics.fits import embedding
from streaming.papers import Context, Paper, Result, Results, Scale

from . import _training

ROWS = {"before": "initialization", "after": "trained"}
COLUMNS = {"mnist": "MNIST"}
IMAGES, FEW, PERPLEXITY = 5000, 1000, 30.0


def run(row: str, column: str, scale: Scale) -> dict[str, Any]:
    images = IMAGES if scale.samples is None else FEW
    return _training.run("pepita", column, scale, tsne_of=images, perplexity=PERPLEXITY)


def measure(run: dict[str, Any], seeds: Sequence[int], context: Context) -> None:
    _training.train(run, seeds, context, look=partial(_maps, run["tsne_of"]))


def _maps(images: int, net: Any, X_test: Any, y_test: Any) -> Result:
    from rate_models.batch import BatchNetwork

    start = BatchNetwork(net.spec, net.rule, net.seed, device=net.device, **net.hyper._asdict())
    X, y = X_test[:images], y_test[:images]
    positions = {
        row: embedding(_training.hidden(each, X), min(PERPLEXITY, len(X) / 4)).round(2).tolist()
        for row, each in zip(ROWS, (start, net), strict=True)
    }
    return {"labels": y.tolist(), "places": positions}


def value(row: str, column: str, results: Sequence[Result]) -> list[float]:
    return [100 * neighbours(r["places"][row], r["labels"]) for r in results]


def neighbours(positions: Any, labels: Any) -> float:
    """The share of points (N, 2) whose nearest other point has their label.

    >>> neighbours([[0, 0], [0, 1], [5, 0], [5, 1]], [1, 1, 2, 3])
    0.5
    """
    from scipy.spatial import cKDTree

    _, nearest = cKDTree(np.asarray(positions)).query(np.asarray(positions), k=2)
    labels = np.asarray(labels)
    return float((labels[nearest[:, 1]] == labels).mean())


def draw(cells: Results, path: Path) -> None:
    """The two maps of the first seed."""

    from rate_models.diagnostics.plots import map_of
    from rate_models.drawing.figures import new_figure
    from rate_models.drawing.style import drawing

    result = next(iter(cells.values()))[0]
    with drawing():
        figure = new_figure((8, 3.6))
        for axes, (row, title) in zip(figure.subplots(1, 2), ROWS.items(), strict=True):
            map_of(result["places"][row], result["labels"], axes)
            axes.set_title(title)
            if row == "before":
                axes.get_legend().remove()
        figure.savefig(path)


PAPER = Paper(
    __name__,
    rows=ROWS,
    columns=COLUMNS,
    unit="nearest neighbours of the same class (%)",
    published={},
    full=Scale(seeds=1, epochs=100),
    quick=Scale(seeds=1, epochs=2, samples=6000),
    run=run,
    measure=measure,
    value=value,
    draw=draw,
)
