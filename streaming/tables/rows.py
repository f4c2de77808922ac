"""Chunks of records as numbers and labels; bad rows are refused or skipped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, compress
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rate_models.errors import BadSample
from streaming.tables.columns import Columns
from streaming.tables.labels import Labels
from streaming.tables.numbers import feature, numbers
from streaming.tables.plain import plain_rows
from streaming.tables.table_file import Piece, TableFile, is_text, undecodable


class RowChunk(NamedTuple):
    """Good rows: values (n, features), NaN for a missing cell, and labels (n,), of length 0 in a
    first pass."""

    values: NDArray[np.float64]
    labels: NDArray[Any]


class Rows:
    """Converts records to chunks of numbers and labels.

    missing: "raise" or "skip" rows with a missing cell; any other value leaves NaN in it. on_bad:
    "raise" or "skip" for bad rows. ``skipped`` counts the rows left out in all passes.
    Raises BadSample with the line number.
    """

    def __init__(
        self, path: Path, columns: Columns, labels: Labels, *,
        decimal: str, missing: str, on_bad: str, encoding: str,
    ) -> None:  # fmt: skip
        self._path, self._columns, self._labels = path, columns, labels
        self._decimal, self._missing, self._on_bad = decimal, missing, on_bad
        self._encoding = encoding
        self._select = itemgetter(*columns.features)
        self.skipped = 0
        self._error: BadSample | None = None

    def chunks(
        self, file: TableFile, *, first_pass: bool = False, bar: str = ""
    ) -> Iterator[RowChunk]:
        """All good rows, in order."""
        rest = self._columns.first_row  # records before the first row
        for piece in file.pieces(bar):
            chunk = None if rest else self._plain(piece, file.sep, first_pass)
            if chunk is None:
                numbers, cells = file.cells(piece)
                lines = list(numbers)
                if [] in cells:
                    lines, cells = _where(map(bool, cells), lines, cells)
                chunk = self._chunk(lines[rest:], cells[rest:], first_pass)
                rest -= min(rest, len(cells))
            if len(chunk.values):
                yield chunk
            if self._error is not None:
                raise self._error

    def _plain(self, piece: Piece, sep: str, first_pass: bool) -> RowChunk | None:
        """A piece of well-formed rows, read by NumPy; None if any row needs the slow reader."""
        lines = piece.lines
        if lines is None or sep == " " or self._decimal != ".":
            return None
        if (plain := plain_rows(lines, sep, self._columns)) is None:
            return None
        values, texts = plain
        return self._labelled(values, piece.numbers, texts, first_pass)

    def _chunk(self, lines: list[int], cells: list[list[str]], first_pass: bool) -> RowChunk:
        width, label = len(self._columns.names), self._columns.label
        if set(map(len, cells)) != {width} or "" in map(itemgetter(label), cells):
            lines, cells = _where((any(map(str.strip, row)) for row in cells), lines, cells)
            bad = {
                i: self._bad(lines[i], got=f"{len(row)} cells", expected=str(width))
                for i, row in enumerate(cells)
                if len(row) != width
            }
            lines, cells = self._sift(bad, lines, cells)
        texts = [row[label].strip() for row in cells]
        values, bad = self._values(lines, cells)
        values, lines, texts, cells = self._sift(bad, values, lines, texts, cells)
        gaps = np.isnan(values)
        if self._missing in ("raise", "skip") and gaps.any():
            bad = {int(i): self._gap(lines[i], cells[i], int(np.argmax(gaps[i])))
                   for i in np.flatnonzero(gaps.any(axis=1))}  # fmt: skip
            values, lines, texts = self._sift(bad, values, lines, texts, skip=self._skips)
        return self._labelled(values, lines, texts, first_pass)

    def _labelled(
        self, values: NDArray[np.float64], lines: Sequence[int], texts: list[str], first_pass: bool
    ) -> RowChunk:
        """The chunk of these values and label texts, without the rows that have a bad label."""
        if first_pass:
            self._check_text(lines, texts)
            bad = self._labels.add(texts, lines)
            (values,) = self._sift(self._no_label(lines, texts, bad), values)
            return RowChunk(values, np.zeros(0))
        labels, absent = self._labels.of(texts)
        bad = dict.fromkeys(absent, "a label of the first pass")
        values, labels = self._sift(self._no_label(lines, texts, bad), values, labels, skip=True)
        return RowChunk(values, labels)

    def _values(
        self, lines: list[int], cells: list[list[str]]
    ) -> tuple[NDArray[np.float64], dict[int, BadSample]]:
        """The features (n, features), and the errors of rows in which one is no number."""
        features = self._columns.features
        if len(features) == 1:
            selected = [(row[features[0]],) for row in cells]
        else:
            selected = list(map(self._select, cells))
        flat = list(chain.from_iterable(selected))
        if (fast := numbers(flat, self._decimal)) is not None:
            return fast.reshape(len(cells), len(features)), {}
        values, bad = np.zeros((len(cells), len(features))), dict[int, BadSample]()
        for i, row in enumerate(selected):
            if (fast := numbers(row, self._decimal)) is not None:
                values[i] = fast
                continue
            each = [feature(cell, self._decimal) for cell in row]
            if None not in each:
                values[i] = each
                continue
            at = each.index(None)
            if not is_text(row[at]):
                where = self._where(lines[i], features[at])
                raise undecodable(where, self._encoding, row[at])
            bad[i] = self._bad(
                lines[i], features[at], got=repr(row[at]), expected="a finite number"
            )
        return values, bad

    def _sift(self, bad: Mapping[int, BadSample], *parts: Any, skip: bool = False) -> Sequence[Any]:
        """The parts without the bad rows, which are skipped and counted.

        If bad rows are to raise, the parts end before the first of them, and its error is raised
        after the rows before it have been used.
        """
        if not bad:
            return parts
        n = len(parts[0])
        if skip or self._on_bad == "skip":
            self.skipped += len(bad)
            good = [i for i in range(n) if i not in bad]
        else:
            first = min(bad)
            self._error = bad[first]
            good = list(range(first))
        return [p[good] if isinstance(p, np.ndarray) else [p[i] for i in good] for p in parts]

    @property
    def _skips(self) -> bool:
        return self._missing == "skip"

    def _no_label(
        self, lines: Sequence[int], texts: list[str], bad: Mapping[int, str]
    ) -> dict[int, BadSample]:
        column = self._columns.label
        return {
            i: self._bad(lines[i], column, got=repr(texts[i]), expected=what)
            for i, what in bad.items()
        }

    def _check_text(self, lines: Sequence[int], texts: list[str]) -> None:
        if not "".join(texts).isascii():
            for line, text in zip(lines, texts, strict=True):
                if not is_text(text):
                    raise undecodable(self._where(line, self._columns.label), self._encoding, text)

    def _gap(self, line: int, cells: list[str], feature: int) -> BadSample:
        column = self._columns.features[feature]
        return BadSample(
            self._where(line, column),
            got=f"{cells[column]!r}, a missing cell",
            expected="a number",
            remedy="--missing mean, last or zero fills it in, --missing skip leaves the row out",
        )

    def _where(self, line: int, column: int | None = None) -> str:
        name = "" if column is None else f", column {self._columns.names[column]!r}"
        return f"{self._path}, line {line}{name}"

    def _bad(self, line: int, column: int | None = None, *, got: str, expected: str) -> BadSample:
        where = self._where(line, column)
        return BadSample(where, got=got, expected=expected, remedy="correct it, or --on-bad skip")


def _where(
    good: Iterable[bool], lines: list[int], cells: list[list[str]]
) -> tuple[list[int], list[list[str]]]:
    """Both lists, reduced to the good rows."""
    both = [*good]
    return list(compress(lines, both)), list(compress(cells, both))
