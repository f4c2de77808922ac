"""The style of our figures, independent of the user's matplotlib settings.

A matplotlibrc file, a style or MPLBACKEND apply to the user's own figures. Ours are drawn with
matplotlib's defaults and `STYLE`, without a window, so that such settings cannot break them::

    with drawing():
        figure = new_figure((7, 3.4))
        figure.subplots().plot([1, 2])
        figure.savefig(path)

Other parts of matplotlib are imported inside the ``with``, because its first import fails if
MPLBACKEND names an unknown backend.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import sys
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    pass

# Colours that colour-blind readers can distinguish, also in print (Okabe & Ito 2008).
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#666666"
COLOURS = (BLUE, ORANGE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLE: dict[Any, Any] = {  # keys are Literals in new versions of matplotlib, texts in old ones
    "font.size": 9.5,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.8,
    "legend.frameon": False,
}


@contextlib.contextmanager
def drawing(**settings: Any) -> Iterator[None]:
    """A context with matplotlib's defaults and `STYLE`.

    settings: further matplotlib parameters, with _ for the dot. Characters that the font lacks are
    drawn as boxes, without warnings.
    """
    matplotlib = load_matplotlib()
    theirs = {k: v for k, v in matplotlib.rcParamsDefault.items() if k != "backend"}
    ours = {**theirs, **STYLE, **{k.replace("_", ".", 1): v for k, v in settings.items()}}
    with matplotlib.rc_context(ours), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .*missing from", UserWarning)
        yield


def load_matplotlib() -> Any:
    """The module matplotlib, imported without MPLBACKEND if that names an unknown backend."""
    try:
        return importlib.import_module("matplotlib")
    except ValueError:
        backend = os.environ.pop("MPLBACKEND", None)
        if backend is None:
            raise
        for name in [n for n in sys.modules if n.partition(".")[0] == "matplotlib"]:
            del sys.modules[name]  # the parts that were imported before it failed
        try:
            return importlib.import_module("matplotlib")
        finally:
            os.environ["MPLBACKEND"] = backend


def plain(text: object, most: int | None = None) -> str:
    """The user's text for matplotlib: on one line, and not interpreted as a formula.

    most: maximal number of characters; a longer text is cut.

    >>> plain("5$ or 6$"), plain("aeroplane", 6)
    ('5\\\\$ or 6\\\\$', 'aerop…')
    """
    line = re.sub(r"\s+", " ", "".join(c if c.isprintable() else " " for c in str(text))).strip()
    cut = line if most is None or len(line) <= most else line[: most - 1].rstrip() + "…"
    return cut.replace("$", r"\$")


def plain_numbers(axis: Any) -> None:
    """Label a logarithmic axis with 0.6 and 60 instead of 6 × 10⁻¹ and 6 × 10¹."""
    from matplotlib.ticker import LogFormatter

    class Plain(LogFormatter):
        def __call__(self, x: float, pos: int | None = None) -> str:
            return f"{x:g}" if super().__call__(x, pos) else ""

    axis.set_major_formatter(Plain())
    axis.set_minor_formatter(Plain(labelOnlyBase=False, minor_thresholds=(1, 0.4)))
