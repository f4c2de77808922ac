"""Live sources of lines: CSV with a line of names, or JSON, one object per line.

CSV: the options of tables choose the columns, as for `streaming.sources.csv`. A row without a label
is only predicted. A cell with quotes has to end in its line. A line equal to the line of names is
skipped, so that files can follow each other; a line of other names ends the run.
JSON: see `streaming.live.messages`; labels may come late.

Blank lines do not count as messages.
"""

from __future__ import annotations

import csv
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rate_models.errors import BadOption, BadSample
from streaming.live.batch import Batch
from streaming.live.collecting import Collector
from streaming.live.inferring import SECONDS, samples_needed, schema_of
from streaming.live.messages import Message, decoded, is_label, message
from streaming.live.schema import Malformed, Schema
from streaming.live.source import AllOptions, LiveSource, check_options
from streaming.live.splitting import Lines, Splitter
from streaming.tables.columns import SAMPLE, columns
from streaming.tables.labels import Labels
from streaming.tables.numbers import feature, numbers
from streaming.tables.plain import plain_rows
from streaming.tables.table_file import SEPARATORS, Record

BOM = b"\xef\xbb\xbf"
FEW = 16  # lines that the slow reader takes at once
FAST = 2048  # lines that the fast reader takes at once


class OtherColumns(Exception):
    """A line of names that are not those of the stream; what follows would be misread."""


class Format(ABC):
    """How lines become samples. schema: the form of a sample. guess: a line about the task."""

    schema: Schema
    guess: str = ""

    @abstractmethod
    def message(self, line: bytes) -> Message | None:
        """The message in a line; None for a line that is none. Raises Malformed, OtherColumns."""

    def batch(self, lines: Lines, arrived: int, origin: int) -> Batch | None:
        """Many lines at once; None if any of them needs `message`."""
        return None


class JsonLines(Format):
    """One JSON object per line."""

    def __init__(self, name: str, first: Sequence[bytes], options: AllOptions) -> None:
        contents = []
        for line in first:
            try:
                contents.append(decoded(line.removeprefix(BOM)))
            except Malformed:
                continue
        self.schema = schema_of(name, contents, options)

    def message(self, line: bytes) -> Message | None:
        """See `Format.message`."""
        line = line.removeprefix(BOM)
        return message(decoded(line), self.schema) if line.strip() else None


class CsvLines(Format):
    """Rows of a table. Raises BadOption for columns that cannot be used."""

    def __init__(self, name: str, first: Sequence[bytes], options: AllOptions) -> None:
        self._encoding, self._decimal = _encoding(options), options.decimal
        try:
            header = _text(first[0], self._encoding)
        except Malformed as problem:
            raise BadOption(name, got=str(problem).removeprefix("got "),
                            expected="lines of CSV or JSON") from None  # fmt: skip
        self._sep = _separator(header, options.sep)
        records = list[Record]()
        for i, line in enumerate(first):
            try:
                if line.strip():
                    records.append((i + 1, self._cells(_text(line, self._encoding))))
            except Malformed:
                if not i:
                    raise BadOption(name, got="a first line that is no row",
                                    expected="the names of the columns") from None  # fmt: skip
        self.columns = columns(name, records[:SAMPLE], options, self._encoding)
        self.header = first[0].rstrip(b"\r") if self.columns.first_row else None
        rows = [cells for _, cells in records[self.columns.first_row :]]
        whole = [cells for cells in rows if len(cells) == len(self.columns.names)]
        texts = [cells[self.columns.label].strip() for cells in whole]
        classes, self.guess = self._classes(name, [t for t in texts if t], options)
        self.schema = Schema(len(self.columns.features), classes, self.columns.feature_names)

    def message(self, line: bytes) -> Message | None:
        """See `Format.message`."""
        line = line.removeprefix(BOM).rstrip(b"\r")
        if not line.strip() or line == self.header:
            return None
        cells = self._cells(_text(line, self._encoding))
        self._same_columns(cells)
        if len(cells) != len(self.columns.names):
            raise Malformed(f"got {len(cells)} cells; expected {len(self.columns.names)}")
        chosen = [cells[i] for i in self.columns.features]
        if (x := numbers(chosen, self._decimal)) is None:
            each = [feature(cell, self._decimal) for cell in chosen]
            if None in each:
                raise Malformed(f"got {chosen[each.index(None)][:40]!r}; expected a number")
            x = np.array(each, np.float64)
        self.schema.check(x)
        text = cells[self.columns.label].strip()
        y = self.schema.label_text(text) if text else self.schema.no_label
        return Message(x, y, None, np.nan, -1)

    def batch(self, lines: Lines, arrived: int, origin: int) -> Batch | None:
        """See `Format.batch`."""
        together = b"\n".join(lines.lines)
        if self._decimal != "." or b'"' in together or not together.isascii():
            return None
        rows = together.decode("ascii").split("\n")
        if self.header is not None and self.header.decode(errors="replace") in rows:
            return None
        if (plain := plain_rows(rows, self._sep, self.columns)) is None:
            return None
        X, texts = plain
        y = self.schema.label_texts(texts)
        if y is None or not self.schema.good(X).all():
            return None
        n = len(X)
        stamps = np.full(n, arrived, np.int64), np.full(n, np.nan)
        return Batch(X, y, *stamps, lines.marks, int(lines.marks[-1]), origin)

    def _same_columns(self, cells: list[str]) -> None:
        """Raise OtherColumns for a line of names, as a program sends that was started anew."""
        names = self.columns.names
        if self.header is None or names[self.columns.label] not in map(str.strip, cells):
            return
        if all(feature(cell, self._decimal) is None for cell in cells):
            raise OtherColumns(f"got the names {', '.join(cells)[:200]}; expected those of the "
                               f"first line, {', '.join(names)[:200]}")  # fmt: skip

    def _classes(
        self, name: str, texts: list[str], options: AllOptions
    ) -> tuple[tuple[object, ...] | None, str]:
        if options.task == "regression":
            return None, ""
        if options.labels or options.classes == "grow":
            return options.labels or (), ""
        if not texts:
            raise BadOption(name, got="no label among the first rows",
                            expected="the labels that can come",
                            remedy="name them: --labels a,b, or --classes grow")  # fmt: skip
        labels = Labels(name, self.columns.names[self.columns.label], task=options.task,
                        loss=options.loss, decimal=options.decimal)  # fmt: skip
        labels.add(texts, range(len(texts)))
        labels.settle(len(texts), skip=True)
        if labels.classes is not None and len(labels.classes) < 2:
            raise BadOption(name, got=f"the label {labels.classes[0]!r} alone in the first rows",
                            expected="at least two",
                            remedy="name them: --labels a,b, or --classes grow")  # fmt: skip
        return labels.classes, labels.guess

    def _cells(self, text: str) -> list[str]:
        try:
            rows = list(csv.reader([text], delimiter=self._sep, strict=True,
                                   skipinitialspace=self._sep == " "))  # fmt: skip
        except csv.Error as error:
            raise Malformed(f"got no row of a table: {error}") from None
        return rows[0] if rows else []


@dataclass
class Peeked:
    """The beginning of a stream: its bytes, its whole lines, and whether it ended."""

    data: bytes
    lines: list[bytes]
    ended: bool


def peek(read: Callable[[float], bytes | None], needed: int) -> Peeked:
    """Read the beginning of a stream, about ``needed`` lines.

    read(timeout): the next bytes, empty ones after a timeout, None at the end. Once a sample is
    there it waits for others at most `SECONDS`.
    """
    data, ended, due = b"", False, 0.0
    while not ended and data.count(b"\n") < needed and not (due and time.monotonic() > due):
        some = read(0.1)
        if some is None:
            ended = True
            continue
        data += some
        samples = data.count(b"\n") - (data.lstrip()[:1] not in (b"{", b"["))  # less the header
        if samples > 0 and not due:
            due = time.monotonic() + SECONDS
    lines = [line for line in data.split(b"\n")[: None if ended else -1] if line.strip()]
    return Peeked(data, lines[:needed], ended)


def lines_needed(options: AllOptions) -> int:
    """How many lines `peek` needs: more if the classes have to be inferred."""
    return samples_needed(options) + 1


def format_of(name: str, first: Sequence[bytes], options: AllOptions) -> Format:
    """The format of a stream that begins with these lines. Raises BadOption."""
    if not first:
        raise BadOption(name, got="an empty stream", expected="a line of names and rows, or JSON")
    check_options(options, name)
    start = first[0].removeprefix(BOM).lstrip()[:1]
    if start in (b"{", b"["):
        return JsonLines(name, first, options)
    return CsvLines(name, [first[0].removeprefix(BOM), *first[1:]], options)


class LineSource(LiveSource):
    """The base of sources of lines: `stdin` and `follow`."""

    def __init__(self, name: str, options: AllOptions, form: Format) -> None:
        super().__init__(name, options, form.schema, None)
        self.form, self.guess = form, form.guess
        self._collector = Collector(self)

    def lines(self, lines: Lines, splitter: Splitter, origin: int = 0) -> None:
        """Put the samples in these lines into the queue, and all lines into the counts."""
        arrived, collector = time.perf_counter_ns(), self._collector
        for _ in range(lines.too_long):
            collector.malformed("a line", "got a line that is too long", splitter.position)
        for i in range(0, len(lines.lines), FAST):
            part = slice(i, i + FAST)
            self._some(Lines(lines.lines[part], lines.marks[part]), arrived, origin)
        collector.flush()

    def _some(self, lines: Lines, arrived: int, origin: int) -> None:
        n, collector = len(lines.lines), self._collector
        if n > FEW:
            if (batch := self.form.batch(lines, arrived, origin)) is not None:
                collector.flush()
                self.queue.put(batch)
                return
            for part in (slice(n // 2), slice(n // 2, None)):
                self._some(Lines(lines.lines[part], lines.marks[part]), arrived, origin)
            return
        for line, mark in zip(lines.lines, lines.marks.tolist(), strict=True):
            collector.upto(mark, origin)
            try:
                if (content := self.form.message(line)) is not None:
                    collector.add(content, arrived, mark)
            except Malformed as problem:
                self._refused(line, str(problem), mark)
            except OtherColumns as problem:
                collector.flush()
                where = f"{self.name}, the line that ends at byte {mark:,}"
                raise BadSample(f"{where}: {problem}; start a new run for them") from None

    def _refused(self, line: bytes, reason: str, mark: int) -> None:
        """Count a malformed line: as a late label if it is one, else as a sample."""
        where = f"the line that ends at byte {mark:,}"
        if isinstance(self.form, JsonLines) and _is_label(line, self.schema):
            self._collector.malformed_label(where, reason)
        else:
            self._collector.malformed(where, reason, mark)


def _is_label(line: bytes, schema: Schema) -> bool:
    """Whether a malformed line is a late label."""
    try:
        return is_label(decoded(line.removeprefix(BOM)), schema)
    except Malformed:
        return False


def _text(line: bytes, encoding: str) -> str:
    try:
        text = line.rstrip(b"\r").decode(encoding)
    except UnicodeError:
        raise Malformed(f"got bytes that are no text in {encoding}") from None
    if "\0" in text:
        raise Malformed("got zero bytes")
    return text


def _encoding(options: AllOptions) -> str:
    name = options.encoding or "utf-8"
    try:
        if "a,\n".encode(name) != b"a,\n":
            raise LookupError
    except LookupError:
        raise BadOption("--encoding", got=name, expected="e.g. utf-8, latin-1, cp1252") from None
    return name


def _separator(header: str, chosen: str | None) -> str:
    if chosen is None:
        return next((sep for sep in ",;\t|" if sep in header), ",")
    sep = SEPARATORS.get(chosen, chosen)
    if len(sep) != 1 or sep.isalnum() or sep in '"\r\n':
        raise BadOption("--sep", got=repr(sep), expected="one character, e.g. ';', or tab or space")
    return sep
