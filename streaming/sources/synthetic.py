"""synthetic[:key=value,...]: a seeded stream of classes made of several Gaussian clusters.

The centres of all clusters lie in a common three-dimensional subspace of the features, where the
clusters of different classes are interleaved: a linear readout reaches an accuracy of about 65 %
(chance 25 %), a network with one hidden layer above 95 %. A drift moves the centres of all clusters
to new positions in that subspace.

======== ======= ====================================================================
key      default meaning
======== ======= ====================================================================
features 20      numbers per sample
classes  4       labels 0 to classes - 1, all equally likely
clusters 3       clusters per class
noise    0.3     standard deviation around a centre; centres spread by 1 per feature
samples  endless training samples per epoch; samples/4 more are held out (20 % of all)
drift    none    none; abrupt: at sample `at`; gradual: each sample comes from the new
                 centres with a probability that rises from 0 to 1 over `width`
at       5000    training sample (from 0) where the drift begins
width    5000    samples that a gradual drift takes
also     none    SAMPLE+SAMPLE+...: the centres move at each of these too, at once; the page
                 of `dendrostream live` adds them
seed     --seed  fixes centres and samples
======== ======= ====================================================================

Every epoch is the same stream. Nothing is held out if the stream has no end or drifts.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rate_models.errors import BadOption, UnknownName, quoted
from rate_models.support.estimates import check_memory
from streaming.sources import Chunk, Options, Source, SourceFile, _caused

DRAWN_TOGETHER = 256
SUBSPACE = 3
DRIFTS = ("none", "abrupt", "gradual")
# Streams of random numbers: default_rng([seed, stream, part]).
_CENTRES, _TRAIN, _TEST = range(3)


@dataclass(frozen=True)
class Settings:
    """The parameters of the stream; see the keys in the module."""

    features: int = 20
    classes: int = 4
    clusters: int = 3
    noise: float = 0.3
    samples: int | None = None
    drift: str = "none"
    at: int = 5000
    width: int = 5000
    also: tuple[int, ...] = ()
    seed: int = 0

    @property
    def changes(self) -> bool:
        """Whether the stream drifts at all."""
        return self.drift != "none" or bool(self.also)


LEAST = {"features": 1, "classes": 2, "clusters": 1, "samples": 1, "at": 0, "width": 1, "seed": 0}


def open(argument: str | None, options: Options) -> SyntheticSource:
    name = "synthetic" if argument is None else f"synthetic:{argument}"
    return SyntheticSource(_settings(argument or "", options.seed), name)


class SyntheticSource(Source):
    """A stream of Gaussian clusters; see the module.

    >>> source = SyntheticSource(Settings(samples=1000), "synthetic:samples=1000")
    >>> source.length, source.n_features, source.classes
    (1000, 20, (0, 1, 2, 3))
    """

    def __init__(self, settings: Settings, name: str) -> None:
        s = self.settings = settings
        numbers = (
            s.features * ((2 + len(s.also)) * s.classes * s.clusters + DRAWN_TOGETHER)
            + 8 * s.classes
        )
        check_memory(f"source {name}", f"{s.features:,} features, {s.classes:,} classes of "
                     f"{s.clusters:,} clusters", 8 * numbers)  # fmt: skip
        self.name = name
        self.n_features = s.features
        self.classes = tuple(range(s.classes))
        self.length = s.samples
        self.scale = "none"
        self.recovers = s.drift != "gradual"
        rng = np.random.default_rng([s.seed, _CENTRES])
        basis = rng.standard_normal((SUBSPACE, s.features)) / math.sqrt(SUBSPACE)
        # (concept, cluster, feature): before and after each drift; cluster k: of class k % classes
        self._drawn = 0  # training samples of this epoch
        self._random, self._basis = rng, basis
        self._centres = self._more_centres(2 + len(s.also))

    @property
    def power(self) -> float:
        """The mean square of a feature: 1 by the centres, plus the variance of the noise."""
        return 1 + self.settings.noise**2

    def chunks(self, epoch: int, start: int = 0, size: int = 256) -> Iterator[Chunk]:
        """See `Source.chunks`. The time to start does not depend on ``start``."""
        return self._stream(_TRAIN, start, self.length, size)

    @property
    def can_drift(self) -> bool:
        """See `Source.can_drift`."""
        return len(self.settings.also) < _caused.MOST

    def drift_now(self, position: int) -> None:
        """See `Source.drift_now`: a drift at the next multiple of 256 samples in every epoch."""
        at = max(self._drawn, position % self.length if self.length else position)
        if self.length is not None and at >= self.length:
            raise BadOption("drift", got="an epoch that is drawn to its end", expected="a new one")
        also = _caused.one_more("drift", self.settings.also, at)
        self._centres = np.concatenate([self._centres, self._more_centres(1)])
        given = self.name.partition(":")[2].split(",")
        kept = [s for s in given if s.partition("=")[0].strip() not in ("", "also")]
        self.settings = dataclasses.replace(self.settings, also=also)
        self.name = "synthetic:" + ",".join([*kept, f"also={_caused.as_text(also)}"])

    def _more_centres(self, concepts: int) -> NDArray[np.float64]:
        """The centres of further concepts; those of a concept do not depend on how many follow."""
        s = self.settings
        shape = concepts, s.classes * s.clusters, SUBSPACE
        return np.asarray(self._random.standard_normal(shape) @ self._basis)

    def test(self, size: int = 1024) -> Iterator[Chunk] | None:
        """See `Source.test`."""
        n = (self.length or 0) // 4
        return self._stream(_TEST, 0, n, size) if n and not self.settings.changes else None

    def drifts(self, samples: int) -> Sequence[int]:
        """See `Source.drifts`: the same samples of every epoch."""
        s, length = self.settings, self.length or max(samples, 1)
        own = {*s.also, *([s.at] if s.drift != "none" else [])}
        every = (range(at, samples, length) for at in own if at < length)
        return sorted(at for each in every for at in each)

    def _stream(self, stream: int, start: int, end: int | None, size: int) -> Iterator[Chunk]:
        drawn, at = -1, start
        while end is None or at < end:
            stop = at + size if end is None else min(at + size, end)
            parts = []
            while at < stop:
                part, offset = divmod(at, DRAWN_TOGETHER)
                if part != drawn:
                    X, y = self._draw(stream, part)
                    drawn = part
                    if stream == _TRAIN:
                        self._drawn = (part + 1) * DRAWN_TOGETHER
                take = min(DRAWN_TOGETHER - offset, stop - at)
                parts.append((X[offset : offset + take], y[offset : offset + take]))
                at += take
            yield np.concatenate([X for X, _ in parts]), np.concatenate([y for _, y in parts])

    def _draw(self, stream: int, part: int) -> Chunk:
        s = self.settings
        rng = np.random.default_rng([s.seed, stream, part])
        cluster = rng.integers(s.classes * s.clusters, size=DRAWN_TOGETHER)
        X = rng.standard_normal((DRAWN_TOGETHER, s.features))
        X *= s.noise
        X += self._centres[self._concept(part, rng), cluster]
        return X, cluster % s.classes

    def _concept(self, part: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """The number of drifts before each sample."""
        s, number = self.settings, np.arange(part * DRAWN_TOGETHER, (part + 1) * DRAWN_TOGETHER)
        also = np.searchsorted(np.array(s.also, np.int64), number, side="right")
        past = number - s.at
        if s.drift == "none":
            return also
        if s.drift == "abrupt":
            return also + (past >= 0)
        return also + (rng.random(DRAWN_TOGETHER) * s.width < past)


def _settings(text: str, seed: int) -> Settings:
    """Settings from the argument of the source. Raises UnknownName and BadOption.

    >>> _settings("features=5,drift=abrupt", seed=3)
    ... # doctest: +NORMALIZE_WHITESPACE
    Settings(features=5, classes=4, clusters=3, noise=0.3, samples=None, drift='abrupt', at=5000,
             width=5000, also=(), seed=3)
    """
    keys = [f.name for f in dataclasses.fields(Settings)]
    given: dict[str, Any] = {"seed": seed}
    for item in text.split(",") if text else []:
        key, _, value = (part.strip() for part in item.partition("="))
        if key not in keys:
            raise UnknownName("synthetic", got=repr(item), expected=f"KEY=VALUE, {', '.join(keys)}")
        given[key] = _value(key, value)
    drift = given.get("drift", "none")
    for key, needs in (("at", DRIFTS[1:]), ("width", DRIFTS[2:])):
        if key in given and drift not in needs:
            raise BadOption(
                f"synthetic:{key}",
                got=f"drift={drift}",
                expected=" or ".join(f"drift={d}" for d in needs),
            )
    return Settings(**given)


def _value(key: str, text: str) -> Any:
    if key == "drift":
        if text not in DRIFTS:
            raise BadOption(f"synthetic:{key}", got=repr(text), expected=f"one of {DRIFTS}")
        return text
    if key == "also":
        return _caused.parse("synthetic:also", text)
    number, least, what = (
        (float, 0.0, "a finite number") if key == "noise" else (int, LEAST[key], "a whole number")
    )
    try:
        value = number(text)
    except ValueError:
        value = math.nan
    if not least <= value < (1e100 if key == "noise" else 2**63 if key != "seed" else math.inf):
        most = "" if key == "seed" else " and below 1e100" if key == "noise" else " and below 2^63"
        expected = f"{what} of at least {least}{most}"
        raise BadOption(f"synthetic:{key}", got=quoted(text), expected=expected)
    return value


SOURCE = SourceFile(__name__, open=open)
