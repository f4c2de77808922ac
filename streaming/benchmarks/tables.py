"""Rows per second of ``csv:FILE`` and of other readers: 12 features of full precision and a label.

All readers read the same file from its start, about a thousand rows at a time, into an array of
float64 and labels. The first pass of the source, which checks every row, is not counted; it takes
about as long as a later one.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import numpy as np

from streaming.benchmarks.scenario import Array, Peer, Runner, Samples, Scenario
from streaming.sources import Chunk, open_source

SCENARIO = "csv-12-features"
ROWS, FEATURES, PIECE = 100_000, 12, 1024


def scenarios(folder: Path) -> Iterator[Scenario]:
    """One, of a file in ``folder`` that is written when it is measured."""
    path = folder / "table.csv"
    yield Scenario(SCENARIO, _peers(path), lambda: Samples(*data(path), "written for this"), 2000)


def _peers(path: Path) -> dict[str, Peer]:
    """Functions that make a reader of a number of rows; the reason where a library is missing."""
    readers = {"csv module and float": _by_hand, "pandas": _pandas, "pyarrow": _pyarrow}
    peers: dict[str, Peer] = {"csv source": partial(_source, path)}
    for name, chunks in readers.items():
        missing = name.isidentifier() and find_spec(name) is None
        peers[name] = (
            f"{name} is not installed" if missing else partial(_reader, partial(chunks, path))
        )
    return peers


def data(path: Path) -> tuple[Array, Array]:
    """Write the file to read; returns its features (N, 12) and labels (N,)."""
    rng = np.random.default_rng(0)
    X, labels = rng.normal(size=(ROWS, FEATURES)), rng.integers(0, 10, ROWS)
    with open(path, "w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow([*(f"x{i}" for i in range(FEATURES)), "label"])
        lines.writerows([*x, y] for x, y in zip(X.tolist(), labels.tolist(), strict=True))
    return X, labels


def _reader(chunks: Callable[[], Iterator[Chunk]]) -> Runner:
    def read(X: Array, labels: Array) -> None:
        n = 0
        for rows, _ in chunks():
            n += len(rows)
            if n >= len(X):
                return

    return read


def _source(path: Path) -> Runner:
    source = open_source(f"csv:{path}")
    return _reader(lambda: source.chunks(0, size=PIECE))


def _by_hand(path: Path) -> Iterator[Chunk]:
    with open(path, newline="") as file:
        rows = csv.reader(file)
        next(rows)
        while some := list(islice(rows, PIECE)):
            labels = np.array([int(row.pop()) for row in some])
            yield np.array([[float(cell) for cell in row] for row in some]), labels


def _pandas(path: Path) -> Iterator[Chunk]:
    pandas = import_module("pandas")
    with pandas.read_csv(path, chunksize=PIECE) as pieces:
        for frame in pieces:
            yield frame.to_numpy()[:, :-1], frame["label"].to_numpy()


def _pyarrow(path: Path) -> Iterator[Chunk]:
    arrow = import_module("pyarrow.csv")
    options = arrow.ReadOptions(use_threads=False, block_size=1 << 18)
    for batch in arrow.open_csv(path, options):
        columns = [column.to_numpy() for column in batch.columns]
        yield np.column_stack(columns[:-1]), columns[-1]
