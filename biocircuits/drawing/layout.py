"""Where the parts of a circuit are drawn, from the description alone.

The spine, the populations between input and answer, stands upright, input at the bottom.
Interneurons and sources of constants are on its left, all else on its right, at the height of what
they talk to. Numbers are in inches.
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
    """A population's place: centre x, bottom y of its lowest part, and its parts from below.

    parts {"" (the body) or compartment: y of its centre}. top: where it ends.
    """

    x: float
    y: float
    parts: dict[str, float]
    top: float


class Layout(NamedTuple):
    """cells by population; width and height of all; gutters: x of the free room between columns."""

    cells: dict[str, Cell]
    width: float
    height: float
    gutters: tuple[tuple[float, float], ...]


def shown(p: Population) -> list[Compartment]:
    """Compartments worth drawing: not those that hold a mask, a draw of noise or a constant.

    A population that has no others shows them.
    """
    free = [c for c in p.compartments if c.clamp in (None, "x", "y")]
    return free or list(p.compartments)


def spine(circuit: Circuit) -> list[str]:
    """The shortest way from what holds the input x to the answer.

    Where it is cut: the input, the pyramidal cells in the order of the description, the answer.
    """
    begin = [p.name for p in circuit.populations if any(c.clamp == "x" for c in p.compartments)]
    paths = [[name] for name in begin]
    seen = set(begin)
    while paths:
        path = paths.pop(0)
        if path[-1] == circuit.answer[0]:
            return path
        for q in circuit.projections:
            target = q.target.partition(".")[0]
            if q.source_population == path[-1] and target not in seen:
                seen.add(target)
                paths.append([*path, target])
    cells = [p.name for p in circuit.populations if p.kind == "pyramidal"]
    return list(dict.fromkeys([*begin[:1], *cells, circuit.answer[0]]))


def columns(circuit: Circuit) -> dict[str, tuple[int, int]]:
    """{population: (column, level)}; level 0 is the input's."""
    way = spine(circuit)
    place = {name: (SPINE, level) for level, name in enumerate(way)}
    rest = [p for p in circuit.populations if p.name not in place]
    for p in rest:
        said = [q.target.partition(".")[0] for q in circuit.projections
                if q.source_population == p.name]  # fmt: skip
        heard = [q.source_population for q in circuit.projections
                 if q.target.partition(".")[0] == p.name]  # fmt: skip
        hears = [h.name for h in circuit.populations if h.hears and h.hears.startswith(p.name)]
        near = next((_levels(way, names) for names in (hears, heard, said) if _levels(way, names)),
                    [len(way) - 1])  # fmt: skip
        constant = all(isinstance(c.clamp, float) for c in p.compartments)
        column = LEFT if p.kind == "interneuron" or constant else RIGHT
        level = near[0] if hears else max(near)
        place[p.name] = (column, 0 if constant else level)
    return place


def _levels(way: list[str], names: Iterable[str]) -> list[int]:
    return sorted(way.index(name) for name in names if name in way)


def parts(circuit: Circuit, p: Population, way: list[str]) -> list[str]:
    """Compartments and the body (""), from below: what comes from below enters below the body."""
    names = [c.name for c in shown(p)]
    if p.kind != "pyramidal":
        return ["", *names]
    below = [name for name in names
             if any(_upward(circuit, q, p, way) and q.target == f"{p.name}.{name}"
                    for q in circuit.projections)]  # fmt: skip
    return [*below, "", *(name for name in names if name not in below)]


def _upward(circuit: Circuit, q: Projection, p: Population, way: list[str]) -> bool:
    source = q.source_population
    return source in way and p.name in way and way.index(source) < way.index(p.name)


def layout(circuit: Circuit) -> Layout:
    """Places for all populations of a circuit."""
    way, place = spine(circuit), columns(circuit)
    stacks = {p.name: parts(circuit, p, way) for p in circuit.populations}
    high = {name: sum(PILL if part else BODY for part in stack) for name, stack in stacks.items()}
    left = any(column == LEFT for column, _ in place.values())
    lanes = (1.2 if left else 0.85, 1.5, 0.75)  # room between the columns
    xs = {LEFT: WIDTH / 2, SPINE: lanes[0] + (1.5 if left else 0.5) * WIDTH}
    xs[RIGHT] = xs[SPINE] + WIDTH + lanes[1]
    cells: dict[str, Cell] = {}
    y = 0.0
    for level in range(len(way)):
        tallest = 0.0
        for column in (LEFT, SPINE, RIGHT):
            at = y
            names = [n for n, where in place.items() if where == (column, level)]
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
    at, places = y, {}
    for part in stack:
        tall = PILL if part else BODY
        places[part] = at + tall / 2
        at += tall
    return Cell(x, y, places, at)


def column_of(made: Layout, name: str) -> int:
    """Which column a population stands in, from where it was put."""
    xs = sorted({cell.x for cell in made.cells.values()})
    first = LEFT if made.gutters[0][0] > xs[0] else SPINE
    return first + xs.index(made.cells[name].x)
