"""New figures in our style, independent of when they are drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rate_models.drawing.style import load_matplotlib

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def new_figure(size: tuple[float, float], dpi: int = 140) -> Figure:
    """A figure without pyplot: no window or global state, and a notebook displays it.

    size: width and height in inches. It is always drawn and saved with the settings of `drawing`.
    """
    load_matplotlib()
    from rate_models.drawing.shown import ShownFigure

    return ShownFigure(size, dpi=dpi, layout="constrained")
