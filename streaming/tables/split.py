"""The held-out rows of a table, chosen in one pass without keeping rows in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streaming.samples.split import SPLIT_SEED


class Split:
    """A share of the rows to hold out: the last ones, or the same share of every class.

    rows: number of rows; round(share·rows) of them are held out. counts: the number of rows of
    every class, empty without classes. stratify: hold out a random sample of every class (of all
    rows without classes): round(share·n) of a class with n rows, the same ones for every seed of a
    run.
    """

    def __init__(self, share: float, stratify: bool, rows: int, counts: Mapping[Any, int]) -> None:
        groups = dict(counts) or {None: rows}
        self._counts, self._classes = groups, bool(counts)
        self._wanted = {group: round(share * n) for group, n in groups.items()} if stratify else {}
        self.n_test = sum(self._wanted.values()) if stratify else round(share * rows)
        self._first = rows - self.n_test

    def of(self, start: int = 0) -> Pass:
        """A pass over the rows from ``start`` on."""
        return Pass(self, start)


class Pass:
    """One pass over the rows of a `Split`, chunk by chunk."""

    def __init__(self, split: Split, start: int) -> None:
        self._split, self._at = split, start
        self._left: Counter[Any] = Counter(split._counts)
        self._wanted = dict(split._wanted)
        # not default_rng(0), since the rows themselves may have been drawn with it
        self._rng = np.random.default_rng([SPLIT_SEED, *b"split"])

    def __call__(self, labels: NDArray[Any]) -> NDArray[np.bool_]:
        """Whether each of the next rows, with these labels (n,), is held out, (n,) bool."""
        n, self._at = len(labels), self._at + len(labels)
        if not self._wanted:
            return np.arange(self._at - n, self._at) >= self._split._first
        groups = labels.tolist() if self._split._classes else [None] * n
        held = np.zeros(n, np.bool_)
        # Selection sampling (Knuth, TAOCP 2, 3.4.2, algorithm S), separately for every class
        for i, (group, draw) in enumerate(zip(groups, self._rng.random(n).tolist(), strict=True)):
            if draw * self._left[group] < self._wanted[group]:
                held[i] = True
                self._wanted[group] -= 1
            self._left[group] -= 1
        return held
