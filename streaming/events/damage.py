"""The form of events in memory, and the error for a damaged file."""

from __future__ import annotations

from pathlib import Path
from typing import IO

import numpy as np

from streaming.files.data_sets import DamagedData

# t: microseconds; on: whether the pixel became brighter.
EVENT = np.dtype([("t", "<i8"), ("x", "<i4"), ("y", "<i4"), ("on", "?")])


def damaged(path: Path, got: str) -> DamagedData:
    """The error for a file that is not whole."""
    return DamagedData(str(path), got=got, expected="a whole recording", remedy="fetch it again")


def exactly(file: IO[bytes], n: int, path: Path) -> bytes:
    """The next n bytes of a file. Raises DamagedData if there are fewer."""
    if n < 0 or len(data := file.read(n)) < n:
        raise damaged(path, f"its end within a packet, at byte {file.tell():,}")
    return data
