"""New figures, which look the same whenever they are drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rate_models.drawing.style import load_matplotlib

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def new_figure(size: tuple[float, float], dpi: int = 140) -> Figure:
    """A figure without pyplot: nothing is kept open, and a notebook shows it.

    size: width and height in inches. Drawn and saved as inside `drawing`, whenever that is.
    """
    load_matplotlib()
    from rate_models.drawing.shown import ShownFigure

    return ShownFigure(size, dpi=dpi, layout="constrained")
