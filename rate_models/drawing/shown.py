"""A figure in our style that a notebook displays.

A notebook displays the last expression of a cell if that has ``_repr_png_``. Axes do not have it,
nor do figures that are not registered with pyplot.
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
        """As in matplotlib; a notebook displays the axes too."""
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
    """Axes that a notebook displays as their figure."""

    def _repr_png_(self) -> bytes:
        return _png(self)


class ShownRows(list[Axes]):
    """Several axes of one figure, which a notebook displays once."""

    def _repr_png_(self) -> bytes | None:
        return _png(self[0]) if self else None


def _png(axes: Axes) -> bytes:
    figure: Any = axes.figure.canvas.figure
    return bytes(figure._repr_png_()) if hasattr(figure, "_repr_png_") else b""
