"""drift:[KEY=VALUE,...:]SOURCE: any source, with drift: its samples change while it streams.

    dendrostream run --source drift:digits
    dendrostream run --source drift:kind=gradual,change=scale,at=6000,width=4000:csv:FILE.csv

======== ======= ===================================================================
key      default meaning
======== ======= ===================================================================
kind     abrupt  abrupt: a new concept from sample `at` on, and another one after
                 each `period`; gradual: so, but each sample comes from the new
                 concept with a probability that rises from 0 to 1 over `width`
                 samples; recurring: abrupt, and the first concept follows the last
change   permute permute: features change places; scale: each feature is divided by a
                 number from 1 to `factor`; rotate: class k of n becomes class
                 k + concept (mod n); swap: classes exchange their labels in pairs
concepts 2       number of concepts; the samples of the first are those of SOURCE
at       5000    sample, counted from 0 over all epochs, where the first drift begins
period   at      samples from one drift to the next
width    period  samples that a gradual drift takes, `period` at most
factor   10      of scale; the logarithm of the divisor is uniform
also     none    SAMPLE+SAMPLE+...: another concept follows at each of these too, at
                 once; the page of `dendrostream live` adds them
seed     --seed  fixes the concepts and the draws of a gradual drift
======== ======= ===================================================================

permute and scale change the inputs, rotate and swap what has to be predicted from them (virtual and
real drift: Gama et al., ACM Computing Surveys 46(4), 2014). Permuted images as a sequence of tasks:
Goodfellow et al., arXiv:1312.6211, 2013.

SOURCE is any source that can be read again, also another drift. A stream that drifts has no single
held-out test; `Drift.held_out` has the held-out samples of SOURCE under each concept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rate_models.errors import BadOption
from rate_models.support.estimates import check_memory
from streaming.samples.source import Array
from streaming.samples.task_sequence import TaskSequence
from streaming.sources import Chunk, Options, Source, SourceFile, _caused, content
from streaming.sources._wrapping import MOST, Arguments

KINDS = ("abrupt", "gradual", "recurring")
CHANGES = ("permute", "scale", "rotate", "swap")
KEYS = ("kind", "change", "concepts", "at", "period", "width", "factor", "also", "seed")
OF_LABELS = ("rotate", "swap")
DRAWN_TOGETHER = 256
# Streams of random numbers: default_rng([seed, stream, number]). Sources inside have the epoch as
# their second number, which is never so large.
_CONCEPT, _DRAWS = 0x6472696674, 0x6472696675


class Settings(NamedTuple):
    """The keys of a drift; see the module. width: 0 for an abrupt change.

    all_concepts: their number; those in ``also`` come in addition, unless concepts recur.
    """

    kind: str
    change: str
    concepts: int
    at: int
    period: int
    width: int
    factor: float
    also: tuple[int, ...]
    seed: int

    @property
    def all_concepts(self) -> int:
        return self.concepts + (len(self.also) if self.kind != "recurring" else 0)


def open(argument: str | None, options: Options) -> Drift:
    given = Arguments("drift", argument, KEYS)
    kind = given.choice("kind", KINDS)
    change = given.choice("change", CHANGES)
    at = given.whole("at", 5000)
    period = given.whole("period", at)
    given.allow("width", kind == "gradual", "kind=gradual")
    given.allow("factor", change == "scale", "change=scale")
    settings = Settings(
        kind, change, given.whole("concepts", 2, least=2), at, period,
        given.whole("width", period, most=period) if kind == "gradual" else 0,
        given.number("factor", 10, least=1, most=1e9),
        _caused.parse("drift:also", given.text("also")),
        given.whole("seed", options.seed, 0, MOST),
    )  # fmt: skip
    source = given.open(options)
    return Drift(source, settings, given.name(source))


class Drift(TaskSequence):
    """``source`` with drift; see the module. A task is a concept."""

    def __init__(self, source: Source, settings: Settings, name: str) -> None:
        super().__init__(source, name)
        self._next = 0  # the number of the first sample that is not drawn yet
        if settings.change in OF_LABELS and source.classes is None:
            raise BadOption("drift:change", got=f"{settings.change}, and numbers to predict",
                            expected="change=permute or change=scale")  # fmt: skip
        self._take(settings)
        self.recovers = settings.kind != "gradual"
        self.one_after_another = settings.kind == "abrupt"
        labels = source.classes or ()
        same = len({type(label) for label in labels}) == 1
        self._labels = np.array(labels, dtype=None if same else object)
        self._index = {label: i for i, label in enumerate(labels)}

    def _take(self, settings: Settings) -> None:
        """Draw all concepts."""
        of_labels = settings.change in OF_LABELS
        size = len(self.classes or ()) if of_labels else self.n_features
        n = settings.all_concepts
        what = f"{n:,} concepts of {size:,} numbers"
        check_memory(f"source {self.name}", what, 8 * size * n)
        self.settings, self.n_tasks = settings, n
        self._concepts = np.stack([self._drawn(k, size) for k in range(n)])

    def _drawn(self, concept: int, size: int) -> Array:
        """What defines a concept: an order of features or classes, or a factor per feature."""
        s, order = self.settings, np.arange(size)
        if s.change == "rotate":
            return (order + concept) % size
        if concept == 0:
            return np.ones(size) if s.change == "scale" else order
        rng = np.random.default_rng([s.seed, _CONCEPT, concept])
        if s.change == "scale":
            return np.asarray(s.factor ** -rng.random(size))
        drawn = rng.permutation(size)
        if s.change == "swap":
            one, other = drawn[: size // 2], drawn[size // 2 : 2 * (size // 2)]
            order[one], order[other] = other, one
            return order
        return drawn

    def content(self) -> str:
        """The hash of the data of the source inside."""
        return content(self._source.name, self._source)

    def chunks(self, epoch: int, start: int = 0, size: int = 256) -> Iterator[Chunk]:
        """See `Source.chunks`."""
        first = epoch * (self.length or 0) + start
        for X, y in self._source.chunks(epoch, start, size):
            changed = self._changed(X, y, self.concepts(first, len(y)))
            first += len(y)
            self._next = first
            yield changed

    @property
    def can_drift(self) -> bool:
        """See `Source.can_drift`."""
        return len(self.settings.also) < _caused.MOST

    def drift_now(self, position: int) -> None:
        """See `Source.drift_now`: the next concept begins, at once."""
        also = _caused.one_more("drift", self.settings.also, max(self._next, position))
        given = Arguments("drift", self.name.partition(":")[2], KEYS)
        self._take(self.settings._replace(also=also))
        self.name = "drift:" + given.replaced("also", _caused.as_text(also))

    def test(self, size: int = 1024) -> Iterator[Chunk] | None:
        """None; see `held_out`."""
        return None

    def held_out(self, task: int, size: int = 1024) -> Iterator[Chunk] | None:
        """The held-out samples of the source under a concept."""
        chunks = self._source.test(size)
        if chunks is None:
            return None
        return (self._changed(X, y, np.full(len(y), task)) for X, y in chunks)

    def drifts(self, samples: int) -> Sequence[int]:
        """See `Source.drifts`."""
        s = self.settings
        end = samples if s.kind == "recurring" else s.at + (s.concepts - 1) * s.period
        known = range(s.at, min(samples, end), s.period)
        more = [at for at in s.also if at < samples]
        return sorted({*known, *more}) if more else known

    def concepts(self, first: int, n: int) -> NDArray[np.int64]:
        """The concepts of samples ``first`` to ``first + n`` of the stream, (n,)."""
        s, number = self.settings, np.arange(first, first + n)
        drifted = np.maximum((number - s.at) // s.period + 1, 0)
        if s.width:
            since = number - s.at - (drifted - 1) * s.period
            drifted -= (drifted > 0) & (self._draws(first, n) * s.width >= since)
        also = np.searchsorted(np.array(s.also, np.int64), number, side="right")
        if s.kind == "recurring":
            return np.asarray((drifted + also) % s.concepts)
        return np.asarray(np.minimum(drifted, s.concepts - 1) + also)

    def _draws(self, first: int, n: int) -> NDArray[np.float64]:
        """A uniform number for each sample, the same however the stream is cut."""
        parts = range(first // DRAWN_TOGETHER, (first + n - 1) // DRAWN_TOGETHER + 1)
        seed = self.settings.seed
        drawn = [
            np.random.default_rng([seed, _DRAWS, part]).random(DRAWN_TOGETHER) for part in parts
        ]
        return np.asarray(np.concatenate([np.zeros(0), *drawn])[first % DRAWN_TOGETHER :][:n])

    def _changed(self, X: Array, y: Array, concepts: NDArray[np.int64]) -> Chunk:
        """The samples under their concepts (n,)."""
        of = self._concepts[concepts]
        if self.settings.change == "permute":
            return np.take_along_axis(X, of, axis=1), y
        if self.settings.change == "scale":
            return X * of, y
        codes = [self._index[label] for label in y.tolist()]
        return X, self._labels[of[np.arange(len(y)), codes]]


SOURCE = SourceFile(__name__, open=open, table=True)
