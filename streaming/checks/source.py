"""Tests of the contract of a source, point by point; see `streaming.sources.Source`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from rate_models.checks.report import Line, Report, carried_out
from rate_models.support import lookup, own_files
from streaming.sources import SOURCES, Chunk, Options, Source, open_source, parts, refuse_live

MOST = 600  # the largest number of samples that are tested
SIZES = (1, 7, 64, 300)
SCALES = ("none", "range", "running", "global")


class Subject(NamedTuple):
    """A source to test: its name and its options."""

    name: str
    options: Options

    def opened(self) -> Source:
        """Open the source again."""
        return open_source(self.name, self.options)


def check_source(
    name: str, options: Options | None = None, *, only: Sequence[str] | None = None
) -> Report:
    """Test the contract of a source on its first samples; returns the report.

    name: as for `open_source`: a name or the path of a file, with an argument if needed.
    Raises the errors of `open_source`, and BadOption for a live source.
    """
    refuse_live(name, "check")
    subject = Subject(name, options or Options())
    subject.opened()
    return Report("source", own_files.shown(name), carried_out(CHECKS, subject, only))


def _joined(chunks: Iterator[Chunk]) -> tuple[Any, Any]:
    parts = list(chunks)
    if not parts:
        return np.zeros((0, 0)), np.zeros(0)
    return np.concatenate([X for X, _ in parts]), np.concatenate([y for _, y in parts])


def _read(source: Source, epoch: int, start: int, size: int, n: int) -> tuple[Any, Any]:
    """The first n samples from ``start`` on, read in chunks of ``size``."""
    X, y = _joined(islice(source.chunks(epoch, start, size), -(-n // size)))
    return X[:n], y[:n]


def _same(one: tuple[Any, Any], other: tuple[Any, Any]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def _description(on: Subject) -> Iterator[Line]:
    document = lookup.document(lookup.module(SOURCES, parts(on.name)[0]))
    yield Line("description", bool(document), "" if document else "no docstring in the file")


def _attributes(on: Subject) -> Iterator[Line]:
    source, wrong = on.opened(), list[str]()
    if not isinstance(source, Source):
        lacks = [
            n for n in Source.__annotations__ | {"chunks": 0, "test": 0} if n not in dir(source)
        ]
        wrong.append(f"it lacks {', '.join(lacks)}")
    else:
        if source.scale not in SCALES:
            wrong.append(f"scale is {source.scale!r}, none of {', '.join(SCALES)}")
        if not source.maximum > 0:
            wrong.append(f"maximum is {source.maximum!r}, not above 0")
        again = open_source(source.name, on.options)
        if again.name != source.name:
            wrong.append(f"its name {source.name!r} opens a source with the name {again.name!r}")
    yield Line("attributes", not wrong, "; ".join(wrong))


def _samples(on: Subject) -> Iterator[Line]:
    source, wrong = on.opened(), list[str]()
    n = min(MOST, source.length or MOST)
    X, y = _read(source, 0, 0, 64, n)
    if X.shape != (n, source.n_features) or y.shape[:1] != (n,):
        wrong.append(f"shapes {X.shape} and {y.shape}, not {(n, source.n_features)} and {(n,)}")
    elif X.dtype.kind not in "buif" or not np.isfinite(X).all():
        wrong.append(f"features of {X.dtype} that are no finite numbers")
    elif source.classes is not None and (odd := set(y.tolist()) - set(source.classes)):
        wrong.append(f"labels that are not among its classes: {sorted(map(str, odd))[:3]}")
    elif source.scale == "range" and X.max() > source.maximum:
        wrong.append(f"a feature of {X.max():g}, above its maximum {source.maximum:g}")
    yield Line("samples", not wrong, "; ".join(wrong) or f"{n} tested")


def _length(on: Subject) -> Iterator[Line]:
    source = on.opened()
    if source.length is None:
        yield Line("length", True, "no end")
        return
    got = sum(len(y) for _, y in source.chunks(0))
    after = len(list(source.chunks(0, start=source.length)))
    text = f"{got} samples" + (", and more after the last one" if after else "")
    ok = got == source.length and not after
    yield Line("length", ok, text if ok else f"{text}; length is {source.length}")


def _chunking(on: Subject) -> Iterator[Line]:
    source = on.opened()
    n = min(MOST, source.length or MOST)
    whole = _read(source, 0, 0, n, n)
    odd = [size for size in SIZES if not _same(whole, _read(source, 0, 0, size, n))]
    yield Line("any chunking", not odd, f"other samples in chunks of {odd}" if odd else "")


def _resume(on: Subject) -> Iterator[Line]:
    source = on.opened()
    n = min(MOST, source.length or MOST)
    X, y = _read(source, 1, 0, 97, n)
    starts = sorted({1, n // 3, n - 1} - {0, n})
    odd = [s for s in starts if not _same((X[s:], y[s:]), _read(on.opened(), 1, s, 50, n - s))]
    detail = f"started at {odd}, it gives samples other than in a full pass" if odd else ""
    yield Line("resume", not odd, detail)


def _again(on: Subject) -> Iterator[Line]:
    first, second, wrong = on.opened(), on.opened(), list[str]()
    n = min(MOST, first.length or MOST)
    _read(first, 0, 0, 64, n)
    for epoch in (0, 1):
        if not _same(_read(first, epoch, 0, 64, n), _read(second, epoch, 0, 64, n)):
            wrong.append(f"epoch {epoch} differs when it is read again")
    tests = [source.test() for source in (first, second)]
    if None not in tests and not _same(*(_joined(test) for test in tests if test is not None)):
        wrong.append("the held-out samples differ when it is opened again")
    yield Line("the same again", not wrong, "; ".join(wrong))


CHECKS: dict[str, Callable[[Subject], Iterator[Line]]] = {
    "description": _description,
    "attributes": _attributes,
    "samples": _samples,
    "length": _length,
    "any chunking": _chunking,
    "resume": _resume,
    "the same again": _again,
}
