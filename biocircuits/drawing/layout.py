"""The layout of a drawing, computed from the description of a circuit.

The spine, which is the path of populations from input to answer, is vertical with the input at the
bottom. Interneurons and constant sources are left of it and all other populations right of it, at
the height of the populations to which they connect. Numbers are in inches.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from biocircuits.description.circuit import Circuit
from biocircuits.description.populations import Compartment, Population
from biocircuits.description.projections import Projection

PILL, BODY, WIDTH, GAP = 0.23, 0.42, 1.02, 0.38
LEFT, SPINE, RIGHT = 0, 1, 2


class Cell(NamedTuple):
    """The position of a population: x of its centre, y of its lower edge.

    parts: {compartment, or "" for the cell body: y of its centre}, from below. top: y of the upper
    edge.
    """

    x: float
    y: float
    parts: dict[str, float]
    top: float


class Layout(NamedTuple):
    """The positions of all populations.

    cells: by population. width, height: of the drawing. gutters: x of both edges of the free space
    right of each column.
    """

    cells: dict[str, Cell]
    width: float
    height: float
    gutters: tuple[tuple[float, float], ...]


def shown(p: Population) -> list[Compartment]:
    """The compartments to draw: those not clamped to a mask, to noise or to a constant.

    All compartments of a population that has no other.
    """
    free = [c for c in p.compartments if c.clamp in (None, "x", "y")]
    return free or list(p.compartments)


def spine(circuit: Circuit) -> list[str]:
    """The shortest path of populations from the input x to the answer.

    Where there is none: the input, the pyramidal cells in their order, and the answer.
    """
    begin = [p.name for p in circuit.populations if any(c.clamp == "x" for c in p.compartments)]
    paths = [[name] for name in begin]
    visited = set(begin)
    while paths:
        path = paths.pop(0)
        if path[-1] == circuit.answer[0]:
            return path
        for q in circuit.projections:
            target = q.target.partition(".")[0]
            if q.source_population == path[-1] and target not in visited:
                visited.add(target)
                paths.append([*path, target])
    cells = [p.name for p in circuit.populations if p.kind == "pyramidal"]
    return list(dict.fromkeys([*begin[:1], *cells, circuit.answer[0]]))


def columns(circuit: Circuit) -> dict[str, tuple[int, int]]:
    """{population: (column, level)}; level 0 is that of the input."""
    path = spine(circuit)
    positions = {name: (SPINE, level) for level, name in enumerate(path)}
    rest = [p for p in circuit.populations if p.name not in positions]
    for p in rest:
        targets = [q.target.partition(".")[0] for q in circuit.projections
                if q.source_population == p.name]  # fmt: skip
        sources = [q.source_population for q in circuit.projections
                 if q.target.partition(".")[0] == p.name]  # fmt: skip
        listeners = [h.name for h in circuit.populations
                     if h.broadcast and h.broadcast.startswith(p.name)]  # fmt: skip
        groups = (_levels(path, names) for names in (listeners, sources, targets))
        near = next((levels for levels in groups if levels), [len(path) - 1])
        constant = all(isinstance(c.clamp, float) for c in p.compartments)
        column = LEFT if p.kind == "interneuron" or constant else RIGHT
        level = near[0] if listeners else max(near)
        positions[p.name] = (column, 0 if constant else level)
    return positions


def _levels(path: list[str], names: Iterable[str]) -> list[int]:
    return sorted(path.index(name) for name in names if name in path)


def parts(circuit: Circuit, p: Population, path: list[str]) -> list[str]:
    """Compartments and the body (""), from below.

    Compartments that receive input from lower levels are below the body.
    """
    names = [c.name for c in shown(p)]
    if p.kind != "pyramidal":
        return ["", *names]
    below = [name for name in names
             if any(_upward(circuit, q, p, path) and q.target == f"{p.name}.{name}"
                    for q in circuit.projections)]  # fmt: skip
    return [*below, "", *(name for name in names if name not in below)]


def _upward(circuit: Circuit, q: Projection, p: Population, path: list[str]) -> bool:
    source = q.source_population
    return source in path and p.name in path and path.index(source) < path.index(p.name)


def layout(circuit: Circuit) -> Layout:
    """The layout of a circuit."""
    path, positions = spine(circuit), columns(circuit)
    stacks = {p.name: parts(circuit, p, path) for p in circuit.populations}
    high = {name: sum(PILL if part else BODY for part in stack) for name, stack in stacks.items()}
    left = any(column == LEFT for column, _ in positions.values())
    lanes = (1.2 if left else 0.85, 1.5, 0.75)  # space between the columns
    xs = {LEFT: WIDTH / 2, SPINE: lanes[0] + (1.5 if left else 0.5) * WIDTH}
    xs[RIGHT] = xs[SPINE] + WIDTH + lanes[1]
    cells: dict[str, Cell] = {}
    y = 0.0
    for level in range(len(path)):
        tallest = 0.0
        for column in (LEFT, SPINE, RIGHT):
            at = y
            names = [n for n, where in positions.items() if where == (column, level)]
            for name in sorted(names, key=lambda n: circuit.population(n).kind == "input"):
                cells[name] = _cell(xs[column], at, stacks[name])
                at += high[name] + GAP + 0.1
            tallest = max(tallest, at - y)
        y += tallest + 0.12
    gutters = (
        (xs[SPINE] - WIDTH / 2 - lanes[0], xs[SPINE] - WIDTH / 2),
        (xs[SPINE] + WIDTH / 2, xs[RIGHT] - WIDTH / 2),
        (xs[RIGHT] + WIDTH / 2, xs[RIGHT] + WIDTH / 2 + lanes[2]),
    )
    return Layout(cells, xs[RIGHT] + WIDTH / 2 + lanes[2], y - GAP, gutters)


def _cell(x: float, y: float, stack: list[str]) -> Cell:
    at, centres = y, {}
    for part in stack:
        tall = PILL if part else BODY
        centres[part] = at + tall / 2
        at += tall
    return Cell(x, y, centres, at)


def column_of(layout: Layout, name: str) -> int:
    """The column of a population: LEFT, SPINE or RIGHT."""
    xs = sorted({cell.x for cell in layout.cells.values()})
    first = LEFT if layout.gutters[0][0] > xs[0] else SPINE
    return first + xs.index(layout.cells[name].x)
