"""What the file of a paper states: `Paper`, and the records that its functions take and give."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from streaming.sources import Options

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


@dataclass(frozen=True, eq=False)
class Paper:
    """A published table or figure, run again. Its file ends in ``PAPER = Paper(__name__, ...)``.

    module: ``__name__`` of the file; the public name is its last part, with - for _. The file's
    docstring opens with the citation and what is measured.
    rows, columns: {name: anything}: the lines and columns of the table.
    unit: what the numbers are: "test accuracy (%)".
    published: {(row, column): `Published`}; a cell without one has nothing to compare with.
    full, quick: `Scale` of the paper, and one that ends within three minutes on two cores.
    run(row, column, scale): what is computed: everything but the seed that decides the numbers, as
    JSON has it, with the name of the ``experiment``. Equal runs are computed once, for whatever
    table. None: there is no such cell; a text: why it is not built yet.
    measure(run, seeds, context): computes it, and calls ``context.keep(seed, result)`` with a dict
    of JSON as each seed is done; None for one that diverged.
    value(row, column, results): [number of each seed] in ``unit``, None where there is none; of
    results that did not diverge.

    What only some have:

    mean(row, column, results): what is compared, where it is not the mean of the values.
    draw(found, path): the figure, from {(row, column): results}; without it the cells stand beside
    what was published.
    chosen: what of the settings was chosen by the very numbers of the table, a sentence.
    torch: whether anything runs on torch: else the paper takes no ``device``.
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
    torch: bool = True

    @property
    def cells(self) -> list[Cell]:
        """All cells of the table, row by row."""
        return [(row, column) for row in self.rows for column in self.columns]
