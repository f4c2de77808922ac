"""Drawings of a circuit and of recorded traces, on given axes or on new ones.

matplotlib is imported when something is drawn. Save with ``axes.figure.savefig(...)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from biocircuits.description.circuit import Circuit, circuit_of
from biocircuits.description.populations import Compartment, Population
from biocircuits.description.projections import Projection
from biocircuits.drawing.layout import BODY, PILL, WIDTH, Cell, shown
from biocircuits.drawing.layout import layout as layout_of
from biocircuits.drawing.routes import Lanes, Ports, ends, lines_of
from biocircuits.drawing.traces import draw_traces
from rate_models.drawing.figures import new_figure
from rate_models.drawing.style import BLUE, COLOURS, drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from biocircuits.network import CircuitNetwork

__all__ = ["draw_circuit", "draw_traces"]

FILL = {"input": "#eeeeee", "pyramidal": "#dcebf5", "interneuron": "#fbe3d6",
        "modulator": "#fdf1d2", "point": "#e3f1e7"}  # fmt: skip


def draw_circuit(circuit: Circuit | CircuitNetwork, axes: Axes | None = None) -> Axes:
    """Draw the populations, compartments and projections of a circuit. Returns the axes.

    circuit: a circuit, or the network, learner or simulator that runs one. axes: None: those of a
    new figure. Raises BadOption for another object.

    Triangles are pyramidal cells, circles interneurons, hexagons modulators, squares inputs. A
    compartment with a thick edge is a memory: it has no leak. Blue projections are plastic, with a
    dot at the synapse. A flat head marks inhibition (sign below 0). A dashed projection conducts in
    the phases that are named in italics; an output other than the rate is named in italics too. A
    dotted line is a broadcast to whole neurons. Observers are grey.
    """
    circuit = circuit_of("draw_circuit", circuit)
    layout = layout_of(circuit)
    if axes is None:
        with drawing():
            figure = new_figure((layout.width + 0.3, layout.height + 0.75))
            return draw_circuit(circuit, figure.subplots())
    for p in circuit.populations:
        _population(axes, circuit, p, layout.cells[p.name])
    lines, ports = lines_of(circuit), Ports(circuit, layout)
    lanes = Lanes(layout, ports, lines)
    outermost = layout.width - 0.1
    for line in lines:
        gutter, begin, end = ends(layout, line, ports)
        x = lanes.x(gutter, line.source)
        path = [begin, (x, begin[1]), (x, end[1]), end]
        outermost = max(outermost, x)
        if line.part:
            _projection(axes, circuit.projection(line.key), path)
        else:
            _arrow(axes, path, COLOURS[3], ":", "-|>")
    _legend(axes, circuit)
    axes.set(xlim=(-0.1, outermost + 0.1), ylim=(-0.25, layout.height + 0.1), aspect="equal")
    axes.set_axis_off()
    return axes


def _population(axes: Axes, circuit: Circuit, p: Population, cell: Cell) -> None:
    from matplotlib.patches import Circle, Rectangle, RegularPolygon

    grey = {"edgecolor": "#999999", "ls": "--"} if p.observer else {"edgecolor": "black"}
    style: dict[str, Any] = {"facecolor": FILL[p.kind], "lw": 1, "zorder": 3, **grey}
    y, r = cell.parts[""], BODY / 2
    if p.kind == "pyramidal":
        triangle = [(cell.x - 1.15 * r, y - 0.9 * r), (cell.x + 1.15 * r, y - 0.9 * r),
                    (cell.x, y + 0.95 * r)]  # fmt: skip
        axes.fill(*np.transpose(triangle), **style)
    elif p.kind == "interneuron":
        axes.add_patch(Circle((cell.x, y), 0.88 * r, **style))
    elif p.kind == "modulator":
        axes.add_patch(RegularPolygon((cell.x, y), 6, radius=0.95 * r, **style))
    elif p.kind == "input":
        axes.add_patch(Rectangle((cell.x - 0.8 * r, y - 0.8 * r), 1.6 * r, 1.6 * r, **style))
    else:
        axes.add_patch(Circle((cell.x, y), 0.6 * r, **style))
    axes.text(cell.x, y - 0.03, str(p.size), ha="center", va="center", fontsize=6.5, zorder=4)
    for c in shown(p):
        _compartment(axes, p, c, cell)
    name = p.name.replace("_", " ")
    axes.text(cell.x, cell.top + 0.035, name, ha="center", va="bottom", fontsize=8,
              fontweight="bold", color="#777777" if p.observer else "black", zorder=6,
              bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6})  # fmt: skip


def _compartment(axes: Axes, p: Population, c: Compartment, cell: Cell) -> None:
    from matplotlib.patches import FancyBboxPatch

    memory = c.clamp is None and c.leak == 0
    y, high = cell.parts[c.name], PILL - 0.055
    corner = cell.x - WIDTH / 2, y - high / 2
    axes.add_patch(
        FancyBboxPatch(
            corner, WIDTH, high, boxstyle="round,pad=0,rounding_size=0.08", zorder=3,
            facecolor="white", edgecolor="#999999" if p.observer else "black",
            lw=1.8 if memory else 0.8, ls="--" if p.observer else "-",
        )
    )  # fmt: skip
    held = f" = {c.clamp}" if c.clamp in ("x", "y") else ""
    held = f" = {c.clamp:g}" if isinstance(c.clamp, float) else held
    axes.text(cell.x, y - 0.008, c.name.replace("_", " ") + held, ha="center", va="center",
              fontsize=6.5, zorder=4)  # fmt: skip


def _projection(axes: Axes, q: Projection, path: list[tuple[float, float]]) -> None:
    colour = "#999999" if q.observer else BLUE if q.plasticity else "black"
    _arrow(axes, path, colour, "--" if q.phases else "-",
           head="|-|" if q.sign < 0 else "-|>", wide=1.5 if q.plasticity else 0.9)  # fmt: skip
    end = path[-1]
    right = path[-2][0] > end[0]
    if q.plasticity:
        aside = 0.0 if q.sign > 0 else 0.09 if right else -0.09  # keeps the flat head visible
        axes.plot(end[0] + aside, end[1], "o", color=BLUE, ms=3.6, zorder=7)
    symbol = q.name[1:2] == "_" or len(q.name) == 1
    label = f"${q.name}$" if symbol else q.name.replace("_", " ")
    style: dict[str, Any] = {
        "ha": "left" if right else "right", "fontsize": 6.5, "color": colour, "zorder": 6,
        "bbox": {"facecolor": "white", "edgecolor": "none", "pad": 0.2, "alpha": 0.7},
    }  # fmt: skip
    x = end[0] + (0.14 if right else -0.14)
    axes.text(x, end[1] + 0.015, label, va="bottom", **style)
    notes = [f"output {q.output}"] if q.output != "rate" else []
    notes += [f"in {', '.join(q.phases)}"] if q.phases else []
    if notes:
        axes.text(x, end[1] - 0.025, ", ".join(notes), va="top", style="italic", **style)


def _arrow(
    axes: Axes, path: Sequence[tuple[float, float]], colour: str, line: str, head: str,
    wide: float = 0.9,
) -> None:  # fmt: skip
    """Draw straight lines with rounded corners between them and a head at the end."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    corners = [path[0]]
    codes = [Path.MOVETO]
    for before, here, after in zip(path, path[1:], path[2:], strict=False):
        for other, kind in ((before, Path.LINETO), (after, None)):
            step = np.subtract(other, here)
            far = float(np.hypot(*step))
            near = np.add(here, step / far * min(0.07, far / 2)) if far else np.array(here)
            if kind is None:
                corners += [here, (float(near[0]), float(near[1]))]
                codes += [Path.CURVE3, Path.CURVE3]
            else:
                corners.append((float(near[0]), float(near[1])))
                codes.append(kind)
    corners.append(path[-1])
    codes.append(Path.LINETO)
    flat = head == "|-|"
    patch = FancyArrowPatch(
        path=Path(corners, codes), arrowstyle="-" if flat else head, mutation_scale=7,
        color=colour, lw=wide, ls=line, zorder=2, shrinkA=0, shrinkB=0, capstyle="butt",
    )  # fmt: skip
    axes.add_patch(patch)
    if flat:
        x, y = path[-1]
        axes.plot([x, x], [y - 0.085, y + 0.085], color=colour, lw=2, zorder=7,
                  solid_capstyle="butt")  # fmt: skip


def _legend(axes: Axes, circuit: Circuit) -> None:
    """A legend of the marks that occur in the drawing."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    q, p = circuit.projections, circuit.populations
    marks = [
        (any(x.plasticity for x in q), Line2D([], [], color=BLUE, lw=1.5, marker="o", ms=3.6,
                                              markevery=[1]), "plastic"),
        (any(not x.plasticity for x in q), Line2D([], [], color="black", lw=0.9), "fixed"),
        (any(x.sign < 0 for x in q), Line2D([], [], color="black", marker="|", ms=7, mew=2,
                                            markevery=[1], lw=0.9), "inhibitory"),
        (any(x.phases for x in q), Line2D([], [], color="black", lw=0.9, ls="--"),
         "in one phase"),
        (any(x.broadcast for x in p), Line2D([], [], color=COLOURS[3], lw=0.9, ls=":"),
         "broadcast"),
        (any(x.observer for x in p), Line2D([], [], color="#999999", lw=0.9), "observer"),
        (any(c.clamp is None and c.leak == 0 for x in p for c in x.compartments),
         Patch(facecolor="white", edgecolor="black", lw=1.8), "memory"),
    ]  # fmt: skip
    used: list[Any] = [(mark, text) for is_used, mark, text in marks if is_used]
    axes.legend(*zip(*used, strict=True), loc="upper center", bbox_to_anchor=(0.5, 0.0),
                ncols=min(len(used), 7), fontsize=6.5, frameon=False, handlelength=2,
                columnspacing=1.2)  # fmt: skip
