"""Published tables and figures, reproduced: one file per table or figure, found by `catalogue`.

The file of a paper is in a package that the entry-point group ``dendrostream.papers`` names. Its
public name is that of the file, with - for _. Its docstring has the citation and what is measured.
It defines:

`ROWS`, `COLUMNS`   dicts whose keys name the rows and columns of the table
`UNIT`              the unit of the numbers, e.g. "test accuracy (%)"
`PUBLISHED`         {(row, column): `Published`}; cells without one are not compared
`FULL`, `QUICK`     `Scale` of the paper, and one that ends within three minutes on two cores
`run(row, column, scale)`   the computation of a cell: a dict for JSON with the name of the
                    ``experiment`` and everything that decides the numbers except the seed. Equal
                    runs are computed once, also for several tables. None for a cell that does not
                    exist; a text for one that is not implemented yet, with the reason
`measure(run, seeds, context)`      computes a run; calls ``context.keep(seed, result)`` with a dict
                    for JSON when a seed is finished, or with None if it diverged
`value(row, column, results)`       list with the number of each seed in `UNIT`, or None for a seed
                    without one; it is given the results that did not diverge

Optional definitions:

`CHOSEN`            a sentence about settings that were chosen by the numbers of the table
`TORCH`             False if nothing runs on torch; such a paper takes no ``device``
`mean(row, column, results)`        the number to compare, if it is not the mean of the values
`draw(found, path)`                 draws the figure from {(row, column): results}; by default the
                    measured cells are drawn with the published numbers
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any, NamedTuple

from rate_models.errors import UnknownName
from rate_models.model.hyperparameters import closest
from rate_models.support import lookup
from streaming.sources import Options

GROUP = "dendrostream.papers"
OURS = ("dendrostream_demos.papers", "demos.papers")  # installed, or in a bare checkout

Result = dict[str, Any]
Cell = tuple[str, str]
Results = dict[Cell, list[Result]]


class Published(NamedTuple):
    """A number of a paper, its standard deviation over runs if published, and its location."""

    mean: float
    std: float | None
    where: str


class Scale(NamedTuple):
    """How much is computed.

    epochs: as the file of the paper counts them. samples: training samples, None for all.
    """

    seeds: int
    epochs: int
    samples: int | None = None


class Unfinished(NamedTuple):
    """The state of an unfinished measurement: arrays, and values for JSON."""

    arrays: Mapping[str, Any]
    meta: dict[str, Any]


class Context(NamedTuple):
    """The options and callbacks of a measurement.

    keep(seed, result): keep the result of a finished seed, None for one that diverged.
    device, data: where to compute, and the options of the data set.
    tick(text): report progress in a line.
    note(text): report how the numbers were made; the line is also kept with the result.
    unfinished(seed): the last state that an interrupted measurement of this run gave to
    ``checkpoint``, or None.
    checkpoint(seed, make): keep the state that ``make()`` returns. It is called often, and calls
    ``make`` once in a while.
    """

    keep: Callable[[int, Result | None], object]
    device: str = "cpu"
    data: Options = Options()
    tick: Callable[[str], object] = lambda _: None
    note: Callable[[str], object] = lambda _: None
    unfinished: Callable[[int], Unfinished | None] = lambda _: None
    checkpoint: Callable[[int, Callable[[], Unfinished]], object] = lambda *_: None


def catalogue() -> dict[str, tuple[str, str]]:
    """{public name: (package, module name)} of all papers, sorted."""
    ours = [package for package in OURS if _exists(package)][:1]
    named = {point.value for point in entry_points(group=GROUP)} - set(OURS)
    modules = {}
    for package in [*ours, *sorted(named)]:
        for name in lookup.names(package):
            modules[name.replace("_", "-")] = (package, name)
    return dict(sorted(modules.items()))


def get(name: str) -> ModuleType:
    """The module of a paper; UnknownName lists the valid names."""
    valid = catalogue()
    public = name.replace("_", "-")
    if public not in valid:
        raise UnknownName("paper", got=repr(name), expected=f"one of {', '.join(valid)}",
                          remedy=closest(public, list(valid)))  # fmt: skip
    return lookup.get(*valid[public])


def citation(paper: ModuleType) -> str:
    """The first paragraph of a paper's file."""
    return " ".join(lookup.document(paper).partition("\n\n")[0].split())


def _exists(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        return False
