"""A figure that looks the same whenever it is drawn, and that a notebook shows.

A notebook shows the last expression of a cell where that has ``_repr_png_``; figures that pyplot
does not know have none, nor have axes.
"""

from __future__ import annotations

import io
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rate_models.drawing.style import drawing


class ShownFigure(Figure):
    """See `rate_models.drawing.figures.new_figure`."""

    def add_subplot(self, *args: Any, **settings: Any) -> Axes:
        """As matplotlib's; the axes are shown by a notebook too."""
        if not {"projection", "polar", "axes_class"} & set(settings):
            settings["axes_class"] = ShownAxes
        axes: Axes = super().add_subplot(*args, **settings)
        return axes

    def draw(self, renderer: Any) -> None:
        """Draw with our settings."""
        with drawing():
            super().draw(renderer)

    def savefig(self, *args: Any, **settings: Any) -> None:
        """Save with our settings."""
        with drawing():
            super().savefig(*args, **settings)

    def _repr_png_(self) -> bytes:
        picture = io.BytesIO()
        self.savefig(picture, format="png")
        return picture.getvalue()


class ShownAxes(Axes):
    """Axes that a notebook shows as their figure."""

    def _repr_png_(self) -> bytes:
        return _png(self)


class ShownRows(list[Axes]):
    """Several axes of one figure, which a notebook shows once."""

    def _repr_png_(self) -> bytes | None:
        return _png(self[0]) if self else None


def _png(axes: Axes) -> bytes:
    figure: Any = axes.figure.canvas.figure
    return bytes(figure._repr_png_()) if hasattr(figure, "_repr_png_") else b""
