"""N-MNIST's binary format: 40 bits per event.

x (8 bits), y (8 bits), polarity (1 bit), time in microseconds (23 bits, most significant first).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from streaming.events.damage import EVENT, damaged

SIZE = 5  # bytes
PIECE = 1 << 16  # events read at a time


def read(file: IO[bytes], path: Path) -> Iterator[NDArray[Any]]:
    """The events of a file, some at a time. Raises DamagedData unless all are whole."""
    while data := file.read(SIZE * PIECE):
        if len(data) % SIZE:
            raise damaged(path, f"{len(data) % SIZE} bytes after the last event")
        raw = np.frombuffer(data, np.uint8).reshape(-1, SIZE).astype(np.int64)
        events = np.zeros(len(raw), EVENT)
        events["x"], events["y"], events["on"] = raw[:, 0], raw[:, 1], raw[:, 2] >> 7
        events["t"] = (raw[:, 2] & 0x7F) << 16 | raw[:, 3] << 8 | raw[:, 4]
        yield events
