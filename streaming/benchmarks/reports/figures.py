"""The figures of a result: samples per second of every peer, and how time grows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rate_models.drawing.figures import new_figure
from rate_models.drawing.style import COLOURS, GREY, drawing, plain_numbers
from streaming.benchmarks import networks
from streaming.benchmarks.reports.kept import Result, Series
from streaming.files.folder import replacing

MARKS = {
    networks.OURS: ("o", COLOURS[0]),
    networks.JAX: ("s", COLOURS[1]),
    networks.COMPILED: ("D", COLOURS[3]),
    networks.TORCH: ("^", COLOURS[2]),
    networks.AUTOGRAD: ("v", COLOURS[4]),
    networks.NUMPY: ("x", COLOURS[6]),
    networks.BOOK: ("+", COLOURS[6]),
}
SYMBOLS = ("o", "s", "^")


def speeds(result: Result, path: Path) -> None:
    """A panel for each network, a line for each rule, a mark for each peer; log scale."""
    bounds = {bound["scenario"]: bound for bound in result["roofline"]}
    panels = {}
    for network in networks.NETWORKS:
        names = [name for name in bounds if name.endswith(f"-{network.name}")]
        if names:
            panels[network.name] = names
    if not panels:
        return
    heights = [len(names) + 1.2 for names in panels.values()]
    with drawing():
        figure = new_figure((8.2, 1.0 + 0.2 * sum(heights)))
        every = figure.subplots(len(panels), 1, sharex=True, squeeze=False,
                                gridspec_kw={"height_ratios": heights})[:, 0]  # fmt: skip
        for axes, (panel, names) in zip(every, panels.items(), strict=True):
            _panel(axes, result, panel, names, bounds)
        every[-1].set_xlabel("samples per second")
        handles = {h.get_label(): h for axes in every for h in axes.lines
                   if not h.get_label().startswith("_")}  # fmt: skip
        figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=4)
        _save(figure, path)


def _panel(axes: Any, result: Result, network: str, names: list[str], bounds: Any) -> None:
    rates = {(row["scenario"], row["peer"]): row["samples_per_second"] for row in result["rows"]}
    places = range(len(names))
    axes.plot([bounds[name]["samples_per_second"] for name in names], places, "|", ms=9,
              color=GREY, label="roofline")  # fmt: skip
    for peer, (mark, colour) in MARKS.items():
        known = [(rates[name, peer], at) for name, at in zip(names, places, strict=True)
                 if rates.get((name, peer))]  # fmt: skip
        if known:
            axes.plot(*zip(*known, strict=True), mark, color=colour, ms=5, label=peer)
    axes.set_xscale("log")
    axes.set_yticks(places, [name.removesuffix(f"-{network}") for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    data = result["data"][names[0]].partition(",")[0]
    axes.set_title(f"{network.removesuffix('-dense')}, {data}")


def growth(result: Result, path: Path) -> None:
    """Time of a sample against size, a panel for each axis; dashed: the roofline."""
    series = [one for one in result["scaling"] if one["points"]]
    kinds = list(dict.fromkeys(one["axis"] for one in series))
    rules = list(dict.fromkeys(one["rule"] for one in series))
    with drawing():
        rows = -(-len(kinds) // 2)
        figure = new_figure((8.2, 0.4 + 3.2 * rows))
        panels = figure.subplots(rows, 2, squeeze=False).flat
        for axes in panels[len(kinds) :]:
            axes.set_axis_off()
        for axes, kind in zip(panels, kinds, strict=False):
            some = [one for one in series if one["axis"] == kind]
            for one in some:
                _curve(axes, one, rules.index(one["rule"]))
            axes.set_xscale("log")
            axes.set_yscale("log")
            plain_numbers(axes.xaxis)
            plain_numbers(axes.yaxis)
            axes.set_title(some[0]["network"])
            axes.set_xlabel(kind)
            axes.set_ylabel("µs per sample")
            axes.legend(title="exponent (theory)", fontsize=8, title_fontsize=8)
        lines = [line for line in figure.axes[0].lines if line.get_marker() != "None"]
        names = [rule.replace("_", " ") for rule in rules]
        figure.legend(lines, names, loc="outside upper center", ncols=len(rules))
        _save(figure, path)


def _curve(axes: Any, one: Series, at: int) -> None:
    x = [point["value"] for point in one["points"]]
    label = "-"
    if one["exponent"] is not None and one["theory"] is not None:
        label = f"{one['exponent']:.2f} ({one['theory']:.2f})"
    measured, least = ([1e6 * p["seconds"] for p in one["points"]],
                       [1e6 * p["bound"] for p in one["points"]])  # fmt: skip
    axes.plot(x, measured, color=COLOURS[at], marker=SYMBOLS[at], ms=5, label=label)
    axes.plot(x, least, "--", lw=1, color=COLOURS[at])


def _save(figure: Any, path: Path) -> None:
    with replacing(path, ending=path.suffix) as temporary:
        figure.savefig(temporary)
