"""Images that the page updates: confusion, activity of a layer, input, workers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from bokeh.models import (
    BasicTicker,
    ColorBar,
    ColumnDataSource,
    FactorRange,
    LinearColorMapper,
    NumeralTickFormatter,
)
from bokeh.palettes import Blues256, Cividis256, Greys256
from bokeh.plotting import figure
from numpy.typing import NDArray

from rate_models.drawing.style import BLUE
from streaming.live_page.ring import Frame

Array = NDArray[np.float64]
PANELS = 3  # compartments of a layer that are shown beside each other
SIDE = 230  # pixels of a picture
BESIDE = 34  # pixels for the numbers beside a scale


class Confusion:
    """The share of each predicted class among the samples of a true class."""

    def __init__(self) -> None:
        self._labels: tuple[str, ...] = ()
        self._shown: Array | None = None
        self._source = ColumnDataSource({"true": [], "predicted": [], "share": []})
        self.figure = figure(
            x_range=FactorRange(), y_range=FactorRange(), x_axis_label="predicted",
            y_axis_label="true class", **_size("predicted share of each true class", 340, 320),
        )  # fmt: skip
        self._mapper = LinearColorMapper(palette=Blues256[::-1], low=0, high=1)
        self.figure.rect("predicted", "true", 1, 1, source=self._source, line_color="#f0f0f0",
                         fill_color={"field": "share", "transform": self._mapper})  # fmt: skip
        self.figure.add_layout(_bar(self._mapper), "right")
        self.figure.min_border_right = BESIDE
        self.figure.grid.grid_line_color = None

    def update(self, frame: Frame) -> None:
        """Show the confusion of the frame."""
        if frame.confusion is None or not len(frame.confusion) or frame.confusion is self._shown:
            return
        self._shown = frame.confusion
        if frame.labels != self._labels:
            self._labels = frame.labels
            self.figure.x_range.factors = list(frame.labels)
            self.figure.y_range.factors = list(frame.labels)[::-1]
            long = max(map(len, frame.labels)) > 3
            self.figure.xaxis.major_label_orientation = 1.2 if long else 0.0
        counts, k = frame.confusion, len(frame.labels)
        share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        self._source.data = {
            "true": np.repeat(frame.labels, k).tolist(),
            "predicted": np.tile(frame.labels, k).tolist(),
            "share": share.ravel(),
        }


class Picture:
    """An array (rows, columns) as an image, in a figure of a fixed size, with its scale."""

    def __init__(self, title: str, palette: Sequence[str] = Cividis256, bar: bool = True) -> None:
        self._source = ColumnDataSource({"image": [], "w": [], "h": []})
        self.mapper = LinearColorMapper(palette=palette, low=0, high=1, nan_color="#ffffff")
        self.figure = figure(match_aspect=True, **_size(title, SIDE + 60 * bar, SIDE + 30))
        self.figure.image("image", x=0, y=0, dw="w", dh="h", source=self._source,
                          color_mapper=self.mapper)  # fmt: skip
        self.figure.axis.visible, self.figure.grid.visible = False, False
        self.figure.x_range.range_padding = self.figure.y_range.range_padding = 0
        if bar:
            self.figure.min_border_right = BESIDE
            self.figure.add_layout(_bar(self.mapper), "right")

    def show(self, image: Array, low: float, high: float) -> None:
        """Show the image; its first row is at the top."""
        rows, columns = image.shape
        self.mapper.low, self.mapper.high = low, high if high > low else low + 1
        shown = np.ascontiguousarray(image[::-1], np.float32)
        self._source.data = {"image": [shown], "w": [columns], "h": [rows]}


class Activity:
    """The compartments of one layer, its units in rows from left to right."""

    def __init__(self) -> None:
        self._pictures = [Picture("") for _ in range(PANELS)]
        self.figures = [p.figure for p in self._pictures]

    def update(self, frame: Frame, layer: str) -> None:
        """Show a layer of the frame; each compartment has a scale of its own."""
        parts = frame.activities.get(layer, {})
        for picture, (name, part) in zip(self._pictures, parts.items(), strict=False):
            known = np.append(part[np.isfinite(part)], 0.0)
            picture.figure.title.text = name
            picture.show(_folded(part), float(known.min()), float(known.max()))
        for i, picture in enumerate(self._pictures):
            if picture.figure.visible != (i < len(parts)):
                picture.figure.visible = i < len(parts)


class Input:
    """The last input: an image where the source has images, else a signal."""

    def __init__(self, shape: tuple[int, ...] | None) -> None:
        self._shape = shape
        self._line = ColumnDataSource({"at": [], "x": []})
        if shape is not None:
            self._picture = Picture("", Greys256[::-1], bar=False)
            self.figure = self._picture.figure
        else:
            self.figure = figure(x_axis_label="feature", **_size("", SIDE + 60, SIDE + 30))
            self.figure.line("at", "x", source=self._line, color=BLUE)
            self.figure.axis.minor_tick_line_color = None
            self.figure.scatter("at", "x", source=self._line, color=BLUE, size=4)

    def update(self, frame: Frame) -> None:
        """Show the input of the frame, with what was predicted and what is true."""
        if frame.x is None:
            return
        shape = self._shape
        known = {"predicted": frame.predicted, "true": frame.truth}
        self.figure.title.text = ", ".join(f"{name} {text}" for name, text in known.items() if text)
        if shape is None:
            self._line.data = {"at": np.arange(len(frame.x)), "x": frame.x}
        elif frame.x.size == math.prod(shape):
            image = frame.x.reshape(shape)
            image = image if image.ndim == 2 else image.mean(axis=0)  # channels as one grey
            self._picture.show(image, float(np.nanmin(image)), float(np.nanmax(image)))


class Workers:
    """The share of the time in which each worker works."""

    def __init__(self) -> None:
        self._source = ColumnDataSource({"worker": [], "busy": []})
        self.figure = figure(
            x_range=(0, 1), y_range=FactorRange(), **_size("busy share of each worker", 340, SIDE)
        )
        self.figure.hbar("worker", right="busy", height=0.7, source=self._source, color=BLUE)
        self.figure.xaxis.formatter = NumeralTickFormatter(format="0%")
        self.figure.xaxis.minor_tick_line_color = None

    def update(self, frame: Frame) -> None:
        """Show the workers of the frame."""
        names = [f"worker {n}" for n in range(1, len(frame.busy) + 1)]
        if self.figure.y_range.factors != names[::-1]:
            self.figure.y_range.factors = names[::-1]
        self._source.data = {"worker": names, "busy": list(frame.busy)}


def _folded(values: Array) -> Array:
    """Numbers (n,) as a rectangle that is about as high as wide; missing places are NaN."""
    columns = math.ceil(math.sqrt(max(len(values), 1)))
    rows = math.ceil(max(len(values), 1) / columns)
    whole = np.full(rows * columns, np.nan)
    whole[: len(values)] = values
    return whole.reshape(rows, columns)


def _size(title: str, width: int, height: int) -> dict[str, Any]:
    return {"title": title, "width": width, "height": height, "toolbar_location": None, "tools": ""}


def _bar(mapper: LinearColorMapper) -> ColorBar:
    return ColorBar(
        color_mapper=mapper, width=10, padding=4, ticker=BasicTicker(desired_num_ticks=4),
        major_label_text_font_size="12px", bar_line_color=None,
    )  # fmt: skip
