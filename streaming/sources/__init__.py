"""Where samples come from: one file per source, its name is its public name.

A source's file ends in ``SOURCE = SourceFile(__name__, open=...)``; what it opens is a `Source`.
Arrays in memory need no file and no name: they are streamed with `ArraySource`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass

from rate_models.errors import BadOption, quoted
from rate_models.support import lookup, own_files
from streaming.options import SourceOptions, TableOptions
from streaming.samples.arrays import ArraySource
from streaming.samples.source import Chunk, Source

__all__ = [
    "SOURCES", "ArraySource", "Chunk", "Options", "Source", "SourceFile", "content", "get",
    "no_argument", "open_source", "parts",
]  # fmt: skip


class Options(SourceOptions, TableOptions):
    """What every source is told.

    loss: the loss that was asked for, if any; "mse" has whole-number labels guessed to be numbers.
    All else: see `streaming.options`. Raises BadOption.
    """

    loss: str | None = None

    def of_a_table(self) -> list[str]:
        """The options given that tables alone take."""
        fields = TableOptions.model_fields.items()
        return [name for name, field in fields if getattr(self, name) != field.default]


@dataclass(frozen=True)
class SourceFile:
    """What the file of a source states: ``SOURCE = SourceFile(__name__, open=open)``.

    module: ``__name__`` of the file; its last part is the name of the source.
    open(argument, options): the stream; ``argument`` is what stands after the first colon of the
    name (``csv:FILE.csv``), or None. Raises BadOption, BadSample or MissingData.
    table: whether it takes the options of tables, see `Options`.
    """

    module: str
    open: Callable[[str | None, Options], Source]
    table: bool = False


SOURCES = lookup.Kind(
    "source", "streaming.sources", "SOURCE", SourceFile,
    "SOURCE = SourceFile(__name__, open=...) at its end",
)  # fmt: skip


def get(name: str) -> SourceFile:
    """What the file of the source ``name`` states; what follows a colon does not matter.

    Raises UnknownName, listing the sources, and BadOption for a file that states no source.
    """
    return lookup.get(SOURCES, parts(name)[0])


def open_source(name: str, options: Options | None = None) -> Source:
    """The source called ``name``; what follows the first colon is its argument.

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
    source = file.open(argument, options)
    if own_files.parse(kind):
        _rename(source, lookup.reference(SOURCES, file.module, f"source {kind}"))
    return source


def parts(name: str) -> tuple[str, str | None]:
    """What finds a source, and its argument: what follows the first colon, or the path of a file.

    >>> parts("csv:FILE.csv"), parts("digits"), parts("./noisy.py:3")
    (('csv', 'FILE.csv'), ('digits', None), ('./noisy.py', '3'))
    """
    if found := own_files.parse(name):
        argument = found.argument
        return name if argument is None else name[: -len(argument) - 1], argument
    kind, colon, argument = name.partition(":")
    return kind, argument if colon else None


def _rename(source: Source, reference: str) -> None:
    """Have the name of a source of one's own find its file again; its argument stays."""
    _, colon, argument = source.name.partition(":")
    source.name = reference + colon + argument


def content(name: str, source: Source | None = None) -> str:
    """A hash of the data behind a source: of its file, or of the arrays that ``source`` holds.

    Empty where the name alone decides what is streamed.
    """
    path = os.path.expanduser(parts(name)[1] or "")
    if not os.path.isfile(path):
        return "" if source is None else source.content()
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def no_argument(name: str, argument: str | None) -> None:
    """Refuse an argument to a source that takes none."""
    if argument is not None:
        raise BadOption(
            "source", got=f"{name}:{argument}", expected=f"{name}, which takes no argument"
        )
