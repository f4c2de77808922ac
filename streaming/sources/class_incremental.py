"""class_incremental:[KEY=VALUE,...:]SOURCE: any source of classes, which come in groups.

    dendrostream run --source class_incremental:digits --classes grow
    dendrostream run --source class_incremental:groups=2,passes=1:mnist

======== ========= ==================================================================
key      default   meaning
======== ========= ==================================================================
groups   5         number of groups of classes, as equal in size as possible; never
                   more than there are classes
order    given     given: the order of the classes in SOURCE; random: drawn
passes   of SOURCE passes over the samples of a group before the next one begins; by
                   default the epochs that suit SOURCE
samples            samples of each group, of a source without end
seed     --seed    fixes a random order
======== ========= ==================================================================

All groups together are one epoch. The samples of a group are in the order of SOURCE. Held out are
the samples that SOURCE holds out, of all classes; `ClassIncremental.held_out` has those of a group.
With ``--classes grow`` the network gets an output unit when a class appears, otherwise it has one
for each class from the beginning. SOURCE is any source that can be read again.

The scenario: class-incremental learning, van de Ven et al., Nature Machine Intelligence 4, 2022.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from rate_models.errors import BadOption
from streaming.samples.cutting import cut
from streaming.samples.source import Array
from streaming.samples.task_sequence import TaskSequence
from streaming.sources import Chunk, Options, Source, SourceFile, content
from streaming.sources._wrapping import MOST, Arguments

KEYS = ("groups", "order", "passes", "samples", "seed")
GROUPS = 5
READ = 1024  # samples read from the source at a time
_ORDER = 0x636C617373  # stream of random numbers: default_rng([seed, stream])


def open(argument: str | None, options: Options) -> ClassIncremental:
    given = Arguments("class_incremental", argument, KEYS)
    source = given.open(options)
    if source.classes is None or len(source.classes) < 2:
        raise BadOption("class_incremental", got=f"{source.name}, which has numbers to predict",
                        expected="a source of classes, two at least")  # fmt: skip
    n = len(source.classes)
    endless = source.length is None
    given.allow("passes", not endless, "a source that has an end")
    given.allow("samples", endless, "a source without end")
    if endless and "samples" not in given:
        raise given.bad("samples", "nothing", f"a number, as {source.name} has no end")
    passes = given.whole("passes", int(source.defaults.get("epochs", 1)), most=100_000)
    seed = given.whole("seed", options.seed, 0, MOST)
    order = np.arange(n)
    if given.choice("order", ("given", "random")) == "random":
        order = np.random.default_rng([seed, _ORDER]).permutation(n)
    groups = np.array_split(order, given.whole("groups", min(GROUPS, n), least=2, most=n))
    labels = tuple(tuple(source.classes[i] for i in group) for group in groups)
    samples = given.whole("samples", 0) if endless else None
    return ClassIncremental(source, labels, passes, samples, given.name(source))


class ClassIncremental(TaskSequence):
    """``source`` with its classes in groups; see the module. A task is a group.

    groups: the labels of each group, in the order of the stream. samples: of each group, for a
    source without end, otherwise None.
    """

    def __init__(
        self, source: Source, groups: tuple[tuple[Any, ...], ...], passes: int,
        samples: int | None, name: str,
    ) -> None:  # fmt: skip
        super().__init__(source, name)
        self.groups, self.n_tasks = groups, len(groups)
        self.recovers = False  # other classes are harder or easier
        self._passes, self._samples = passes, samples
        known = None if source.length is None else passes * source.length
        self.length = len(groups) * (samples or 0) if known is None else known
        self.defaults = {**self.defaults, "epochs": 1}
        self._sizes: list[int] | None = None if samples is None else [samples] * len(groups)

    def content(self) -> str:
        """The hash of the data of the source inside."""
        return content(self._source.name, self._source)

    def chunks(self, epoch: int, start: int = 0, size: int = 256) -> Iterator[Chunk]:
        """See `Source.chunks`. The epoch is read from its beginning, also for a later ``start``."""
        return cut(self._chunks(epoch), start, size)

    def held_out(self, task: int, size: int = 1024) -> Iterator[Chunk] | None:
        """The held-out samples of a group."""
        chunks = self._source.test(READ)
        return None if chunks is None else cut(_among(chunks, self.groups[task]), 0, size)

    def drifts(self, samples: int) -> Sequence[int]:
        """See `Source.drifts`. A source with an end is read once for it."""
        if self._sizes is None:
            sizes = [0] * len(self.groups)
            of = {label: i for i, group in enumerate(self.groups) for label in group}
            for _, y in self._source.chunks(0, 0, READ):
                for label in y.tolist():
                    sizes[of[label]] += self._passes
            self._sizes = sizes
        starts = np.cumsum([0, *self._sizes])[:-1].tolist()
        epochs = range(-(-samples // self.length)) if self.length else ()
        all_ = (epoch * self.length + at for epoch in epochs for at in starts if self.length)
        return tuple(at for at in all_ if 0 < at < samples)

    def _chunks(self, epoch: int) -> Iterator[Chunk]:
        for group in self.groups:
            if self._samples is not None:
                yield from _first(_among(self._source.chunks(epoch, 0, READ), group), self._samples)
                continue
            for number in range(epoch * self._passes, (epoch + 1) * self._passes):
                yield from _among(self._source.chunks(number, 0, READ), group)


def _among(chunks: Iterator[Chunk], labels: tuple[Any, ...]) -> Iterator[Chunk]:
    """The samples with one of ``labels``."""
    some = set(labels)
    for X, y in chunks:
        mine: Array = np.array([label in some for label in y.tolist()], np.bool_)
        if mine.any():
            yield X[mine], y[mine]


def _first(chunks: Iterator[Chunk], n: int) -> Iterator[Chunk]:
    """The first n samples."""
    for X, y in chunks:
        yield X[:n], y[:n]
        n -= len(y)
        if n <= 0:
            return


SOURCE = SourceFile(__name__, open=open, table=True)
