"""Cutting a stream of samples into chunks of another size."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from streaming.samples.source import Chunk


def cut(chunks: Iterator[Chunk], start: int, size: int) -> Iterator[Chunk]:
    """The samples from number ``start`` on, in chunks of ``size``.

    >>> chunks = [(np.zeros((3, 1)), np.arange(3)), (np.zeros((2, 1)), np.arange(3, 5))]
    >>> [y.tolist() for _, y in cut(iter(chunks), 1, 2)]
    [[1, 2], [3, 4]]
    """
    parts, n = list[Chunk](), 0  # remaining rows of earlier chunks, and their number
    for values, labels in chunks:
        if start >= len(labels):
            start -= len(labels)
            continue
        parts.append((values[start:], labels[start:]))
        n, start = n + len(labels) - start, 0
        if n < size:
            continue
        X, y = _joined(parts)
        whole = n - n % size
        for at in range(0, whole, size):
            yield X[at : at + size], y[at : at + size]
        parts, n = [(X[whole:], y[whole:])] if n > whole else [], n - whole
    if n:
        yield _joined(parts)


def _joined(parts: list[Chunk]) -> Chunk:
    if len(parts) == 1:
        return parts[0]
    return np.vstack([X for X, _ in parts]), np.hstack([y for _, y in parts])
