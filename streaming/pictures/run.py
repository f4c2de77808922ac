"""The pictures of a run, drawn only from the files in its folder, during the run or after it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import EngFormatter
from numpy.typing import NDArray

from rate_models.diagnostics import plots
from rate_models.drawing.figures import new_figure
from rate_models.drawing.style import BLUE, GREY, ORANGE, drawing, plain
from streaming.files import checkpoint
from streaming.files.folder import replacing
from streaming.learner.learner import OnlineLearner
from streaming.pictures import regression as regression_pictures

MOST_CLASSES = 20  # with more, a confusion matrix has no room for its labels
UNITS = 10
MOST_DRIFTS = 30  # with more, their lines hide the accuracy
COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
LONGEST = 14  # characters of a class's name that fit


def draw(folder: Path) -> Path:
    """Draw ``learning_curve.png`` of the run in ``folder``; returns its path.

    It has the windowed accuracy (last 1,000 samples) and loss against samples, the held-out
    accuracy after each epoch, the confusion matrix and, for images, the learned weights of some
    hidden units. For a regression see `streaming.pictures.regression`.
    """
    summary = json.loads((folder / "summary.json").read_text())
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    lines = lines or [{**summary, "samples": summary["samples_seen"]}]
    classes = summary["classes"]
    regression = not classes and any(line.get("rmse") is not None for line in lines)
    with drawing():
        figure = new_figure((10 if classes or regression else 6, 4.6))
        figure.suptitle(_title(summary), x=0.01, ha="left", fontsize=11.5, fontweight="bold")
        if regression:
            regression_pictures.draw(figure, folder, lines, summary)
            return _save(figure, folder / "learning_curve.png")
        ratios = (1.35, 1) if classes else (1,)
        halves = figure.subfigures(1, len(ratios), width_ratios=ratios, wspace=0.04, squeeze=False)
        panels = halves[0, 0].subplots(len(ratios), 1, sharex=True, squeeze=False)[:, 0]
        if classes:
            _accuracy(panels[0], lines, summary)
            _right_half(halves[0, 1], summary, _unit_images(folder, summary["image_shape"]))
        _loss(panels[-1], lines, summary["epochs"])
        panels[-1].set_xlabel("samples learned from")
        return _save(figure, folder / "learning_curve.png")


def draw_record(folder: Path) -> Path:
    """Draw ``record.png``: one panel for each diagnostic in ``record.jsonl``; returns its path."""
    summary = json.loads((folder / "summary.json").read_text())
    lines = [json.loads(line) for line in (folder / "record.jsonl").read_text().splitlines()]
    names, samples = list(lines[0]["values"]), [line["samples"] for line in lines]
    columns = 2 if len(names) == 4 else min(len(names), 3)
    rows = -(-len(names) // columns)
    with drawing():
        size = (max(3.6 * columns, 4.6), 2.9 * rows + 0.3)
        figure = new_figure(size)
        figure.suptitle(_title(summary), x=0.01, ha="left", fontsize=11.5, fontweight="bold")
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for panel in panels[len(names) :]:
            panel.set_axis_off()
        for name, panel in zip(names, panels, strict=False):
            plots.recorded(name, samples, [v["values"][name] for v in lines], panel)
            panel.xaxis.set_major_formatter(EngFormatter(sep=""))
        return _save(figure, folder / "record.png")


def _save(figure: Figure, path: Path) -> Path:
    """Write the picture atomically; returns its path."""
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")
    return path


def _title(summary: dict[str, Any]) -> str:
    kind = summary["source"].partition(":")[0]
    title = plain(f"{summary['rule']} on {kind}, {'-'.join(map(str, summary['sizes']))}")
    if summary["test_accuracy"] is not None:
        title += f": {summary['test_accuracy']:.1%} of held-out samples right"
    return title + ("" if summary["classes"] else regression_pictures.title(summary))


def _accuracy(axes: Axes, lines: list[dict[str, Any]], summary: dict[str, Any]) -> None:
    x = [line["samples"] for line in lines]
    axes.plot(
        x,
        [line["windowed_accuracy"] for line in lines],
        color=BLUE,
        **_dot(x),
        label="last 1,000, before learning each",
    )
    axes.plot(
        x,
        [line["progressive_accuracy"] for line in lines],
        color=GREY,
        lw=1,
        ls="--",
        label="all so far, before learning each",
    )
    tested = [e for e in summary["epochs"] if e.get("test_accuracy") is not None]
    if tested:
        axes.plot(
            [e["samples"] for e in tested],
            [e["test_accuracy"] for e in tested],
            "o",
            color=ORANGE,
            ms=4,
            label="held out, after each epoch",
        )
    drifts = _drifts(axes, summary)
    axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.3g}%")
    axes.set_ylabel("accuracy")
    if drifts:  # accuracy falls, so there is no room inside
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    else:
        axes.legend(loc="lower right")


def _drifts(axes: Axes, summary: dict[str, Any]) -> bool:
    """Lines where the stream is known to drift, and marks where a detector reported a drift.

    Whether there were any.
    """
    for i, at in enumerate((summary.get("known_drifts") or ())[:MOST_DRIFTS]):
        axes.axvline(at, color="black", lw=0.8, ls=":", label=None if i else "known drift")
    if detected := summary.get("detected_drifts"):
        level = axes.get_xaxis_transform()  # y is a fraction of the height
        axes.plot(detected, [0.04] * len(detected), "^", color=ORANGE, ms=6, clip_on=False,
                  transform=level, label="drift detected")  # fmt: skip
    return bool(summary.get("known_drifts") or detected)


def _dot(x: list[int]) -> dict[str, Any]:
    """A marker for a line of one point, which would be invisible."""
    return {"marker": "o", "ms": 4} if len(x) == 1 else {}


def _loss(axes: Axes, lines: list[dict[str, Any]], epochs: list[dict[str, Any]]) -> None:
    known = [line for line in lines if line["windowed_loss"] is not None]
    x, losses = [line["samples"] for line in known], [line["windowed_loss"] for line in known]
    axes.plot(x, losses, color=BLUE, **_dot(x))
    tested = [e for e in epochs if e.get("test_loss") is not None]
    axes.plot(
        [e["samples"] for e in tested], [e["test_loss"] for e in tested], "o", color=ORANGE, ms=4
    )
    axes.set_ylabel("loss per sample")
    axes.set_ylim(0, axes.dataLim.y1 * 1.05 if axes.dataLim.y1 > 0 else None)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))


def _right_half(
    half: SubFigure, summary: dict[str, Any], images: list[NDArray[np.float64]]
) -> None:
    ratios = (2.6, 1) if images else (1,)
    parts = half.subfigures(len(ratios), 1, height_ratios=ratios, hspace=0.02, squeeze=False)
    _confusion(parts[0, 0].subplots(), summary)
    if images:
        kind = "hidden" if len(summary["sizes"]) > 2 else "output"
        units = f"{COUNTS[len(images)]} {kind} unit{'s' if len(images) > 1 else ''}"
        parts[1, 0].suptitle(f"Changed most: input weights of {units}", fontsize=9.5)
        axes = parts[1, 0].subplots(2, UNITS // 2).ravel()
        for panel in axes:
            panel.set_axis_off()  # also if there are fewer units than panels
        for panel, image in zip(axes, images, strict=False):
            _image(panel, image)


def _confusion(axes: Axes, summary: dict[str, Any]) -> None:
    held_out = summary["test_confusion"]
    counts = np.array(held_out or summary["confusion"], float)
    part = summary.get("test_confusion_classes" if held_out else "confusion_classes")
    labels = part or summary.get("class_names") or summary["classes"]
    names = [plain(label, LONGEST) for label in labels]
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    n = len(counts)
    if n <= MOST_CLASSES:
        long = max(map(len, names)) > 3
        axes.set_xticks(range(n), names, rotation=90 if long else 0)
        axes.set_yticks(range(n), names)
        axes.tick_params(labelsize=7.5 if long or n > 10 else None)
        axes.tick_params(length=0)
        for i, j in np.argwhere(counts > 0) if n <= 10 else ():
            axes.text(
                j,
                i,
                f"{counts[i, j]:.0f}",
                ha="center",
                va="center",
                fontsize=7 if counts.max() < 100 else 5.5,
                color="white" if share[i, j] > 0.5 else "#333333",
            )
    axes.set_xlabel("predicted")
    axes.set_ylabel("true class")
    title = "Held-out samples" if held_out else "All samples, before learning each"
    axes.set_title(f"{title}: the {n} largest classes" if part else title)


def _image(axes: Axes, image: NDArray[np.float64]) -> None:
    most = float(np.abs(image).max()) or 1.0
    if image.ndim == 2:
        axes.imshow(image, cmap="RdBu_r", vmin=-most, vmax=most)
    else:
        axes.imshow(0.5 + 0.5 * image / most)


def _unit_images(folder: Path, shape: list[int] | None) -> list[NDArray[np.float64]]:
    """The change of the first layer's weights as images, for the units that changed most.

    shape: (rows, columns) or (channels, rows, columns); None if the input is no image.
    """
    if shape is None:
        return []
    path = folder / "checkpoint"
    learned = OnlineLearner.load(path).parameters()["W"][0]
    start = OnlineLearner(**checkpoint.read(path)[1]["learner"]).parameters()["W"][0]
    change = np.asarray(learned, float) - start
    largest = np.argsort(-np.linalg.norm(change, axis=1), kind="stable")[:UNITS]
    images = change[largest].reshape(-1, *shape)
    return list(images if len(shape) == 2 else images.transpose(0, 2, 3, 1))
