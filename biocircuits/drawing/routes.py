"""Which way the lines of a drawing take between the places that `_layout` gives.

A line leaves a body sideways, runs up or down in a lane of its own, and arrives sideways. Up the
spine it runs on the right, down on the left.
"""

from __future__ import annotations

from typing import NamedTuple

from biocircuits.description.circuit import Circuit
from biocircuits.drawing.layout import BODY, PILL, SPINE, WIDTH, Layout, column_of

LANE = 0.11  # between lanes, in inches
Point = tuple[float, float]


class Line(NamedTuple):
    """A projection or broadcast: its name, what is said, by which population, to which part."""

    key: str
    source: str
    population: str
    target: str
    part: str


class Lanes:
    """Which free lane the vertical parts of an output's lines take in each gutter."""

    def __init__(self, made: Layout, ports: Ports, lines: list[Line]) -> None:
        self._made = made
        spans: dict[tuple[int, str], list[float]] = {}
        for line in lines:
            gutter, begin, end = ends(made, line, ports)
            spans.setdefault((gutter, line.source), []).extend([begin[1], end[1]])
        self._lane: dict[tuple[int, str], int] = {}
        taken: list[tuple[int, int, float, float]] = []
        for key, ys in sorted(spans.items(), key=lambda item: max(item[1]) - min(item[1])):
            low, high = min(ys) - 0.12, max(ys) + 0.12
            near = {n for g, n, x, y in taken if g == key[0] and not (high < x or y < low)}
            lane = next(n for n in range(len(near) + 1) if n not in near)
            self._lane[key] = lane
            taken.append((key[0], lane, low, high))

    def x(self, gutter: int, output: str) -> float:
        """Lanes are counted from the spine."""
        left, right = self._made.gutters[gutter]
        away = 0.62 + LANE * self._lane[gutter, output]
        return right - away if gutter == 0 else left + away


class Ports:
    """At which heights lines meet a part: spread where several meet on one side."""

    def __init__(self, circuit: Circuit, made: Layout) -> None:
        self._made, self._met = made, dict[tuple[str, str, int], list[str]]()
        for key, said, source, population, part in lines_of(circuit):
            out, into = sides(made, source, population)
            self._meet(source, "", out, said)
            self._meet(population, part, into, key)

    def _meet(self, population: str, part: str, side: int, key: str) -> None:
        met = self._met.setdefault((population, part, side), [])
        if key not in met:
            met.append(key)

    def y(self, population: str, part: str, side: int, key: str) -> float:
        """The height of the line ``key`` at a side (-1 left, 1 right) of a part."""
        met = self._met[population, part, side]
        room = (0.62 * BODY if part == "" else 0.62 * PILL) / len(met)
        place = self._made.cells[population].parts
        low = -0.1 * BODY if part == "" else 0
        return place.get(part, place[""]) + low + room * (met.index(key) - (len(met) - 1) / 2)


def lines_of(circuit: Circuit) -> list[Line]:
    """Projections and broadcasts."""
    found = [Line(q.name, f"{q.source_population}.{q.output}", q.source_population,
                  *q.target.split(".")) for q in circuit.projections]  # fmt: skip
    found += [Line(f"hears {p.name}", p.hears, p.hears.partition(".")[0], p.name, "")
              for p in circuit.populations if p.hears]  # fmt: skip
    return found


def sides(made: Layout, source: str, target: str) -> tuple[int, int]:
    """Where a line leaves and arrives: -1 left, 1 right. Up the spine right of it, down left."""
    a, b = column_of(made, source), column_of(made, target)
    if a != b:
        return (1, -1) if a < b else (-1, 1)
    down = a == SPINE and made.cells[source].y > made.cells[target].y
    return (-1, -1) if down else (1, 1)


def ends(made: Layout, line: Line, ports: Ports) -> tuple[int, Point, Point]:
    """The gutter of a line, and where it begins, at a body, and ends, at a part."""
    out, into = sides(made, line.population, line.target)
    a, b = made.cells[line.population], made.cells[line.target]
    begin = a.x + out * BODY * 0.3, ports.y(line.population, "", out, line.source)
    wide = WIDTH / 2 if line.part in b.parts and line.part else BODY * 0.42
    end = b.x + into * wide, ports.y(line.target, line.part, into, line.key)
    return column_of(made, line.population) - (out < 0), begin, end
