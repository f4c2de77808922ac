"""`Paper`, the definition of a paper in its file, and the records of its functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from streaming.sources import Options

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


@dataclass(frozen=True, eq=False)
class Paper:
    """A published table or figure to reproduce. Its file ends in ``PAPER = Paper(__name__, ...)``.

    module: ``__name__`` of the file; the public name is its last part, with - for _. The file's
    docstring begins with the citation and what is measured.
    rows, columns: dicts whose keys name the rows and columns of the table.
    unit: unit of the numbers, e.g. "test accuracy (%)".
    published: {(row, column): `Published`}; cells without one are not compared.
    full, quick: `Scale` of the paper, and one that ends within three minutes on two cores.
    run(row, column, scale): the computation of a cell: a dict for JSON with the name of the
    ``experiment`` and everything that decides the numbers except the seed. Equal runs are computed
    once, also for several tables. None for a cell that does not exist; a text for one that is not
    implemented yet, with the reason.
    measure(run, seeds, context): computes a run; calls ``context.keep(seed, result)`` with a dict
    for JSON when a seed is finished, or with None if it diverged.
    value(row, column, results): list with the number of each seed in ``unit``, or None for a seed
    without one; it is given the results that did not diverge.

    Optional fields:

    mean(row, column, results): the number to compare, if it is not the mean of the values.
    draw(results, path): draws the figure from {(row, column): results}; by default the measured
    cells are drawn with the published numbers.
    chosen: a sentence about settings that were chosen by the numbers of the table.
    remarks: {row or (row, column): one or two sentences on why our numbers differ from the
    published ones}; the page of results shows those of cells that `table.differs` finds.
    torch: False if nothing runs on torch; such a paper takes no ``device``.
    """

    module: str
    _: KW_ONLY
    rows: Mapping[str, Any]
    columns: Mapping[str, Any]
    unit: str
    published: Mapping[Cell, Published]
    full: Scale
    quick: Scale
    run: Callable[[str, str, Scale], dict[str, Any] | str | None]
    measure: Callable[[dict[str, Any], Sequence[int], Context], None]
    value: Callable[[str, str, Sequence[Result]], Sequence[float | None]]
    mean: Callable[[str, str, Sequence[Result]], float] | None = None
    draw: Callable[[Results, Path], None] | None = None
    chosen: str = ""
    remarks: Mapping[Any, str] = field(default_factory=dict)
    torch: bool = True

    @property
    def cells(self) -> list[Cell]:
        """All cells of the table, row by row."""
        return [(row, column) for row in self.rows for column in self.columns]

    def remark(self, cell: Cell) -> str:
        """The remark on a cell, or else on its row, or else ""."""
        return self.remarks.get(cell, self.remarks.get(cell[0], ""))
