"""Recorded traces of a circuit, drawn over time on given axes or on new ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from biocircuits.simulation.recording import SYNAPSE, Trace
from rate_models.drawing.figures import new_figure
from rate_models.drawing.style import COLOURS, drawing
from rate_models.errors import BadOption

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_traces(
    trace: Trace,
    rows: Sequence[Sequence[str]] | None = None,
    neurons: Mapping[str, Sequence[int]] | None = None,
    axes: Sequence[Axes] | None = None,
) -> Sequence[Axes]:
    """Draw traces of one or a few samples over time, with shaded phases. Returns the axes.

    rows: lists of names, each of which shares one pair of axes; None: one row for each name, and
    one for all synapses of a projection. For synapses, the change since the start is drawn.
    neurons: {population: indices}; None: the three that vary most. axes: one for each row; None:
    those of a new figure. A neuron has the same colour in all rows with one quantity. In a row with
    several quantities, such as dendrite and soma, colours distinguish quantities and dashes
    neurons.
    Raises BadOption for a name that was not recorded, and for another number of axes than rows.
    """
    rows = _rows(trace) if rows is None else rows
    for name in [name for row in rows for name in row]:
        if name not in trace.values:
            raise BadOption("rows", got=repr(name), expected=f"one of {', '.join(trace.values)}")
    if axes is None:
        with drawing():
            return draw_traces(trace, rows, neurons, _own_axes(rows))
    if len(axes) != len(rows):
        raise BadOption("axes", got=f"{len(axes)} axes", expected=f"{len(rows)}, one a row")
    chosen = dict(neurons or {})
    for row, one in zip(rows, axes, strict=True):
        _shade(one, trace, named=one is axes[0])
        _lines(one, trace, row, chosen)
        one.locator_params(axis="y", nbins=4)
        beside: dict[str, Any] = {"loc": "center left", "bbox_to_anchor": (1, 0.5)}
        level: dict[str, Any] = {"rotation": 0, "ha": "right", "va": "center"}
        if one.figure.get_layout_engine() is None:  # no space beside the axes
            beside, level = {"loc": "best"}, {}
        one.set_ylabel(_label(row), fontsize="small", **level)
        one.legend(**beside, fontsize="small", frameon=False, handlelength=1.8, labelspacing=0.3)
    axes[-1].set_xlabel("time (ms)")
    axes[0].figure.align_ylabels(list(axes))
    return axes


def _own_axes(rows: Sequence[Sequence[str]]) -> Sequence[Axes]:
    """Axes of a new figure, with rows high enough for their legends."""
    from rate_models.drawing.shown import ShownRows

    entries = [len(row) if SYNAPSE.fullmatch(row[0]) else 3 * len(row) for row in rows]
    heights = [max(1.05, 0.3 + 0.165 * n) for n in entries]
    figure = new_figure((6.2, 0.5 + sum(heights)))
    layout: Any = figure.get_layout_engine()
    layout.set(w_pad=0.08)
    ratios = {"height_ratios": heights}
    return ShownRows(
        figure.subplots(len(rows), sharex=True, squeeze=False, gridspec_kw=ratios)[:, 0]
    )


def _lines(axes: Axes, trace: Trace, row: Sequence[str], chosen: dict[str, Sequence[int]]) -> None:
    """Draw the curves of a row.

    chosen: the neurons of each population; one that is missing is added.
    """
    since, several = trace.phases[0][1], len(row) > 1
    alone = len({name.partition(".")[0] for name in row}) == 1
    for index, name in enumerate(row):
        colour = COLOURS[index % len(COLOURS)]
        if SYNAPSE.fullmatch(name):
            change = trace.values[name][:, 0] - trace.values[name][0, 0]
            axes.plot(trace.time - since, change, color=colour, lw=1.2, ls=_dashes(index),
                      label=name.partition("[")[2].rstrip("]").replace(",", " ← "))  # fmt: skip
            continue
        population, _, part = name.partition(".")
        if population not in chosen:
            chosen[population] = _most_variable(trace, population)
        for k, neuron in enumerate(chosen[population]):
            look: dict[str, Any] = {"color": COLOURS[k % len(COLOURS)], "label": str(neuron)}
            if several:
                what = part if alone else name.replace(".", " ")
                label = f"{what} {neuron}".replace("_", " ")
                look = {"color": colour, "ls": _dashes(k), "label": label}
            axes.plot(trace.time - since, trace.values[name][:, neuron], lw=1.2, **look)


def _dashes(k: int) -> Any:
    """The k-th line style; overlapping curves all stay visible."""
    return ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))[k % 5]


def _rows(trace: Trace) -> list[list[str]]:
    rows: dict[str, list[str]] = {}
    for name in trace.values:
        rows.setdefault(name.partition("[")[0], []).append(name)
    return list(rows.values())


def _label(row: Sequence[str]) -> str:
    if SYNAPSE.fullmatch(row[0]):
        return f"change of\n${row[0].partition('[')[0]}$"
    population, _, part = row[0].partition(".")
    if any(name.partition(".")[0] != population for name in row):
        return "\n".join(row).replace("_", " ").replace(".", " ")
    parts = [part, *(name.partition(".")[2] for name in row[1:])]
    return f"{population}\n{', '.join(parts)}".replace("_", " ")


def _most_variable(trace: Trace, population: str, most: int = 3) -> list[int]:
    """The neurons with the largest range, summed over all recorded signals of the population."""
    mine = [v for name, v in trace.values.items()
            if name.partition(".")[0] == population and not SYNAPSE.fullmatch(name)]  # fmt: skip
    ranges = np.sum([np.ptp(v, axis=0) for v in mine], axis=0)
    return sorted(int(n) for n in np.argsort(-ranges, kind="stable")[:most])


def _shade(axes: Axes, trace: Trace, *, named: bool) -> None:
    """Shade the phases after the first of each sample, and write names above them if ``named``."""
    first, since, _ = trace.phases[0]
    for name, start, stop in trace.phases:
        begin, end = start - since, stop - since
        if name != first:
            axes.axvspan(begin, end, color="#f0f0f0", lw=0, zorder=0)
        if named and len(trace.phases) <= 8:
            axes.text((begin + end) / 2, 1.03, name, transform=axes.get_xaxis_transform(),
                      ha="center", va="bottom", fontsize="small")  # fmt: skip
    axes.set_xlim(0, trace.phases[-1][2] - since)
    axes.grid(axis="x", visible=False)
