"""Which rows of a table are held out, decided in one pass and without keeping any."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streaming.samples.split import SPLIT_SEED


class Split:
    """Holds a share of the rows out: the last ones, or as much of every class.

    rows: how many there are; round(share·rows) are held out. counts: the rows of every class,
    empty where there are none. stratify: a random sample of every class (of all rows, where there
    are none): of a class with n rows round(share·n), the same ones for every seed of a run.
    """

    def __init__(self, share: float, stratify: bool, rows: int, counts: Mapping[Any, int]) -> None:
        groups = dict(counts) or {None: rows}
        self._counts, self._classes = groups, bool(counts)
        self._wanted = {group: round(share * n) for group, n in groups.items()} if stratify else {}
        self.n_test = sum(self._wanted.values()) if stratify else round(share * rows)
        self._first = rows - self.n_test

    def of(self, start: int = 0) -> Pass:
        """What tells, block after block, which rows are held out."""
        return Pass(self, start)


class Pass:
    """One pass over the rows of a `Split`."""

    def __init__(self, split: Split, start: int) -> None:
        self._split, self._at = split, start
        self._left: Counter[Any] = Counter(split._counts)
        self._wanted = dict(split._wanted)
        # not default_rng(0), by which the rows themselves may have been drawn
        self._rng = np.random.default_rng([SPLIT_SEED, *b"split"])

    def __call__(self, labels: NDArray[Any]) -> NDArray[np.bool_]:
        """Which of the next rows, with these labels (n,), are held out, (n,)."""
        n, self._at = len(labels), self._at + len(labels)
        if not self._wanted:
            return np.arange(self._at - n, self._at) >= self._split._first
        groups = labels.tolist() if self._split._classes else [None] * n
        held = np.zeros(n, np.bool_)
        # Selection sampling (Knuth, TAOCP 2, 3.4.2, algorithm S), for every class by itself
        for i, (group, draw) in enumerate(zip(groups, self._rng.random(n).tolist(), strict=True)):
            if draw * self._left[group] < self._wanted[group]:
                held[i] = True
                self._wanted[group] -= 1
            self._left[group] -= 1
        return held
