"""Bytes of a live stream as whole lines, with the position after each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LONGEST = 1 << 22  # bytes of a line; a longer one is malformed


class Lines(NamedTuple):
    """Whole lines without their ends, and the positions after them (n,).

    too_long: whether a line that was too long ended before the first of them.
    """

    lines: list[bytes]
    marks: NDArray[np.int64]
    too_long: int = 0


class Splitter:
    """Splits bytes into lines. position: of the first byte.

    >>> splitter = Splitter(0)
    >>> splitter.add(b"a,b\\n1,").lines, splitter.add(b"2\\n").lines, splitter.position
    ([b'a,b'], [b'1,2'], 8)
    """

    def __init__(self, position: int) -> None:
        self.position = position
        self._rest, self._skipping = b"", False

    def add(self, data: bytes) -> Lines:
        """The lines that end in ``data``."""
        too_long = 0
        if self._skipping:
            end = data.find(b"\n")
            if end < 0:
                self.position += len(data)
                return Lines([], np.zeros(0, np.int64))
            data, self._skipping, too_long = data[end + 1 :], False, 1
            self.position += end + 1
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        marks = np.cumsum(np.fromiter(map(len, lines), np.int64, len(lines)) + 1) + self.position
        if lines:
            self.position = int(marks[-1])
        if len(self._rest) > LONGEST:
            self.position += len(self._rest)
            self._rest, self._skipping = b"", True
        return Lines(lines, marks, too_long)

    def end(self) -> Lines:
        """The last line, if it has no end."""
        line, self._rest = self._rest, b""
        too_long, self._skipping = int(self._skipping), False
        if not line:
            return Lines([], np.zeros(0, np.int64), too_long)
        self.position += len(line)
        return Lines([line], np.array([self.position]), too_long)
