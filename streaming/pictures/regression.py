"""The picture of a regression: R² and RMSE of the stream, and predictions or reconstructions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import EngFormatter
from numpy.typing import NDArray

from rate_models.drawing.style import BLUE, GREY, ORANGE
from streaming.pictures import examples

Array = NDArray[np.float64]

POINTS = 5000
COLUMNS, ROWS, GAP = 5, 2, 1  # of images and their reconstructions; pixels between them
LOWEST = -0.5  # R² below this is off the scale, unless all of it is
NAMES = {"r2": "R²", "rmse": "RMSE, in units of the targets"}


def draw(
    figure: Figure, folder: Path, lines: list[dict[str, Any]], summary: dict[str, Any]
) -> None:
    """Fill the figure from ``lines`` of metrics.jsonl, summary.json and predictions.csv.

    Left: R² and RMSE against samples. Right: predictions against targets, or images and their
    reconstructions by an autoencoder.
    """
    halves: Any = figure.subfigures(1, 2, width_ratios=(1.35, 1), wspace=0.04)
    left, right = halves
    for axes, name in zip(left.subplots(len(NAMES), 1, sharex=True), NAMES, strict=True):
        _curves(axes, name, lines, summary["epochs"])
    axes.set_xlabel("samples learned from")
    if (pairs := examples.read(folder)) is None:
        return
    if summary["image_shape"] and summary["target"] == "input":
        _images(right, *pairs, summary["image_shape"])
    else:
        _predictions(right.subplots(), *pairs, summary)


def title(summary: dict[str, Any]) -> str:
    """The score of the run, for the end of a title."""
    if (r2 := summary.get("test_r2")) is not None:
        return f": R² {r2:.3f} on held-out samples"
    r2 = summary.get("windowed_r2")
    return "" if r2 is None else f": R² {r2:.3f} on the last {_last(summary):,} samples"


def _last(summary: dict[str, Any]) -> int:
    return int(min(1000, summary["samples_seen"]))


def _curves(
    axes: Axes, name: str, lines: list[dict[str, Any]], epochs: list[dict[str, Any]]
) -> None:
    for key, look, label in (
        (f"windowed_{name}", {"color": BLUE}, "last 1,000, before learning each"),
        (name, {"color": GREY, "lw": 1, "ls": "--"}, "all so far, before learning each"),
    ):
        known = [(line["samples"], line[key]) for line in lines if line.get(key) is not None]
        mark = "o" if len(known) == 1 else None  # a line of one point is invisible
        axes.plot(*np.array(known).reshape(-1, 2).T, marker=mark, ms=4, label=label, **look)
    tested = [(e["samples"], v) for e in epochs if (v := e.get(f"test_{name}")) is not None]
    if tested:
        axes.plot(*np.array(tested).T, "o", color=ORANGE, ms=4, label="held out, after each epoch")
    axes.set_ylabel(NAMES[name])
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    if name == "r2":
        seen = [v for line in axes.lines for v in np.asarray(line.get_ydata(), float)]
        if max(seen, default=0.0) > LOWEST:
            axes.set_ylim(bottom=max(LOWEST, min([*seen, 0.0])), top=1)
        axes.legend(loc="lower right")
    else:
        axes.set_ylim(bottom=0)


def _predictions(axes: Axes, true: Array, predicted: Array, summary: dict[str, Any]) -> None:
    """One dot for each number; several outputs in units of their own standard deviation."""
    several = true.shape[1] > 1
    if several:
        mean, spread = true.mean(axis=0), true.std(axis=0)
        spread[spread == 0] = 1.0
        true, predicted = (true - mean) / spread, (predicted - mean) / spread
    some = slice(None, None, -(-true.size // POINTS))
    x, y = true.ravel()[some], predicted.ravel()[some]
    held_out = summary.get("test_rmse") is not None
    label = "held-out samples" if held_out else f"last {len(true):,}, before learning each"
    axes.plot(x, y, "o", color=BLUE, ms=3, mew=0, alpha=0.5, label=label)
    low, high = float(x.min()), float(x.max())
    room = 0.05 * (high - low) or 1.0
    axes.plot([low, high], [low, high], color=ORANGE, lw=1.2, label="predicted = true")
    axes.set_xlim(low - room, high + room)
    # outliers must not compress the rest into a line
    bottom, top = np.quantile(y, [0.005, 0.995])
    axes.set_ylim(min(low, bottom) - room, max(high, top) + room)
    unit = ", in standard deviations of each output" if several else ""
    axes.set_xlabel(f"true{unit}")
    axes.set_ylabel(f"predicted{unit}")
    axes.set_title(f"Predictions of {label}" if held_out else f"Predictions: {label}")
    axes.legend(loc="upper left")


def _images(half: SubFigure, true: Array, predicted: Array, shape: list[int]) -> None:
    """Rows of images, each above the row of their reconstructions."""
    half.suptitle("Images and their reconstructions", fontsize=9.5)
    low, high = float(true.min()), float(true.max())
    span = (high - low) or 1.0
    height = shape[-2] + GAP
    for row, panel in enumerate(np.ravel(half.subplots(ROWS, 1))):
        some = slice(row * COLUMNS, (row + 1) * COLUMNS)
        both = [
            np.clip((v[some] - low) / span, 0, 1).reshape(-1, *shape) for v in (true, predicted)
        ]
        panel.set_axis_off()
        if len(both[0]):
            panel.imshow(np.vstack([_strip(v) for v in both]), cmap="gray_r", vmin=0, vmax=1)
            panel.set_axis_on()
            panel.grid(False)
            panel.spines[:].set_visible(False)
            panel.set_xticks([])
            panel.set_yticks(
                [height / 2, 1.5 * height], ["input", "output"], rotation=90, va="center"
            )
            panel.tick_params(length=0)


def _strip(images: Array) -> Array:
    """Images (n, rows, columns) or (n, 3, rows, columns), side by side with white in between."""
    colour = images.ndim == 4
    if colour:
        images = images.transpose(0, 2, 3, 1)
    pads = ((0, GAP), (0, GAP), (0, 0))[: images.ndim - 1]
    white = 1.0 if colour else 0.0  # grey images are drawn as ink on paper
    padded = [np.pad(image, pads, constant_values=white) for image in images]
    missing = [np.full_like(padded[0], white)] * (COLUMNS - len(padded))
    return np.hstack([*padded, *missing])
