"""csv:FILE: the rows of a table in a text file, plain or gzipped, read as a stream.

The first line names the columns. The column ``label``, or else the last column, has the labels; all
other columns are numeric features. Options change this, see `streaming.sources.Options`.

- If all labels are plain whole numbers, they are integer classes. Texts are classes too, one class
  per text. Numbers of which some have decimals make a regression (``classes`` is None).
- A first pass checks every row, and finds the classes with one count per class.
- The samples are the rows in the order of the file, the same in every epoch. By default nothing is
  held out. ``held_out`` holds out the last rows; ``stratify`` the same fraction of every class.
- A missing cell is filled from the training rows before it in the same epoch.

A bad row (not a number, infinite, wrong number of cells, no label) raises BadSample with the line
number. With ``on_bad="skip"`` it is left out of all splits and counted in ``skipped``. A column
without numbers raises BadOption, which names an option that helps. A table that may be misread
gives a warning.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rate_models.errors import BadOption, BadSample
from rate_models.support.estimates import check_memory
from streaming.samples.cutting import cut
from streaming.samples.missing import Filler
from streaming.sources import Chunk, Options, Source, SourceFile
from streaming.tables.columns import beginning, columns
from streaming.tables.labels import Labels
from streaming.tables.rows import RowChunk, Rows
from streaming.tables.split import Split
from streaming.tables.table_file import TableFile

CHUNK, COPIES = 256, 3  # rows learned together; their copies: raw, scaled and cast


def open(argument: str | None, options: Options) -> CsvSource:
    if not argument:
        raise BadOption("csv", got="no file", expected="csv:FILE.csv")
    try:
        path = Path(argument).expanduser()
    except RuntimeError as error:  # ~name without such a user
        raise BadOption("csv", got=f"{argument}: {error}", expected="csv:FILE.csv") from None
    # absolute: a run can be resumed from any folder
    return CsvSource(path, options, name=f"csv:{path.absolute()}")


class CsvSource(Source):
    """A table as a stream; see the module.

    feature_names: the names of the inputs, in order. skipped: the number of rows left out.
    guess: a text that gives the guessed task and the reason; empty if nothing was guessed.

    Raises MissingData without the file, BadOption if it has no header or no rows, and BadSample for
    a bad row. Warns if the table may be misread.
    """

    def __init__(
        self, path: Path, options: Options | None = None, *, name: str | None = None
    ) -> None:
        options = options or Options()
        self.name = name or f"csv:{path}"
        self._options, self._path = options, path
        self._file = TableFile(path, options)
        first = beginning(self._file.records())
        self._columns = columns(str(path), first, options, self._file.encoding)
        wide = len(self._columns.features)
        needed = COPIES * CHUNK * wide * np.dtype(float).itemsize
        check_memory(str(path), f"{wide:,} features", needed, "leave some out by --drop")
        self.reading = self._columns.reading
        self._label = self._columns.names[self._columns.label]
        self._labels = Labels(
            str(path), self._label, task=options.task, loss=options.loss, decimal=options.decimal
        )
        try:
            rows = self._scan()
        except BadSample:
            self._file.whole()  # a truncated file is the error to report then
            raise
        counts = self._labels.counts if self.classes is not None else {}
        self._split = Split(options.held_out, options.stratify, rows, counts)
        self.length = rows - self._split.n_test
        if not self.length:
            raise BadOption(
                "--held-out", got=f"{options.held_out:g}, all {rows} rows", expected="a smaller one"
            )
        for text in (*self._columns.warnings, self._labels.warning):
            if text:
                warnings.warn(text, stacklevel=4)

    @property
    def skipped(self) -> int:
        """The number of rows left out."""
        return self._left_out

    def chunks(self, epoch: int, start: int = 0, size: int = CHUNK) -> Iterator[Chunk]:
        """See `Source.chunks`. It reads the file from its beginning.

        Raises BadOption if the file has changed since it was opened.
        """
        return cut(self._part(held_out=False), start, size)

    def test(self, size: int = 1024) -> Iterator[Chunk] | None:
        """See `Source.test`."""
        return cut(self._part(held_out=True), 0, size) if self._split.n_test else None

    def _rows(self) -> Rows:
        o = self._options
        return Rows(
            self._path, self._columns, self._labels, decimal=o.decimal, missing=o.missing,
            on_bad=o.on_bad, encoding=self._file.encoding,
        )  # fmt: skip

    def _scan(self) -> int:
        """The first pass: finds labels and columns with gaps; returns the number of rows."""
        rows, n = self._rows(), 0
        gaps = np.zeros(len(self._columns.features), np.bool_)
        for chunk in rows.chunks(self._file, first_pass=True, bar="reading"):
            missing = np.isnan(chunk.values)
            gaps |= missing.any(axis=0)
            self.missing += int(missing.sum())
            n += len(chunk.values)
        self._file.unchanged()
        skip = "skip" in (self._options.missing, self._options.on_bad)
        absent, left_out = self._labels.settle(n, self._options.missing == "skip")
        if left_out and not skip:
            text, line = min(absent.items(), key=lambda item: item[1])
            raise BadSample(
                f"{self._path}, line {line}, column {self._label!r}",
                got=f"{text!r}, a missing label",
                expected="a label",
                remedy="--missing skip or --on-bad skip leaves the row out",
            )
        self._left_out = rows.skipped + left_out
        if n == left_out:
            bad = f" but {self._left_out} bad ones" if self._left_out else ""
            raise BadOption(
                str(self._path), got=f"an empty stream: no rows{bad}", expected="at least one row"
            )
        self.classes, self.guess = self._labels.classes, self._labels.guess
        names = self._columns.feature_names
        self._gaps = bool(gaps.any())
        self._indicators = np.flatnonzero(gaps & self._options.missing_indicator)
        self.feature_names = (*names, *(f"{names[i]} missing" for i in self._indicators))
        self.n_features = len(self.feature_names)
        return n - left_out

    def _part(self, held_out: bool) -> Iterator[Chunk]:
        """The training samples or the held-out ones, chunk by chunk."""
        self._file.unchanged()
        split = self._split.of()
        fill = Filler(self._options.missing, len(self._columns.features), self._indicators)
        n = 0
        for values, labels in self._chunks():
            self._file.unchanged()  # before rows of a changed file are learned
            held = split(labels)
            if self._gaps:
                values = fill(values, ~held)
            mine = held == held_out
            n += int(mine.sum())
            if mine.all():
                yield values, labels
            elif mine.any():
                yield values[mine], labels[mine]
            if n == self.length and not held_out:
                return
        if n != (self._split.n_test if held_out else self.length):
            raise self._file.changed()

    def _chunks(self) -> Iterator[RowChunk]:
        try:
            yield from self._rows().chunks(self._file)
        except BadSample:  # the first pass found none, so the file has changed
            self._file.unchanged()
            raise


SOURCE = SourceFile(__name__, open=open, table=True)
