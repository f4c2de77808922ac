"""Golkar et al., NeurIPS workshop 2020, figure 3: linear BMVR on its way to the optimum.

One sample at a time with the rates of table 2, 100,000 samples of the 10,000 test images in one
order, a ridge of 0.1 as in the released program: the objective (1), the squared error without the
ridge's part, at the end and at the solution of reduced-rank regression with the ridge, and how far
the constraint <z z^T> = I is from held. Published are the lines of the
optimum, read off the figure, and for Fashion-MNIST what the program ends at. CIFAR-10 and CIFAR-100
take 10 million samples each, from data that are not as published.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from streaming.papers import Context, Published, Result, Results, Scale
from streaming.sources import Options

from .. import bmvr_mnist

ROWS = {
    "objective": "objective at the end",
    "optimum": "of reduced-rank regression",
    "constraint": "distance of <z z^T> from I",
}
COLUMNS: dict[str, bmvr_mnist.Linear | None] = {
    "mnist": bmvr_mnist.Linear(),
    "fashion_mnist": bmvr_mnist.Linear(2, (0.013, 0.013, 0.005), 1e3),
    "cifar10": None,
    "cifar100": None,
}
UNIT = "objective (1 for no prediction, about)"
FULL = Scale(seeds=5, epochs=10)  # an epoch: 10,000 samples
QUICK = Scale(seeds=2, epochs=1)
TORCH = False
PUBLISHED = {
    ("optimum", "mnist"): Published(0.815, None, "figure 3, read off"),
    ("optimum", "fashion_mnist"): Published(0.720, None, "figure 3, read off"),
    ("optimum", "cifar10"): Published(0.773, None, "figure 3, read off"),
    ("optimum", "cifar100"): Published(0.966, None, "figure 3, read off"),
    ("objective", "fashion_mnist"): Published(0.7216, None, "the released program"),
}


def run(row: str, column: str, scale: Scale) -> dict[str, Any] | str:
    of = COLUMNS[column]
    if of is None:
        return "not run yet"
    return {
        "experiment": "linear bmvr",
        "data": column,
        "k": of.k,
        "rates": list(of.rates),
        "decay_time": of.decay_time,
        "ridge": bmvr_mnist.RIDGE,
        "objective": "without the ridge",
        "samples": 10_000 * scale.epochs,
    }


def measure(run: dict[str, Any], seeds: Sequence[int], context: Context) -> None:
    data = _data(context.data, run["data"])
    best = optimum(data.X, data.Y, run["k"], run["ridge"])
    of = bmvr_mnist.Linear(run["k"], tuple(run["rates"]), run["decay_time"])
    for seed in seeds:
        context.tick(f"{run['data']}: seed {seed}")
        curve = list(bmvr_mnist.linear(data, run["samples"], of, seed))
        samples, _, constraint, objective = zip(*curve, strict=True)
        context.keep(seed, {"samples": samples, "objective": objective,
                            "constraint": constraint, "optimum": best})  # fmt: skip


def optimum(X: Any, Y: Any, k: int, ridge: float) -> float:
    """(1/T) Σ ‖y - Wx‖² of the W of rank k that has the least of it with ridge ‖W‖² added.

    >>> X, Y = np.eye(3), np.diag([3.0, 2.0, 1.0])
    >>> round(optimum(X, Y, 2, 0.0), 12)
    0.333333333333
    """
    X, Y = np.asarray(X, float), np.asarray(Y, float)
    values, vectors = np.linalg.eigh(X.T @ X / len(X) + ridge * np.eye(X.shape[1]))
    root = (vectors / np.sqrt(values)) @ vectors.T
    u, s, vt = np.linalg.svd(Y.T @ X / len(X) @ root, full_matrices=False)
    W = (u[:, :k] * s[:k]) @ vt[:k] @ root
    return float(((Y - X @ W.T) ** 2).sum(1).mean())


@lru_cache(maxsize=1)
def _data(options: Options, name: str) -> bmvr_mnist.Data:
    return bmvr_mnist.prepared(options, name)


def value(row: str, column: str, results: Sequence[Result]) -> list[float]:
    if row == "optimum":
        return [result["optimum"] for result in results]
    return [result[row][-1] for result in results]


def draw(found: Results, path: Path) -> None:
    """Objective and constraint over samples, a column per data set."""
    import matplotlib
    from matplotlib.figure import Figure

    from rate_models.style import BLUE, GREY, ORANGE, STYLE

    shown = [column for column in COLUMNS if ("objective", column) in found]
    with matplotlib.rc_context(STYLE):
        figure = Figure((3.6 * len(shown), 5), dpi=140, layout="constrained")
        panels = figure.subplots(2, len(shown), squeeze=False)
        for (upper, lower), column in zip(panels.T, shown, strict=True):
            for result in found["objective", column]:
                at = np.array(result["samples"])
                upper.semilogx(at, result["objective"], color=BLUE, lw=1)
                lower.loglog(at, result["constraint"], color=ORANGE, lw=1)
            upper.axhline(result["optimum"], color=GREY, lw=1, ls="--")
            upper.set(title=f"{column}, optimum dashed", ylabel="objective")
            lower.set(xlabel="samples learned from", ylabel="constraint error")
        figure.savefig(path)
