"""csv:FILE: the rows of a CSV file (UTF-8, commas), read as a stream and never whole in memory.

The first line names the columns. The column ``label``, or else the last one, is the label; all
others are numbers. Blank lines are passed over.

- Labels that are all whole numbers are integer classes; any other text makes string classes.
- Labels that are all numbers, some with decimals, make a regression (``classes`` is None), and so
  do whole numbers that are too different to be classes: see `streaming.sources._task`.
  ``Options.task`` decides instead of the labels.
- A first pass checks every row, finds the classes and counts; it holds one count per class.
- Held out: one row, chosen by a hash, of each 5 consecutive rows of a class (a regression counts
  as one class). All other rows are the training samples, in the order of the file every epoch.

A bad row (no number, NaN, infinite, too few or many cells, no label) raises BadSample with the
line number; with ``Options.on_bad="skip"`` it belongs to no split and counts in ``skipped``.
"""

from __future__ import annotations

import csv
import math
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rate_models.errors import BadOption, BadSample, MissingData
from streaming.sources import Chunk, Options
from streaming.sources._split import SPLIT_SEED
from streaming.sources._task import task_of

BLOCK = 5
MAX_CLASSES = 65_536


def open(argument: str | None, options: Options) -> CsvSource:
    if not argument:
        raise BadOption("csv", got="no file", expected="csv:FILE.csv")
    path = Path(argument).expanduser()
    # absolute: a run is gone on with from anywhere
    name = f"csv:{path.absolute()}"
    return CsvSource(path, options.on_bad, name=name, task=options.task, loss=options.loss)


class CsvSource:
    """See the module. ``feature_names`` are the header's names without that of the label.

    Raises MissingData without the file, BadOption where it has no header or no rows, BadSample
    for a bad row.
    """

    def __init__(
        self,
        path: Path,
        on_bad: str = "raise",
        *,
        name: str | None = None,
        task: str | None = None,
        loss: str | None = None,
    ) -> None:
        if not path.is_file():
            raise MissingData("csv", got=f"no file {path}", expected="csv:FILE.csv")
        self.name = name or f"csv:{path}"
        self.scale, self.maximum = "running", 1.0
        self.defaults: Mapping[str, Any] = {}
        self.skipped = 0
        self._path, self._on_bad = path, on_bad
        self._stamp = self._size_and_time()
        self._header = self._read_header()
        names = self._header
        self._column = names.index("label") if "label" in names else len(names) - 1
        self.feature_names = (*names[: self._column], *names[self._column + 1 :])
        self.n_features = len(self.feature_names)
        self._kind: type = float if task == "regression" else int
        self._scan(task, loss)

    def chunks(self, epoch: int, start: int = 0, size: int = 256) -> Iterator[Chunk]:
        """See `streaming.sources.Source.chunks`. Reads the file from its beginning."""
        return self._split(False, start, size)

    def test(self, size: int = 1024) -> Iterator[Chunk] | None:
        """See `streaming.sources.Source.test`."""
        return self._split(True, 0, size) if self._n_test else None

    def _split(self, held_out: bool, start: int, size: int) -> Iterator[Chunk]:
        if self._size_and_time() != self._stamp:
            raise BadOption(
                str(self._path),
                got="a file that changed since it was opened",
                expected="the same rows in every epoch",
            )
        X: list[list[float]] = []
        y: list[Any] = []
        passed = 0
        seen: Counter[Any] = Counter()
        for values, text in self._rows():
            label = float(text) if self.classes is None else self._labels[text]
            group = None if self.classes is None else label
            block, offset = divmod(seen[group], BLOCK)
            seen[group] += 1
            whole = block < self._rows_of[group] // BLOCK
            if (whole and offset == _chosen(group, block)) is not held_out:
                continue
            passed += 1
            if passed > start:
                X.append(values)
                y.append(label)
            if len(X) == size:
                yield np.array(X), np.array(y)
                X, y = [], []
        if X:
            yield np.array(X), np.array(y)

    def _scan(self, task: str | None, loss: str | None) -> None:
        """The first pass: the kind of label, the rows of each class, the bad rows."""
        texts: Counter[str] = Counter()
        rows, many = 0, False
        for _, text in self._rows(count_bad=True):
            rows += 1
            number = _number(text)
            if number is None:
                self._kind = str
            elif self._kind is int and not number.is_integer():
                self._kind = str if task == "classification" else float
            if self._kind is not float and not many:
                texts[text] += 1
                many = len(texts) > MAX_CLASSES
        if not rows:
            bad = f" but {self.skipped} bad ones" if self.skipped else ""
            raise BadOption(
                str(self._path), got=f"an empty stream: no rows{bad}", expected="at least one row"
            )
        column = f"column {self._header[self._column]!r}"
        chosen, self.guess = task_of(column, self._kind, len(texts), rows, task, loss)
        if chosen == "regression":
            self._kind = float
        elif many:
            raise BadOption(
                f"{self._path}, {column}",
                got=f"more than {MAX_CLASSES} different labels",
                expected="classes, or numbers and --task regression",
                remedy="name the column of the classes `label`",
            )
        self.classes: tuple[Any, ...] | None = None
        self._labels: dict[str, Any] = {}
        self._rows_of: Counter[Any] = Counter()
        if self._kind is float:
            self._rows_of[None] = rows
        else:
            self._labels = {t: t if self._kind is str else _whole(t) for t in texts}
            self.classes = tuple(sorted(set(self._labels.values())))
            for text, count in texts.items():
                self._rows_of[self._labels[text]] += count
        self._n_test = sum(n // BLOCK for n in self._rows_of.values())
        self.length: int | None = rows - self._n_test

    def _read_header(self) -> list[str]:
        try:
            header = [h.strip() for h in next(self._records(), (0, []))[1]]
        except OSError as error:
            raise MissingData("csv", got=error, expected="a file that can be read") from error
        where = f"{self._path}, line 1"
        if not header:
            raise BadOption(where, got="an empty stream", expected="the names of the columns")
        if len(header) < 2:
            raise BadOption(
                where,
                got=f"one column, {header[0][:80]!r}",
                expected="features and a label, by commas",
            )
        numbered = [str(i) for i in range(len(header))]  # what pandas writes for nameless columns
        if all(_number(h) is not None for h in header) and header != numbered:
            raise BadOption(where, got="numbers alone", expected="the names of the columns")
        return header

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        """Line number and cells of every record, the header first."""
        with self._path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            reader = csv.reader(file, strict=True)
            try:
                for cells in reader:
                    if cells:
                        yield reader.line_num, cells
            except csv.Error as error:
                where = f"{self._path}, line {reader.line_num}"
                raise BadSample(where, got=error, expected="well-formed CSV") from error

    def _rows(self, count_bad: bool = False) -> Iterator[tuple[list[float], str]]:
        """Features and the text of the label of each good row."""
        records = self._records()
        next(records)
        for line, cells in records:
            try:
                yield self._parse(cells, line)
            except BadSample:
                if self._on_bad == "raise":
                    raise
                self.skipped += count_bad

    def _parse(self, cells: list[str], line: int) -> tuple[list[float], str]:
        if len(cells) != len(self._header):
            raise self._bad(line, got=f"{len(cells)} cells", expected=str(len(self._header)))
        text = cells[self._column].strip()
        number = _number(text)
        if not text or (self._kind is float if number is None else not math.isfinite(number)):
            what = "a number, as it is a regression" if self._kind is float else "a label"
            raise self._bad(line, self._column, got=repr(text), expected=what)
        try:
            values = [float(c) for i, c in enumerate(cells) if i != self._column]
        except ValueError:
            values = []
        if not values or not all(map(math.isfinite, values)):
            bad = next(i for i, c in enumerate(cells) if i != self._column and not _is_finite(c))
            raise self._bad(line, bad, got=repr(cells[bad]), expected="a finite number")
        return values, text

    def _bad(self, line: int, column: int | None = None, *, got: str, expected: str) -> BadSample:
        where = f"{self._path}, line {line}"
        if column is not None:
            where += f", column {self._header[column]!r}"
        return BadSample(where, got=got, expected=expected, remedy="mend it, or on_bad=skip")

    def _size_and_time(self) -> tuple[int, int]:
        try:
            status = self._path.stat()
        except OSError:  # taken away while it was being read
            return -1, -1
        return status.st_size, status.st_mtime_ns


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _is_finite(text: str) -> bool:
    number = _number(text)
    return number is not None and math.isfinite(number)


def _whole(text: str) -> int:
    """
    >>> _whole("-3"), _whole("2.0"), _whole("9007199254740993")
    (-3, 2, 9007199254740993)
    """
    try:
        return int(text)
    except ValueError:
        return int(float(text))


def _chosen(group: Any, block: int) -> int:
    """Which row of a block of a class is held out: a hash, so that nothing need be kept."""
    return zlib.crc32(f"{SPLIT_SEED},{group},{block}".encode()) % BLOCK
