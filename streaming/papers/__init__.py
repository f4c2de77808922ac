"""Published tables and figures, run again: one file per table or figure, found by `catalogue`.

A paper's file stands in a package that the entry-point group ``dendrostream.papers`` names; its
public name is the file's, with - for _. It opens with the citation and what is measured, and holds:

`ROWS`, `COLUMNS`   {name: anything}: the lines and columns of the table
`UNIT`              what the numbers are: "test accuracy (%)"
`PUBLISHED`         {(row, column): `Published`}; a cell without one has nothing to compare with
`FULL`, `QUICK`     `Scale` of the paper, and one that ends within three minutes on two cores
`run(row, column, scale)`   what is computed: everything but the seed that decides the numbers, as
                    JSON has it, with the name of the ``experiment``. Equal runs are computed once,
                    for whatever table. None: there is no such cell; a text: why it is not built yet
`measure(run, seeds, context)`      computes it, and calls ``context.keep(seed, result)`` with a
                    dict of JSON as each seed is done; None for one that diverged
`value(row, column, results)`       [number of each seed] in `UNIT`, None where there is none; of
                    results that did not diverge

What only some have:

`CHOSEN`            what of the settings was chosen by the very numbers of the table, a sentence
`TORCH`             False where nothing runs on torch: such a paper takes no ``device``
`mean(row, column, results)`        what is compared, where it is not the mean of the values
`draw(found, path)`                 the figure, from {(row, column): results}; without it the cells
                    stand beside what was published
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, NamedTuple

from rate_models.errors import UnknownName
from rate_models.model.hyperparameters import closest
from rate_models.support import lookup, own_files
from streaming.sources import Options

OURS = ("dendrostream_demos.papers", "demos.papers")  # installed, or in a bare checkout


def _exists(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        return False


PAPERS = lookup.Kind(
    "paper", next(filter(_exists, OURS), OURS[0]), "PAPER", ModuleType, "ROWS, COLUMNS and run"
)

Result = dict[str, Any]
Cell = tuple[str, str]
Results = dict[Cell, list[Result]]


class Published(NamedTuple):
    """A number of a paper, its standard deviation over runs if given, and where it stands."""

    mean: float
    std: float | None
    where: str


class Scale(NamedTuple):
    """How much is computed. epochs: as the paper's file counts. samples: of training, None: all."""

    seeds: int
    epochs: int
    samples: int | None = None


class Unfinished(NamedTuple):
    """Where a measurement is, to go on from: arrays, and what JSON has."""

    arrays: Mapping[str, Any]
    meta: dict[str, Any]


class Context(NamedTuple):
    """What a measurement is told, and whom it tells.

    tick: called with a line about how far it is. note: with what else is to be known of how the
    numbers came about; it is said and kept beside them. unfinished: what was last given to
    ``checkpoint`` for a seed of this run, by whoever was interrupted; None where nothing was.
    checkpoint: (seed, what makes an `Unfinished`), called often; it is made once in a while.
    """

    keep: Callable[[int, Result | None], object]
    device: str = "cpu"
    data: Options = Options()
    tick: Callable[[str], object] = lambda _: None
    note: Callable[[str], object] = lambda _: None
    unfinished: Callable[[int], Unfinished | None] = lambda _: None
    checkpoint: Callable[[int, Callable[[], Unfinished]], object] = lambda *_: None


def catalogue() -> dict[str, str]:
    """{public name: name of the file} of all papers that are installed, sorted."""
    return {name.replace("_", "-"): name for name in lookup.names(PAPERS)}


def get(name: str) -> ModuleType:
    """The module of a paper, by its name or the path of a file.

    Raises UnknownName, which lists the valid names, and what `own_files.load` raises.
    """
    if own_files.parse(name):
        return lookup.module(PAPERS, name)
    valid, public = catalogue(), name.replace("_", "-")
    if public not in valid:
        raise UnknownName("paper", got=repr(name), expected=f"one of {', '.join(valid)}",
                          remedy=closest(public, list(valid)))  # fmt: skip
    return lookup.module(PAPERS, valid[public])


def named(name: str) -> str:
    """The public name: with - for _, of a file its stem."""
    return own_files.shown(name).replace("_", "-")


def reference(name: str) -> str:
    """What finds a paper in another process: its name, or path and digest of its file."""
    return lookup.reference(PAPERS, get(name).__name__, f"paper {name}")


def citation(paper: ModuleType) -> str:
    """The first paragraph of a paper's file."""
    return " ".join(lookup.document(paper).partition("\n\n")[0].split())
