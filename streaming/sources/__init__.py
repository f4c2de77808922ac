"""Sources of samples: one file per source. The name of the file is the name of the source.

The file of a source ends in ``SOURCE = SourceFile(__name__, open=...)``, where ``open`` returns a
`Source`. For arrays in memory use `ArraySource`, which needs no file and no name.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass

from rate_models.errors import BadOption, quoted
from rate_models.support import lookup, own_files
from streaming.live.source import AllOptions, LiveSource
from streaming.live_options import LiveOptions
from streaming.samples.arrays import ArraySource
from streaming.samples.source import Chunk, Source
from streaming.samples.stepped import Stepped
from streaming.table_options import TableOptions

__all__ = [
    "SOURCES", "ArraySource", "Chunk", "LiveSource", "Options", "Source", "SourceFile", "content",
    "get", "no_argument", "open_source", "parts", "refuse_live",
]  # fmt: skip


class Options(AllOptions):
    """The options of a source.

    loss: the loss that the user chose, or None. With "mse", whole-number labels are guessed to be
    numbers. All other options: see `streaming.options`. Raises BadOption.
    """

    def of_a_table(self) -> list[str]:
        """The names of given options that only tables accept."""
        return self._given(TableOptions)

    def of_a_live_source(self) -> list[str]:
        """The names of given options that only live sources accept."""
        return self._given(LiveOptions)

    def _given(self, record: type[TableOptions] | type[LiveOptions]) -> list[str]:
        fields = record.model_fields.items()
        return [name for name, field in fields if getattr(self, name) != field.default]


@dataclass(frozen=True)
class SourceFile:
    """The entry point of a source's file: ``SOURCE = SourceFile(__name__, open=open)``.

    module: ``__name__`` of the file; its last part is the name of the source.
    open(argument, options): returns the stream. ``argument`` is the part of the name after the
    first colon (``csv:FILE.csv``), or None. Raises BadOption, BadSample or MissingData.
    table, live: whether the source accepts the options of tables, or of live sources, see
    `Options`.
    """

    module: str
    open: Callable[[str | None, Options], Source]
    table: bool = False
    live: bool = False


SOURCES = lookup.Kind(
    "source", "streaming.sources", "SOURCE", SourceFile,
    "SOURCE = SourceFile(__name__, open=...) at its end",
)  # fmt: skip


def get(name: str) -> SourceFile:
    """The `SourceFile` of the source ``name``; an argument after a colon is ignored.

    Raises UnknownName, listing the sources, and BadOption for a file without a source.
    """
    return lookup.get(SOURCES, parts(name)[0])


def open_source(name: str, options: Options | None = None) -> Source:
    """Open the source ``name``; the part after the first colon is its argument.

    name: ``digits``, ``csv:FILE.csv``, or the path of a file of one's own, ``./noisy.py:ARGUMENT``.
    Raises UnknownName (listing the sources), BadOption, BadSample or MissingData.

    >>> source = open_source("digits")
    >>> source.length, source.n_features, source.classes
    (1437, 64, (0, 1, 2, 3, 4, 5, 6, 7, 8, 9))
    >>> X, y = next(source.chunks(epoch=0, size=5))
    >>> X.shape, y.shape
    ((5, 64), (5,))
    """
    if not isinstance(name, str):
        raise BadOption("source", got=quoted(name), expected="a name, e.g. digits or csv:FILE.csv")
    kind, argument = parts(name)
    file, options = lookup.get(SOURCES, kind), options or Options()
    if not file.table and (given := options.of_a_table()):
        raise BadOption(
            "--" + given[0].replace("_", "-").replace("header", "no-header"),
            got=f"beside the source {own_files.shown(kind)}",
            expected="a table, e.g. csv:FILE.csv",
            remedy="its samples are fixed: leave the option out",
        )
    if not file.live and (given := options.of_a_live_source()):
        raise BadOption(
            "--" + given[0].replace("_", "-"),
            got=f"beside the source {own_files.shown(kind)}",
            expected="a live source, e.g. stdin",
            remedy="leave it out",
        )
    source = file.open(argument, options)
    if options.signal and not isinstance(source, LiveSource):
        source = Stepped(source, options.signal)
    if own_files.parse(kind):
        _rename(source, lookup.reference(SOURCES, file.module, f"source {kind}"))
    return source


def parts(name: str) -> tuple[str, str | None]:
    """The kind of a source (a name or the path of a file), and its argument after the colon.

    >>> parts("csv:FILE.csv"), parts("digits"), parts("./noisy.py:3")
    (('csv', 'FILE.csv'), ('digits', None), ('./noisy.py', '3'))
    """
    return own_files.split(name)


def _rename(source: Source, reference: str) -> None:
    """Let the name of a source from a file of one's own refer to that file, with its argument."""
    _, colon, argument = source.name.partition(":")
    source.name = reference + colon + argument


def content(name: str, source: Source | None = None) -> str:
    """A hash of the data of a source: of its file, or of the arrays in ``source``.

    Empty if the name alone determines the samples, and for a live source.
    """
    if isinstance(source, LiveSource):
        return ""
    path = os.path.expanduser(parts(name)[1] or "")
    if not os.path.isfile(path):
        return "" if source is None else source.content()
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def refuse_live(name: str, where: str) -> None:
    """Raise BadOption if the source ``name`` is a live one, which cannot be read twice."""
    if get(name).live:
        raise BadOption(
            where, got=f"the live source {own_files.shown(name)}",
            expected="a source that can be read again", remedy="write it to a file: csv:FILE.csv",
        )  # fmt: skip


def no_argument(name: str, argument: str | None) -> None:
    """Raise BadOption if a source without argument is given one."""
    if argument is not None:
        raise BadOption(
            "source", got=f"{name}:{argument}", expected=f"{name}, which takes no argument"
        )
