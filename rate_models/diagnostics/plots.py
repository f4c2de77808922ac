"""Figures of the measures, each on given axes or on new ones.

matplotlib is imported only when something is drawn. New figures have the style `style.STYLE`; save
one with ``axes.figure.savefig(...)``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from rate_models.diagnostics.fits import Plateau, constraint_spectrum, distribution_fits
from rate_models.diagnostics.recordables import get
from rate_models.drawing.figures import new_figure
from rate_models.drawing.style import BLUE, COLOURS, GREY, ORANGE, drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def new_axes(width: float = 4.6, height: float = 3.2) -> Axes:
    """Axes of a new figure in our style, without pyplot: nothing is kept open."""
    with drawing():
        return new_figure((width, height)).subplots()


def curves(
    x: ArrayLike,
    lines: Mapping[str, Any],
    label: str,
    reference: float | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Curves over x. reference: value of a dashed line for comparison, always visible."""
    if axes is None:
        with drawing():
            return curves(x, lines, label, reference, new_axes())
    if reference is not None:
        axes.axhline(reference, color=GREY, lw=1, ls="--")
    for i, (name, values) in enumerate(lines.items()):
        known = np.array(values, float)
        alone = "o" if np.isfinite(known).sum() < 2 else None  # a line of one point is invisible
        colour, title = COLOURS[i % len(COLOURS)], f"${name}$" if name[1:2] == "_" else name
        axes.plot(np.asarray(x), known, color=colour, label=title, marker=alone, ms=4)
    axes.set_ylabel(label)
    axes.ticklabel_format(axis="y", useOffset=False)
    if len(lines) > 1:
        axes.legend(frameon=False, fontsize="small", ncols=1 if len(lines) < 5 else 2)
    return axes


def recorded(
    name: str,
    samples: ArrayLike,
    values: Sequence[Mapping[str, float | None]],
    axes: Axes | None = None,
) -> Axes:
    """A recordable over samples: alignment angles, norms, congruence, errors, teaching angles.

    samples (T,); values: for each of the T moments {label: number}, None where undefined.
    """
    if axes is None:
        with drawing():
            return recorded(name, samples, values, new_axes())
    of = get(name)
    lines = {label: [v[label] for v in values] for label in values[0]}
    axes = curves(samples, lines, of.label, of.reference, axes)
    axes.set_title(f"{of.title}: {next(iter(lines))}" if len(lines) == 1 else of.title)
    axes.set_xlabel("samples learned from")
    return axes


def plateau(fits: Mapping[str, Plateau], axes: Axes | None = None) -> Axes:
    """Test curves and their plateau laws, {name: law}, as in PEPITA's figure of slowness."""
    if axes is None:
        with drawing():
            return plateau(fits, new_axes())
    for i, (name, law) in enumerate(fits.items()):
        colour, last = COLOURS[i % len(COLOURS)], len(law.points) - 1
        axes.plot(np.arange(last + 1), law.points, "o", ms=3, color=colour, alpha=0.5)
        at = np.linspace(0, last, 400)[1:]
        axes.plot(at, law.at(at), color=colour, label=f"{name}: s = {law.s:.3g}")
    axes.set(xlabel="epoch", ylabel="accuracy", ylim=(0, None))
    axes.legend(loc="lower right", frameon=False)
    return axes


def distribution(W: ArrayLike, axes: Axes | None = None) -> Axes:
    """Histogram of the entries of W with the Normal and Student-t fits, logarithmic for the tails.

    The legend has the mean log-likelihood per entry.
    """
    from scipy import stats

    if axes is None:
        with drawing():
            return distribution(W, new_axes())
    w = np.asarray(W, float).ravel()
    axes.hist(w, bins=80, density=True, color="#cccccc")
    least = axes.dataLim.y1 / max(w.size, 10)
    at = np.linspace(w.min(), w.max(), 400)
    laws = {"normal": ("Normal", stats.norm, BLUE), "t": ("Student t", stats.t, ORANGE)}
    for name, fit in distribution_fits(w).items():
        title, law, colour = laws[name]
        df = f", {fit.parameters['df']:.3g} d.f." if name == "t" else ""
        each = fit.log_likelihood / w.size
        density = law.pdf(at, *fit.parameters.values())
        axes.plot(at, density, color=colour, label=f"{title}{df}: {each:.3f}")
    axes.set_yscale("log")
    axes.set_ylim(least, axes.dataLim.y1 * 60)  # room for the legend
    axes.set(xlabel="weight", ylabel="density")
    axes.legend(
        title="mean log-likelihood",
        fontsize="small",
        title_fontsize="small",
        loc="upper left",
        alignment="left",
        frameon=False,
    )
    return axes


def spectrum(z: ArrayLike, axes: Axes | None = None) -> Axes:
    """Eigenvalues of the covariance of hidden activities z (T, k), with BMVR's bound of 1."""
    from matplotlib.ticker import MaxNLocator

    if axes is None:
        with drawing():
            return spectrum(z, new_axes())
    values = constraint_spectrum(z)
    axes.axhline(1, color=GREY, lw=1, ls="--")
    axes.plot(np.arange(1, len(values) + 1), values, "o-", ms=4, color=BLUE)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="mode", ylabel="eigenvalue of $C_{zz}$", ylim=(0, None))
    return axes


def objective(
    samples: ArrayLike,
    losses: Mapping[str, Any],
    optimum: float | None = None,
    axes: Axes | None = None,
) -> Axes:
    """BMVR's objective over samples, logarithmic in x, with the optimum as a dashed line."""
    if axes is None:
        with drawing():
            return objective(samples, losses, optimum, new_axes())
    axes = curves(samples, losses, "loss", optimum, axes)
    axes.set_xscale("log")
    axes.set_xlabel("samples learned from")
    return axes


def map_of(
    positions: ArrayLike, labels: Sequence[Any] | None = None, axes: Axes | None = None
) -> Axes:
    """The points of `fits.embedding`, (N, 2), coloured by class; the axes have no meaning."""
    if axes is None:
        with drawing():
            return map_of(positions, labels, new_axes(4.6, 4.0))
    import matplotlib

    positions = np.asarray(positions)
    kinds = np.zeros(len(positions)) if labels is None else np.asarray(labels)
    classes = np.unique(kinds)
    colours = matplotlib.colormaps["tab10" if len(classes) <= 10 else "turbo"]
    shades = np.arange(10) / 9 if len(classes) <= 10 else np.linspace(0, 1, len(classes))
    for kind, shade in zip(classes, shades, strict=False):
        x, y = positions[kinds == kind].T
        axes.scatter(x, y, s=5, lw=0, color=colours(shade), label=str(kind))
    axes.set(xticks=[], yticks=[], aspect="equal")
    axes.spines[:].set_visible(False)
    if labels is not None and len(classes) <= 20:
        axes.legend(
            loc="center left",
            bbox_to_anchor=(1, 0.5),
            markerscale=2.5,
            fontsize="small",
            frameon=False,
        )
    return axes
