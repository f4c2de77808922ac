"""A text file of separated cells, plain or gzipped, read record by record."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import re
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

from tqdm import tqdm

from rate_models.errors import BadOption, BadSample, MissingData
from streaming.files.data_sets import DamagedData

LONGEST = 1 << 24  # characters of a record at most, so that one without an end fills no memory
PIECE = 1 << 18  # characters read at a time
ROWS = 1024  # rows of a piece with quotes at most
Record = tuple[int, list[str]]

# Whether a first pass may show a progress bar; the command line switches it on.
BARS: ContextVar[bool] = ContextVar("bars", default=False)

OTHERS = {
    b"PK": ("a zip archive or an Excel workbook", "unpack it, or save it as CSV"),
    b"PAR1": ("a Parquet file", "write it as CSV"),
    b"BZh": ("a bzip2 file", "unpack it, or compress it with gzip"),
    b"\xfd7zXZ": ("an xz file", "unpack it, or compress it with gzip"),
    b"\x89HDF": ("an HDF5 file", "write it as CSV"),
}
UTF16 = (b"\xff\xfe", b"\xfe\xff")
SEPARATORS = {r"\t": "\t", "tab": "\t", "space": " ", "comma": ",", "semicolon": ";"}


class Format(Protocol):
    """The options for the format of the text; see `streaming.sources.Options`."""

    @property
    def sep(self) -> str | None: ...
    @property
    def encoding(self) -> str | None: ...


class Piece(NamedTuple):
    """Some rows of a file with their line numbers: lines of text without quotes, or cells."""

    numbers: Sequence[int]
    lines: list[str] | None
    cells: list[list[str]] | None


class _Quoted:
    """The lines of a piece, followed by those of the next pieces that its last row extends over.

    ``number`` counts the lines. The caller sets ``fresh`` after every complete row.
    """

    def __init__(
        self,
        lines: list[str],
        more: Iterator[list[str]],
        number: int,
        endless: Callable[[int], BadSample],
    ) -> None:
        self._lines, self._more, self.number, self._endless = lines, more, number, endless
        self._at, self._length, self.fresh = 0, 0, True

    def __iter__(self) -> Iterator[str]:
        while True:
            if self._at == len(self._lines):
                if self.fresh:
                    return
                if (lines := next(self._more, None)) is None:
                    return
                self._lines, self._at = lines, 0
            line = self._lines[self._at] + "\n"
            self._length = len(line) + (0 if self.fresh else self._length)
            self.fresh = False
            self._at, self.number = self._at + 1, self.number + 1
            if self._length > LONGEST:
                raise self._endless(self.number)
            yield line


class TableFile:
    """A file of separated cells.

    form.sep: the separator; None for a comma or, if the first line has no comma, the semicolon, tab
    or bar that it has. form.encoding: None for UTF-8, or UTF-16 if the file begins with its mark.
    Raises MissingData for a file that cannot be read, BadOption for invalid options.
    """

    def __init__(self, path: Path, form: Format) -> None:
        self.path = path
        with self._reading():  # also for a path that is too long, or a folder without permission
            there, pipe = path.is_file(), path.is_fifo()
        if not there:
            what = "a pipe, which can be read once only:" if pipe else "no file"
            raise MissingData("csv", got=f"{what} {path}", expected="csv:FILE.csv")
        self.stamp = self._size_and_time()
        with self._reading(), open(path, "rb") as file:
            start = file.read(6)
        for magic, (what, remedy) in OTHERS.items():
            if start.startswith(magic):
                raise BadOption(str(path), got=what, expected="a text file", remedy=remedy)
        self._zipped = start.startswith(b"\x1f\x8b") or path.suffix == ".gz"
        with self._reading(), self._binary() as (_, binary):
            start = binary.read(2)
        self.encoding = form.encoding or ("utf-16" if start in UTF16 else "utf-8")
        with self._reading(), self._binary() as (_, binary), self._text(binary) as text:
            first = text.readline(LONGEST)
        named = re.fullmatch(r"sep=(.)\s*", first)  # a line that Excel writes and reads
        self._skip = 1 if named else 0
        chosen = named[1] if named and form.sep is None else form.sep
        self.sep = _separator(first) if chosen is None else SEPARATORS.get(chosen, chosen)
        if len(self.sep) != 1 or self.sep.isalnum() or self.sep in '"\r\n':
            raise BadOption(
                "--sep", got=repr(self.sep), expected="one character, e.g. ';', or tab or space"
            )

    def pieces(self, bar: str = "") -> Iterator[Piece]:
        """The file from its beginning, a few hundred rows at a time, blank lines included.

        bar: title of a progress bar, empty for no bar.
        Raises BadSample for malformed CSV, DamagedData for a damaged gzip file.
        """
        number = self._skip
        with (
            self._reading(lambda: number),
            self._binary() as (raw, binary),
            self._text(binary) as text,
            self._bar(bar) as shown,
        ):
            more = self._lines(text)
            for lines in more:
                if shown:
                    shown.update(raw.tell() - shown.n)
                if not any(lines):
                    number += len(lines)
                    continue
                if not any('"' in line for line in lines):
                    yield Piece(range(number + 1, number + 1 + len(lines)), lines, None)
                    number += len(lines)
                    continue
                quoted = _Quoted(lines, more, number, self._endless)
                numbers, cells = list[int](), list[list[str]]()
                for row in self._reader(quoted):
                    quoted.fresh, number = True, quoted.number
                    numbers.append(number)
                    cells.append(row)
                    if len(cells) == ROWS:
                        yield Piece(numbers, None, cells)
                        numbers, cells = [], []
                yield Piece(numbers, None, cells)

    def records(self) -> Iterator[Record]:
        """Line number and cells of every record; blank lines are skipped."""
        for piece in self.pieces():
            yield from ((n, row) for n, row in zip(*self.cells(piece), strict=True) if row)

    def cells(self, piece: Piece) -> tuple[Sequence[int], list[list[str]]]:
        """Line numbers and cells of a piece; a blank line has no cells."""
        if piece.cells is not None:
            return piece.numbers, piece.cells
        with self._reading(lambda: piece.numbers[0]):
            return piece.numbers, list(self._reader(piece.lines or []))

    def _reader(self, lines: Iterable[str]) -> Iterator[list[str]]:
        return csv.reader(lines, delimiter=self.sep, strict=True, skipinitialspace=self.sep == " ")

    def _lines(self, text: io.TextIOWrapper) -> Iterator[list[str]]:
        """Whole lines, some at a time."""
        number, rest = self._skip, ""
        for _ in range(self._skip):
            text.readline(LONGEST)
        while some := text.read(PIECE):
            lines = (rest + some).split("\n")
            rest = lines.pop()
            number += len(lines)
            if len(rest) > LONGEST:
                raise self._endless(number + 1)
            if lines:
                yield lines
        if rest:
            yield [rest]

    def unchanged(self) -> None:
        """Raise BadOption if the file has changed since it was opened."""
        if self._size_and_time() != self.stamp:
            raise self.changed()

    def whole(self) -> None:
        """Raise DamagedData if a gzip file is not whole, which only its end shows."""
        if self._zipped:
            with self._reading(), self._binary() as (_, binary):
                while binary.read(1 << 20):
                    pass

    def changed(self) -> BadOption:
        """The error for a file that has other rows than when it was opened."""
        return BadOption(
            str(self.path),
            got="a file that changed since it was opened",
            expected="the same rows in every pass",
            remedy="wait until the program that writes it has finished, or use a copy",
        )

    def _endless(self, number: int) -> BadSample:
        return BadSample(
            f"{self.path}, line {number}",
            got=f"a row of more than {LONGEST:,} characters",
            expected="rows of a table, a line each",
        )

    def _size_and_time(self) -> tuple[int, int]:
        """Size and modification time, to notice changes; (-1, -1) for a file that is gone."""
        try:
            status = self.path.stat()
        except OSError:  # removed while it was being read
            return -1, -1
        return status.st_size, status.st_mtime_ns

    @contextlib.contextmanager
    def _binary(self) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
        """The bytes on the disk, and the same bytes unzipped."""
        with open(self.path, "rb") as raw:
            if not self._zipped:
                yield raw, raw
                return
            with gzip.GzipFile(fileobj=raw) as unzipped:
                yield raw, unzipped  # type: ignore[misc]

    def _text(self, binary: IO[bytes]) -> io.TextIOWrapper:
        """The text; bytes that cannot be decoded become surrogates, for errors with the line."""
        try:
            "".encode(self.encoding)
        except LookupError:
            raise BadOption(
                "--encoding", got=self.encoding, expected="e.g. utf-8, latin-1, cp1252, utf-16"
            ) from None
        name = "utf-8-sig" if self.encoding.lower() in ("utf-8", "utf8") else self.encoding
        return io.TextIOWrapper(binary, name, "surrogateescape")

    @contextlib.contextmanager
    def _reading(self, line: Callable[[], int] = lambda: 1) -> Iterator[None]:
        """Convert exceptions of reading to errors of ours, which name the file and the line."""
        try:
            yield
        except csv.Error as error:
            where = f"{self.path}, line {line()}"
            raise BadSample(where, got=error, expected="well-formed CSV") from error
        except UnicodeError as error:
            raise undecodable(f"{self.path}, after line {line()}", self.encoding) from error
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise DamagedData(
                str(self.path), got=error, expected="a whole gzip file", remedy="fetch it again"
            ) from error
        except OSError as error:
            raise MissingData("csv", got=error, expected="a file that can be read") from error

    @contextlib.contextmanager
    def _bar(self, name: str) -> Iterator[Any]:
        if not (name and BARS.get()):
            yield None
            return
        size = self.stamp[0]
        with tqdm(
            total=size, desc=f"{name} {self.path.name}", unit="B", unit_scale=True, file=sys.stderr,
            dynamic_ncols=True, leave=False, delay=1, disable=None,
        ) as shown:  # fmt: skip
            yield None if shown.disable else shown


def undecodable(where: str, encoding: str, cell: str = "") -> BadSample:
    """The error for bytes that cannot be decoded; cell: the cell that has them, if it is known."""
    other = "latin-1" if encoding.lower().startswith("utf-8") else "utf-8"
    return BadSample(
        where,
        got=cell.encode("utf-8", "surrogateescape")[:40] if cell else "bytes that are no text",
        expected=f"text in {encoding}",
        remedy=f"name the file's encoding, e.g. --encoding {other}",
    )


def is_text(cell: str) -> bool:
    """Whether all bytes of a cell could be decoded."""
    return cell.isascii() or not any("\ud800" <= c <= "\udfff" for c in cell)


def _separator(line: str) -> str:
    """
    >>> _separator("a;b;c"), _separator("a, b;c"), _separator("a b")
    (';', ',', ',')
    """
    return next((sep for sep in ",;\t|" if sep in line), ",")
