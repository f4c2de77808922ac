"""Dellaferrera & Kreiman, ICML 2022, figures 6 and 10: how trained weights are distributed.

784-1024-10 on MNIST with backpropagation and PEPITA, with and without dropout, from normal weights:
a Normal and a Student t distribution fitted to all weights of a layer by maximum likelihood. Their
t has few degrees of freedom, and is clearly the better law, for PEPITA's output layer; that of
backpropagation is Normal. The paper has figures only, no numbers.
Deviation: with normal weights F is a product of normal matrices here, of the same standard
deviation as the paper's uniform F.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rate_models.diagnostics.fits import distribution_fits
from streaming.papers import Context, Paper, Result, Results, Scale

from . import _training

ROWS = {"backprop": 0.1, "backprop-no-dropout": 0.0, "pepita": 0.1, "pepita-no-dropout": 0.0}
COLUMNS = {
    "first-t-gain": ("first", "gain"),
    "first-std": ("first", "std"),
    "last-t-gain": ("last", "gain"),
    "last-df": ("last", "df"),
    "last-std": ("last", "std"),
}
FITTED = 20_000  # entries at most, evenly spaced
BINS = 80


def run(row: str, column: str, scale: Scale) -> dict[str, Any]:
    hyper = {"dropout": ROWS[row], "init": "he_normal"}
    return _training.run(
        row.partition("-")[0], "mnist", scale, hyper=hyper, fits_to=FITTED, bins=BINS
    )


def measure(run: dict[str, Any], seeds: Sequence[int], context: Context) -> None:
    _training.train(run, seeds, context, look=_laws)


def _laws(net: Any, X_test: Any, y_test: Any) -> Result:
    W = net.numpy()["W"]
    return {"fits": {"first": law(W[0]), "last": law(W[-1])}}


def law(W: Any) -> Result:
    """Mean ln likelihood of an entry of W under a Normal and a Student t, and what they are."""
    w = np.asarray(W, float).ravel()
    some = w[:: -(-w.size // FITTED)]
    fits = distribution_fits(some)
    each = {name: fit.log_likelihood / some.size for name, fit in fits.items()}
    count, edges = np.histogram(w, BINS, density=True)
    return {
        "std": float(w.std()),
        "df": fits["t"].parameters["df"],
        **each,
        "parameters": {name: fit.parameters for name, fit in fits.items()},
        "histogram": [count.round(6).tolist(), edges.round(6).tolist()],
    }


def value(row: str, column: str, results: Sequence[Result]) -> list[float]:
    layer, what = COLUMNS[column]
    laws = [result["fits"][layer] for result in results]
    return [law["t"] - law["normal"] if what == "gain" else law[what] for law in laws]


def draw(cells: Results, path: Path) -> None:
    """The output layer of the first seed with both laws, a panel per network: figure 10."""
    from scipy import stats

    from rate_models.drawing.figures import new_figure
    from rate_models.drawing.style import BLUE, ORANGE, drawing

    shown = [row for row in ROWS if (row, "last-df") in cells]
    with drawing():
        figure = new_figure((2.7 * len(shown), 2.8))
        panels = figure.subplots(1, len(shown), squeeze=False)[0]
        for axes, row in zip(panels, shown, strict=True):
            last = cells[row, "last-df"][0]["fits"]["last"]
            count, edges = last["histogram"]
            axes.stairs(count, edges, fill=True, color="0.8")
            at = np.linspace(edges[0], edges[-1], 400)
            for name, of, colour in (("normal", stats.norm, BLUE), ("t", stats.t, ORANGE)):
                label = {"normal": "Normal", "t": "Student t"}[name]
                axes.plot(at, of.pdf(at, *last["parameters"][name].values()), color=colour,
                          lw=1.2, label=label)  # fmt: skip
            axes.set(yscale="log", title=row, xlabel="weight")
            axes.set_ylim(bottom=min(c for c in count if c > 0) / 2)
        panels[0].set_ylabel("density")
        panels[0].legend(loc="lower center")
        figure.savefig(path)


PAPER = Paper(
    __name__,
    rows=ROWS,
    columns=COLUMNS,
    unit="t-gain: mean ln likelihood of t less that of Normal; df: degrees of freedom; "
    "std of weights",
    published={},
    full=Scale(seeds=10, epochs=100),
    quick=Scale(seeds=2, epochs=2, samples=6000),
    run=run,
    measure=measure,
    value=value,
    draw=draw,
)
