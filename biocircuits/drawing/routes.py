"""The routes of the lines of a drawing between the positions of a `Layout`.

A line leaves a body sideways, runs vertically in its own lane, and arrives sideways. Lines up the
spine run on its right, lines down the spine on its left.
"""

from __future__ import annotations

from typing import NamedTuple

from biocircuits.description.circuit import Circuit
from biocircuits.drawing.layout import BODY, PILL, SPINE, WIDTH, Layout, column_of

LANE = 0.11  # between lanes, in inches
Point = tuple[float, float]


class Line(NamedTuple):
    """A projection or a broadcast.

    key: its name. source: population.output. population: the source population. target: the target
    population. part: the compartment; empty for a broadcast.
    """

    key: str
    source: str
    population: str
    target: str
    part: str


class Lanes:
    """The lane of each output in each gutter, in which its lines run vertically."""

    def __init__(self, layout: Layout, ports: Ports, lines: list[Line]) -> None:
        self._layout = layout
        spans: dict[tuple[int, str], list[float]] = {}
        for line in lines:
            gutter, begin, end = ends(layout, line, ports)
            spans.setdefault((gutter, line.source), []).extend([begin[1], end[1]])
        self._lane: dict[tuple[int, str], int] = {}
        occupied: list[tuple[int, int, float, float]] = []
        for key, ys in sorted(spans.items(), key=lambda item: max(item[1]) - min(item[1])):
            low, high = min(ys) - 0.12, max(ys) + 0.12
            near = {n for g, n, x, y in occupied if g == key[0] and not (high < x or y < low)}
            lane = next(n for n in range(len(near) + 1) if n not in near)
            self._lane[key] = lane
            occupied.append((key[0], lane, low, high))

    def x(self, gutter: int, output: str) -> float:
        """The x of the lane of an output; lanes are counted from the spine."""
        left, right = self._layout.gutters[gutter]
        away = 0.62 + LANE * self._lane[gutter, output]
        return right - away if gutter == 0 else left + away


class Ports:
    """The heights at which lines join a part; several on one side are spread evenly."""

    def __init__(self, circuit: Circuit, layout: Layout) -> None:
        self._layout, self._keys = layout, dict[tuple[str, str, int], list[str]]()
        for key, output, source, population, part in lines_of(circuit):
            out, into = sides(layout, source, population)
            self._add(source, "", out, output)
            self._add(population, part, into, key)

    def _add(self, population: str, part: str, side: int, key: str) -> None:
        keys = self._keys.setdefault((population, part, side), [])
        if key not in keys:
            keys.append(key)

    def y(self, population: str, part: str, side: int, key: str) -> float:
        """The height of the line ``key`` at a side (-1 left, 1 right) of a part."""
        keys = self._keys[population, part, side]
        room = (0.62 * BODY if part == "" else 0.62 * PILL) / len(keys)
        centres = self._layout.cells[population].parts
        low = -0.1 * BODY if part == "" else 0
        return centres.get(part, centres[""]) + low + room * (keys.index(key) - (len(keys) - 1) / 2)


def lines_of(circuit: Circuit) -> list[Line]:
    """The lines of all projections and broadcasts."""
    lines = [Line(q.name, f"{q.source_population}.{q.output}", q.source_population,
                  *q.target.split(".")) for q in circuit.projections]  # fmt: skip
    lines += [Line(f"broadcast {p.name}", p.broadcast, p.broadcast.partition(".")[0], p.name, "")
              for p in circuit.populations if p.broadcast]  # fmt: skip
    return lines


def sides(layout: Layout, source: str, target: str) -> tuple[int, int]:
    """The sides at which a line leaves its source and reaches its target: -1 left, 1 right."""
    a, b = column_of(layout, source), column_of(layout, target)
    if a != b:
        return (1, -1) if a < b else (-1, 1)
    down = a == SPINE and layout.cells[source].y > layout.cells[target].y
    return (-1, -1) if down else (1, 1)


def ends(layout: Layout, line: Line, ports: Ports) -> tuple[int, Point, Point]:
    """(gutter, begin, end) of a line, from a body to a part."""
    out, into = sides(layout, line.population, line.target)
    a, b = layout.cells[line.population], layout.cells[line.target]
    begin = a.x + out * BODY * 0.3, ports.y(line.population, "", out, line.source)
    wide = WIDTH / 2 if line.part in b.parts and line.part else BODY * 0.42
    end = b.x + into * wide, ports.y(line.target, line.part, into, line.key)
    return column_of(layout, line.population) - (out < 0), begin, end
