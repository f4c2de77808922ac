"""Standard input that a test writes to, and rows of CSV for it."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from types import SimpleNamespace

import numpy as np

CENTRES = np.random.default_rng(5).normal(size=(3, 4))


def rows(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Samples (n, 4) with four decimals, and their labels 0, 1, 2."""
    rng = np.random.default_rng(seed)
    y = rng.integers(3, size=n)
    return (CENTRES[y] + 0.5 * rng.normal(size=(n, 4))).round(4), y


def csv(n: int, seed: int = 0, header: bool = True) -> bytes:
    """The same as lines of CSV."""
    X, y = rows(n, seed)
    lines = [",".join([*map(str, x), str(label)]) for x, label in zip(X.tolist(), y, strict=True)]
    return "\n".join([*["a,b,c,d,label"][:header], *lines, ""]).encode()


@contextlib.contextmanager
def standard_input(parts: Iterable[bytes]) -> Iterator[None]:
    """Within it, these bytes arrive at standard input, one part after the other."""
    reading, writing = os.pipe()

    def write() -> None:
        with contextlib.suppress(BrokenPipeError), os.fdopen(writing, "wb", buffering=0) as file:
            for part in parts:
                file.write(part)

    before, sys.stdin = sys.stdin, SimpleNamespace(fileno=lambda: reading)  # type: ignore[assignment]
    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        sys.stdin = before
        os.close(reading)
        writer.join(10)


def adds_up(live: dict) -> bool:
    """Whether something became of every message."""
    parts = ("learned", "dropped", "malformed", "unlabelled", "merged", "waiting")
    return live["received"] == sum(live[name] for name in parts)
