"""The curves of the page: figures of numbers against samples, all from one column source."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bokeh.models import ColumnDataSource, NumeralTickFormatter
from bokeh.plotting import figure

from rate_models.drawing.style import BLUE, COLOURS, GREY, ORANGE
from streaming.live_page.ring import SIZE, About, Point

DASHES = ("solid", "dashed", "dotted", "dotdash", "dashdot")  # a second sign beside the colour
HEIGHT = 220
FIELDS = Point._fields[:9]  # those that are single numbers


class Curves:
    """All curves of a run. ``figures``: {name: figure} to be placed in the page."""

    def __init__(self, about: About) -> None:
        self._about = about
        self._norms = [f"norm {name}" for name in about.layers]
        self._angles = [f"angle {name}" for name in about.links]
        names = [*FIELDS, *self._norms, *self._angles]
        self._source = ColumnDataSource({name: [] for name in names})
        score = about.score
        self.figures = {
            "score": self._figure(f"{score} before learning each sample", [
                ("windowed_score", "last 1,000", BLUE), ("score", "all so far", GREY)]),
            "loss": self._figure("loss before learning each sample", [
                ("windowed_loss", "last 1,000", BLUE), ("loss", "all so far", GREY)]),
            "pace": self._figure("samples per second", [("pace", "", BLUE)]),
            "norms": self._figure("size of the weights ‖W‖", _coloured(self._norms, about.layers)),
        }  # fmt: skip
        if about.live:
            self.figures["latency"] = self._figure("milliseconds from arrival to learned", [
                ("p50", "median", BLUE), ("p99", "99th percentile", ORANGE)])  # fmt: skip
        if about.links:
            title = "angle of feedback to forward weights (°)"
            self.figures["angles"] = self._figure(title, _coloured(self._angles, about.links))

    def add(self, points: Sequence[Point]) -> None:
        """Add points; those that the buffer no longer has go."""
        if not points:
            return
        columns: dict[str, list[float]] = {
            name: [getattr(p, name) for p in points] for name in FIELDS
        }
        for names, field in ((self._norms, "norms"), (self._angles, "angles")):
            for i, name in enumerate(names):
                several = (getattr(p, field) for p in points)
                columns[name] = [one[i] if i < len(one) else math.nan for one in several]
        self._source.stream(columns, rollover=SIZE)

    def _figure(self, title: str, lines: list[tuple[str, str, str]]) -> figure:
        plot = figure(
            height=HEIGHT, sizing_mode="stretch_width", min_width=280, title=title,
            toolbar_location=None, tools="", output_backend="canvas",
        )  # fmt: skip
        for i, (name, label, colour) in enumerate(lines):
            more = {"legend_label": label} if len(lines) > 1 else {}
            plot.line("samples", name, source=self._source, color=colour, line_width=2,
                      line_dash=DASHES[i % len(DASHES)], **more)  # fmt: skip
        if len(lines) > 1:
            plot.add_layout(plot.legend[0], "below")
            plot.legend.orientation = "horizontal"
            plot.legend.ncols = 4
            plot.legend.border_line_color = None
            plot.legend.margin, plot.legend.padding = 0, 2
            plot.legend.label_text_font_size = "12px"
            plot.height = HEIGHT + 24 * math.ceil(len(lines) / 4)
        plot.xaxis.formatter = NumeralTickFormatter(format="0.[00]a")
        plot.yaxis.formatter = NumeralTickFormatter(format="0.[0000]a")
        plot.xaxis.ticker.desired_num_ticks = 5
        plot.yaxis.ticker.desired_num_ticks = 4
        plot.title.text_font_size, plot.outline_line_color = "14px", None
        plot.axis.major_label_text_font_size = "12px"
        plot.axis.minor_tick_line_color = None
        plot.grid.grid_line_color = "#e6e6e6"
        return plot


def _coloured(names: Sequence[str], labels: Sequence[str]) -> list[tuple[str, str, str]]:
    """(column, label, colour) of each."""
    colours = (COLOURS[i % len(COLOURS)] for i in range(len(names)))
    return list(zip(names, labels, colours, strict=True))
