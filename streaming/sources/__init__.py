"""Where samples come from: one file per source, its name is its public name.

A source file holds ``open(argument, options) -> Source``; ``argument`` is what stands after the
first colon of the name (``csv:FILE.csv``), or None. Arrays in memory need no file and no name:
they are streamed with `ArraySource`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, cast, runtime_checkable

from rate_models.errors import BadOption, quoted
from rate_models.support import lookup, own_files
from streaming.samples.arrays import ArraySource, Chunk
from streaming.samples.task import TASKS

__all__ = [
    "ArraySource",
    "Chunk",
    "Options",
    "Source",
    "content",
    "no_argument",
    "open_source",
    "parts",
]

SOURCES = lookup.Kind("source", __name__, "SOURCE", ModuleType, "open(argument, options)")
MISSING = ("raise", "skip", "mean", "last", "zero")
# Options that tables alone take.
TABLE = (
    "label", "drop", "sep", "decimal", "encoding", "header", "missing", "missing_indicator",
    "held_out", "stratify",
)  # fmt: skip


@dataclass(frozen=True)
class Options:
    """What every source is told.

    data: folder of the data sets (None: DENDROSTREAM_DATA, else the user's cache folder).
    download: fetch a missing data set through torchvision.
    seed: seed of the order of the training samples.
    on_bad: "raise" on a bad sample in a file, or "skip" it and count it.
    task: what is learned from the labels, "regression" (numbers) or "classification"; None: the
    source tells, or guesses it (see `streaming.samples.task`).
    loss: the loss that was asked for, if any; "mse" has whole-number labels guessed to be numbers.

    For tables alone (sources whose module has ``TABLE = True``):

    label: the column of the labels; None: the one called label, or the last one.
    drop: columns that are left out.
    sep: what separates cells; None: a comma, or what the first line has instead of it.
    decimal: what numbers have before their decimals, "." or ",".
    encoding: of the text, e.g. "latin-1"; None: UTF-8, or UTF-16 where the file begins so.
    header: whether the first line names the columns; else they are called 1, 2, ...
    missing: what becomes of a missing cell: "raise", "skip" the row, or filled in with "zero",
    the "last" value or the "mean" of the column so far.
    missing_indicator: for each column with gaps, one more that tells where they are.
    held_out: the share of the rows that is not learned from but tested on: the last ones.
    stratify: hold out a random sample of every class instead.
    """

    data: Path | None = None
    download: bool = False
    seed: int = 0
    on_bad: str = "raise"
    task: str | None = None
    loss: str | None = None
    label: str | None = None
    drop: tuple[str, ...] = ()
    sep: str | None = None
    decimal: str = "."
    encoding: str | None = None
    header: bool = True
    missing: str = "raise"
    missing_indicator: bool = False
    held_out: float = 0.0
    stratify: bool = False

    def __post_init__(self) -> None:
        if self.task not in (None, *TASKS):
            raise BadOption("task", got=repr(self.task), expected=" or ".join(TASKS))
        if self.seed < 0:
            raise BadOption("seed", got=self.seed, expected="a whole number of at least 0")
        if self.on_bad not in ("raise", "skip"):
            raise BadOption("on_bad", got=repr(self.on_bad), expected="raise or skip")
        drop = (self.drop,) if isinstance(self.drop, str) else tuple(self.drop)
        object.__setattr__(self, "drop", drop)
        if self.missing not in MISSING:
            raise BadOption("--missing", got=repr(self.missing), expected=", ".join(MISSING))
        if self.missing_indicator and self.missing in ("raise", "skip"):
            expected = "--missing mean, last or zero beside it"
            raise BadOption("--missing-indicator", got=f"missing={self.missing}", expected=expected)
        if self.decimal not in (".", ","):
            raise BadOption("--decimal", got=repr(self.decimal), expected=". or ,")
        if not 0 <= self.held_out < 1:
            raise BadOption("--held-out", got=self.held_out, expected="a share from 0 to below 1")
        if self.stratify and not self.held_out:
            raise BadOption("--stratify", got="nothing held out", expected="--held-out 0.2, say")

    def of_a_table(self) -> list[str]:
        """The options given that tables alone take."""
        fields = dataclasses.fields(self)
        return [f.name for f in fields if f.name in TABLE and getattr(self, f.name) != f.default]


@runtime_checkable
class Source(Protocol):
    """A stream of samples that can be read again.

    name: what opens it again from any folder, e.g. "csv:/data/FILE.csv".
    classes: the label of each output unit, in order; None for regression.
    length: training samples per epoch; None where the stream has no end.
    scale: the input scaling that suits it: "none", "range", "running" or "global".
    maximum: what "range" divides by (255 for images).
    defaults: run options that suit it, e.g. {"epochs": 12}.
    power: some have it: the mean square of a raw feature, where it is known beforehand, None else.

    A source that had to guess its task also has ``guess``, a text that gives task and reason.
    """

    name: str
    n_features: int
    classes: tuple[Any, ...] | None
    length: int | None
    scale: str
    maximum: float
    defaults: Mapping[str, Any]

    def chunks(self, epoch: int, start: int = 0, size: int = 256) -> Iterator[Chunk]:
        """Training samples from number ``start`` of the epoch on: X (m, n_features), y (m,).

        X holds the raw numbers, y labels (members of ``classes``) or, for regression, floats.
        The concatenation depends on (seed, epoch, start) alone, never on ``size``.
        """
        ...

    def test(self, size: int = 1024) -> Iterator[Chunk] | None:
        """The held-out samples; None where nothing is held out."""
        ...


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
    module = lookup.module(SOURCES, kind)
    options = options or Options()
    if not is_table(name) and (given := options.of_a_table()):
        raise BadOption(
            "--" + given[0].replace("_", "-").replace("header", "no-header"),
            got=f"beside the source {own_files.shown(kind)}",
            expected="a table, e.g. csv:FILE.csv",
            remedy="its samples are fixed: leave the option out",
        )
    source = cast(Source, module.open(argument, options))
    if own_files.parse(kind):
        _rename(source, lookup.reference(SOURCES, module.__name__, f"source {kind}"))
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


def is_table(name: str) -> bool:
    """Whether the source called ``name`` takes the options of tables."""
    return bool(getattr(lookup.module(SOURCES, parts(name)[0]), "TABLE", False))


def content(name: str, source: Source | None = None) -> str:
    """A hash of the data behind a source: of its file, or of the arrays that ``source`` holds.

    Empty where the name alone decides what is streamed.
    """
    path = os.path.expanduser(parts(name)[1] or "")
    if not os.path.isfile(path):
        own = getattr(source, "content", None)
        return str(own()) if own else ""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def no_argument(name: str, argument: str | None) -> None:
    """Refuse an argument to a source that takes none."""
    if argument is not None:
        raise BadOption(
            "source", got=f"{name}:{argument}", expected=f"{name}, which takes no argument"
        )
