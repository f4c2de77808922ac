"""How our figures look, whatever the person's matplotlib is set to; imported when one is drawn.

A file matplotlibrc, a style, MPLBACKEND: all are for the person's own figures. Ours are drawn with
matplotlib's defaults and `STYLE` on top, without a window, so that none of these can break them::

    with drawing():
        figure = new_figure((7, 3.4))
        figure.subplots().plot([1, 2])
        figure.savefig(path)

What else is needed of matplotlib is imported inside the ``with``: an MPLBACKEND that matplotlib
does not know fails at its first import.
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

# Colours that stay apart for colour-blind readers and in print (Okabe & Ito 2008).
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
    """matplotlib as it comes, with `STYLE`; settings: more of its parameters, _ for the dot.

    Signs that its font lacks are drawn as boxes, without a warning for each.
    """
    matplotlib = load_matplotlib()
    theirs = {k: v for k, v in matplotlib.rcParamsDefault.items() if k != "backend"}
    ours = {**theirs, **STYLE, **{k.replace("_", ".", 1): v for k, v in settings.items()}}
    with matplotlib.rc_context(ours), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .*missing from", UserWarning)
        yield


def load_matplotlib() -> Any:
    """The module, imported without MPLBACKEND where that names a backend it does not have."""
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
    """A text of the person's as matplotlib draws it as it is: no formula, on one line.

    most: signs that there is room for; a longer one is cut.

    >>> plain("5$ or 6$"), plain("aeroplane", 6)
    ('5\\\\$ or 6\\\\$', 'aerop…')
    """
    line = re.sub(r"\s+", " ", "".join(c if c.isprintable() else " " for c in str(text))).strip()
    cut = line if most is None or len(line) <= most else line[: most - 1].rstrip() + "…"
    return cut.replace("$", r"\$")


def plain_numbers(axis: Any) -> None:
    """Has a logarithmic axis say 0.6 and 60, where matplotlib has 6 × 10⁻¹ and 6 × 10¹."""
    from matplotlib.ticker import LogFormatter

    class Plain(LogFormatter):
        def __call__(self, x: float, pos: int | None = None) -> str:
            return f"{x:g}" if super().__call__(x, pos) else ""

    axis.set_major_formatter(Plain())
    axis.set_minor_formatter(Plain(labelOnlyBase=False, minor_thresholds=(1, 0.4)))
