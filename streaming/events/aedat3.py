"""AEDAT 3.1: a text header, then packets of events of one type, little-endian.

The header of a packet has 28 bytes: type (int16; 1 for polarity), source (int16), size of an event,
offset of its time, overflow of the time, capacity, number and number of valid events (int32 each).
A polarity event has 32 bits of data (valid: bit 0, polarity: bit 1, y: bits 2 to 16, x: bits 17 to
31) and a time in microseconds (int32); the overflow counts 2^31 microseconds.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from streaming.events.damage import EVENT, damaged, exactly

MAGIC = b"#!AER-DAT3.1"
END = b"#!END-HEADER"
HEADER = struct.Struct("<hhiiiiii")
POLARITY = 1
RAW = np.dtype([("data", "<u4"), ("time", "<i4")])
LONGEST = 1 << 16  # bytes of a line of the header
LARGEST = 1 << 28  # bytes of a packet


def read(file: IO[bytes], path: Path) -> Iterator[NDArray[Any]]:
    """The polarity events of a file, packet by packet. Raises DamagedData."""
    while not (line := file.readline(LONGEST)).startswith(END):
        if not line.startswith(b"#"):
            raise damaged(path, "a header without its end")
    while start := file.read(HEADER.size):
        if len(start) < HEADER.size:
            raise damaged(path, f"its end within a packet, at byte {file.tell():,}")
        kind, _, size, _, overflow, _, number, _ = HEADER.unpack(start)
        if size < 1 or number < 0 or size * number > LARGEST or overflow < 0:
            raise damaged(path, f"a packet of {number} events of {size} bytes")
        data = exactly(file, size * number, path)
        if kind != POLARITY:
            continue
        if size != RAW.itemsize:
            raise damaged(path, f"polarity events of {size} bytes")
        raw = np.frombuffer(data, RAW)
        raw = raw[raw["data"] & 1 == 1]
        events = np.zeros(len(raw), EVENT)
        events["x"], events["y"] = raw["data"] >> 17, raw["data"] >> 2 & 0x7FFF
        events["on"] = raw["data"] >> 1 & 1
        events["t"] = raw["time"].astype(np.int64) + (overflow << 31)
        yield events
