"""Where samples come from: one file per source, its name is its public name.

A source file holds ``open(argument, options) -> Source``; ``argument`` is what stands after the
first colon of the name (``csv:FILE.csv``), or None. Arrays in memory need no file and no name:
they are streamed with `ArraySource`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

from rate_models import lookup
from rate_models.errors import BadOption
from streaming.sources._arrays import ArraySource, Chunk

__all__ = ["ArraySource", "Chunk", "Options", "Source", "content", "no_argument", "open_source"]


@dataclass(frozen=True)
class Options:
    """What every source is told.

    data: folder of the data sets (None: DENDROSTREAM_DATA, else the user's cache folder).
    download: fetch a missing data set through torchvision.
    seed: seed of the order of the training samples.
    on_bad: "raise" on a bad sample in a file, or "skip" it and count it.
    """

    data: Path | None = None
    download: bool = False
    seed: int = 0
    on_bad: str = "raise"

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise BadOption("seed", got=self.seed, expected="a whole number of at least 0")
        if self.on_bad not in ("raise", "skip"):
            raise BadOption("on_bad", got=repr(self.on_bad), expected="raise or skip")


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

    Raises UnknownName (listing the sources), BadOption, BadSample or MissingData.

    >>> source = open_source("digits")
    >>> source.length, source.n_features, source.classes
    (1437, 64, (0, 1, 2, 3, 4, 5, 6, 7, 8, 9))
    >>> X, y = next(source.chunks(epoch=0, size=5))
    >>> X.shape, y.shape
    ((5, 64), (5,))
    """
    kind, colon, argument = name.partition(":")
    module = lookup.get(__name__, kind)
    return cast(Source, module.open(argument if colon else None, options or Options()))


def content(name: str) -> str:
    """A hash of the file that a source is; empty for sources that are not files."""
    path = Path(name.partition(":")[2]).expanduser()
    if not path.is_file():
        return ""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def no_argument(name: str, argument: str | None) -> None:
    """Refuse an argument to a source that takes none."""
    if argument is not None:
        raise BadOption(
            "source", got=f"{name}:{argument}", expected=f"{name}, which takes no argument"
        )
