"""events:PATH[?KEY=VALUE&...]: recordings of event cameras, binned into frames or time surfaces.

PATH is a recording (AEDAT 3.1, AEDAT 4) or a folder with a subfolder of recordings for each class,
as N-MNIST has it (N-MNIST's .bin, or AEDAT). If the folder has the subfolders Train and Test, those
of Test are held out, otherwise 20 % of the recordings of each class.

======== ======= ================================================================
key      default meaning
======== ======= ================================================================
window   all     seconds of a bin; each is a sample. all: one bin per recording
kind     frame   frame: events per pixel; surface: how long ago the last one was
tau      0.05    seconds in which a time surface falls to 1/e
pool     1       squares of so many pixels become one
merge    0       1: both polarities together
size             sensor as WIDTHxHEIGHT; .bin: 34x34, otherwise from the events
labels           for a single recording: a CSV file with the columns class,
                 startTime_usec, endTime_usec (as DVS128 Gesture has it)
======== ======= ================================================================

A single recording is a stream in the order of time; bins whose middle is in no interval of
``labels`` are left out. The recordings of a folder are in a random order, drawn for each epoch.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import numpy as np

from rate_models.errors import BadOption, BadSample, MissingData
from streaming.events.binning import KINDS, Form, bins
from streaming.events.recording import read
from streaming.samples.split import hold_out
from streaming.sources import Chunk, Options, Source, SourceFile

KEYS = ("window", "kind", "tau", "pool", "merge", "size", "labels")
ENDINGS = {".bin", ".aedat", ".aedat4"}
HELD_OUT = 0.2
NMNIST = (34, 34)


class Recording(NamedTuple):
    """A recording, and the labels of its bins: (label, begin, end) in microseconds, in order."""

    path: Path
    labels: list[tuple[Any, float, float]]


def open(argument: str | None, options: Options) -> Events:
    text, _, query = (argument or "").partition("?")
    given = dict(parse_qsl(query, keep_blank_values=True))
    if not text or (odd := set(given) - set(KEYS)):
        got = "no file" if not text else min(odd)
        raise BadOption("events", got=got, expected=f"events:PATH?KEY=VALUE, {', '.join(KEYS)}")
    path = Path(text).expanduser().absolute()
    return Events(path, given, options.seed, f"events:{path}" + (f"?{query}" if query else ""))


class Events(Source):
    """Bins of event recordings; see the module."""

    scale = "running"

    def __init__(self, path: Path, given: dict[str, str], seed: int, name: str) -> None:
        self.name, self._seed = name, seed
        self._given = given
        if path.is_dir():
            self._train, self._test = _folder(path)
            self._shuffled = True
        elif path.is_file():
            if "labels" not in given:
                raise BadOption(name, got="a recording without labels", expected="labels=FILE.csv")
            self._train = [Recording(path, _intervals(Path(given["labels"]).expanduser()))]
            self._test, self._shuffled = [], False
        else:
            raise MissingData("events", got=f"no {path}", expected="a recording, or a folder")
        self._form = self._form_of(self._train + self._test)
        maps, rows, columns = self._form.shape
        self.n_features = self._form.size
        self.image_shape = (rows, columns) if maps == 1 else None
        labels = {label for one in self._train + self._test for label, _, _ in one.labels}
        self.classes = tuple(sorted(labels, key=lambda label: (str(type(label)), label)))
        if len(self.classes) < 2:
            raise BadOption(name, got=f"{len(self.classes)} classes", expected="two at least")
        self.length = (
            sum(1 for one in self._train for _ in self._bins(one))
            if self._form.window or not self._shuffled else len(self._train)
        )  # fmt: skip
        if not self.length:
            raise BadOption(name, got="an empty stream", expected="bins with a label")

    def chunks(self, epoch: int, start: int = 0, size: int = 256) -> Iterator[Chunk]:
        """See `Source.chunks`."""
        order = np.arange(len(self._train))
        if self._shuffled:
            order = np.random.default_rng([self._seed, epoch]).permutation(order)
        if not self._form.window:
            order, start = order[start:], 0
        return self._joined([self._train[i] for i in order], start, size)

    def test(self, size: int = 1024) -> Iterator[Chunk] | None:
        """See `Source.test`."""
        return self._joined(self._test, 0, size) if self._test else None

    def content(self) -> str:
        """The number of recordings and their sizes."""
        return f"{len(self._train)} {sum(one.path.stat().st_size for one in self._train)}"

    def _joined(self, recordings: list[Recording], start: int, size: int) -> Iterator[Chunk]:
        X, y = list[Any](), list[Any]()
        for one in recordings:
            for x, label in self._bins(one):
                if start:
                    start -= 1
                    continue
                X.append(x)
                y.append(label)
                if len(y) == size:
                    yield np.array(X), np.array(y)
                    X, y = [], []
        if y:
            yield np.array(X), np.array(y)

    def _bins(self, one: Recording) -> Iterator[tuple[Any, Any]]:
        """The vectors of the bins that have a label, with their labels."""
        n = 0
        for x, begin, end in bins(read(one.path), self._form):
            middle, n = (begin + end) / 2, n + 1
            for label, first, last in one.labels:
                if first <= middle <= last:
                    yield x, label
                    break
        if not n and self._shuffled and not self._form.window:
            raise BadSample(str(one.path), got="no event", expected="a recording with events")

    def _form_of(self, recordings: list[Recording]) -> Form:
        given = self._given
        kind = given.get("kind", "frame")
        if kind not in KINDS:
            raise BadOption("events:kind", got=repr(kind), expected=" or ".join(KINDS))
        width, height = self._sensor(recordings)
        return Form(
            width, height, kind=kind, merge=_number(given, "merge", 0, 0, 1) == 1,
            window=round(_number(given, "window", 0, 1e-6, 1e6) * 1e6),
            tau=round(_number(given, "tau", 0.05, 1e-6, 1e6) * 1e6),
            pool=round(_number(given, "pool", 1, 1, max(width, height))),
        )  # fmt: skip

    def _sensor(self, recordings: list[Recording]) -> tuple[int, int]:
        """Width and height of the sensor."""
        if (text := self._given.get("size")) is not None:
            if not (match := re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text, re.ASCII)):
                raise BadOption("events:size", got=repr(text), expected="e.g. 346x260")
            return int(match[1]), int(match[2])
        if all(one.path.suffix == ".bin" for one in recordings):
            return NMNIST
        width = height = 1
        for one in recordings:
            for events in read(one.path):
                width = max(width, int(events["x"].max()) + 1)
                height = max(height, int(events["y"].max()) + 1)
        return width, height


def _folder(path: Path) -> tuple[list[Recording], list[Recording]]:
    """The recordings to learn and those held out."""
    if (path / "Train").is_dir() and (path / "Test").is_dir():
        return _of_classes(path / "Train"), _of_classes(path / "Test")
    every = _of_classes(path)
    held = hold_out(np.array([str(one.labels[0][0]) for one in every]), HELD_OUT, stratify=True)
    return (
        [one for one, out in zip(every, held, strict=True) if not out],
        [one for one, out in zip(every, held, strict=True) if out],
    )


def _of_classes(path: Path) -> list[Recording]:
    folders = sorted(folder for folder in path.iterdir() if folder.is_dir())
    whole = all(folder.name.isdecimal() for folder in folders)
    found = [
        Recording(file, [(int(folder.name) if whole else folder.name, -np.inf, np.inf)])
        for folder in folders
        for file in sorted(folder.iterdir())
        if file.suffix in ENDINGS
    ]
    if not found:
        raise MissingData("events", got=f"no recordings in {path}",
                          expected="a subfolder for each class, with files of "
                          f"{', '.join(sorted(ENDINGS))}")  # fmt: skip
    return found


def _intervals(path: Path) -> list[tuple[Any, float, float]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, skipinitialspace=True))
        texts = [(row["class"], row["startTime_usec"], row["endTime_usec"]) for row in rows]
        whole = all(label.isdecimal() for label, _, _ in texts)
        return [(int(c) if whole else c, float(first), float(last)) for c, first, last in texts]
    except (OSError, UnicodeError) as error:
        raise MissingData("events:labels", got=error, expected="a CSV file") from None
    except (KeyError, TypeError, ValueError, AttributeError, csv.Error) as error:
        raise BadOption(str(path), got=f"{type(error).__name__} ({error})",
                        expected="columns class,startTime_usec,endTime_usec") from None  # fmt: skip


def _number(given: dict[str, str], key: str, default: float, least: float, most: float) -> float:
    if key not in given:
        return default
    try:
        value = float(given[key])
        if least <= value <= most:
            return value
    except ValueError:
        pass
    raise BadOption(f"events:{key}", got=repr(given[key]), expected=f"{least:g} to {most:g}")


SOURCE = SourceFile(__name__, open=open)
