"""AEDAT 4: packets that are FlatBuffers, plain or compressed with LZ4 or Zstandard.

After the first line come the size of a FlatBuffer (uint32) and the FlatBuffer ``IOHeader``, whose
fields are the compression (int32) and the position of a table of contents at the end (int64, -1
without one). Then come packets: stream (int32), size (int32), and a FlatBuffer with its own size
before it. Those with the identifier ``EVTS`` have a vector of events: t (int64), x, y (int16), on
(bool), padded to 16 bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from rate_models.support.extras import import_extra
from streaming.events.damage import EVENT, damaged, exactly

MAGIC = b"#!AER-DAT4.0"
RAW = np.dtype(
    {"names": ["t", "x", "y", "on"], "formats": ["<i8", "<i2", "<i2", "?"],
     "offsets": [0, 8, 10, 12], "itemsize": 16}
)  # fmt: skip
LARGEST = 1 << 28  # bytes of a packet


def read(file: IO[bytes], path: Path) -> Iterator[NDArray[Any]]:
    """The events of a file, packet by packet. Raises DamagedData, and MissingExtra."""
    file.readline(len(MAGIC) + 2)
    (size,) = struct.unpack("<I", exactly(file, 4, path))
    header = Flat(exactly(file, min(size, LARGEST), path), path)
    code = header.number(header.root(), 0, "<i", 0)
    contents = header.number(header.root(), 1, "<q", -1)
    unpack = _decompressor(code, path)
    while (contents < 0 or file.tell() < contents) and (start := file.read(8)):
        if len(start) < 8:
            raise damaged(path, "its end within the header of a packet")
        size = struct.unpack("<ii", start)[1]
        if not 0 <= size <= LARGEST:
            raise damaged(path, f"a packet of {size} bytes")
        try:
            body = unpack(exactly(file, size, path))
        except (RuntimeError, ValueError, EOFError) as error:
            raise damaged(path, f"a packet that cannot be unpacked ({error})") from None
        if body[8:12] == b"EVTS":
            flat = Flat(body[4:], path)
            raw = np.frombuffer(flat.vector(flat.root(), 0, RAW.itemsize), RAW)
            yield raw.astype(EVENT)


class Flat:
    """The fields of the tables in a FlatBuffer. Raises DamagedData for an offset outside of it."""

    def __init__(self, data: bytes, path: Path) -> None:
        self._data, self._path = data, path

    def root(self) -> int:
        """The position of the root table."""
        return int(self._at("<I", 0))

    def number(self, table: int, field: int, form: str, default: int) -> int:
        """A number in a table; ``default`` if it is not there."""
        position = self._field(table, field)
        return default if position is None else int(self._at(form, position))

    def vector(self, table: int, field: int, size: int) -> bytes:
        """The bytes of a vector of structs, ``size`` bytes each; empty if it is not there."""
        position = self._field(table, field)
        if position is None:
            return b""
        start = position + self._at("<I", position)
        end = start + 4 + self._at("<I", start) * size
        if end > len(self._data):
            raise damaged(self._path, "a packet that is shorter than its events")
        return self._data[start + 4 : end]

    def _field(self, table: int, field: int) -> int | None:
        index = table - self._at("<i", table)
        if 4 + 2 * field >= self._at("<H", index):
            return None
        offset = self._at("<H", index + 4 + 2 * field)
        return table + offset if offset else None

    def _at(self, form: str, position: int) -> int:
        if not 0 <= position <= len(self._data) - struct.calcsize(form):
            raise damaged(self._path, "an offset outside of its packet")
        return int(struct.unpack_from(form, self._data, position)[0])


def _decompressor(code: int, path: Path) -> Callable[[bytes], bytes]:
    """What unpacks the packets of a file with this code of compression."""
    if code == 0:
        return bytes
    if code in (1, 2):
        lz4 = import_extra("lz4.frame", "events", str(path))

        def unpack(data: bytes) -> bytes:
            one = lz4.LZ4FrameDecompressor()
            out: bytes = one.decompress(data, max_length=LARGEST)
            if not one.eof:
                raise ValueError("it is not whole, or too large")
            return out

        return unpack
    if code in (3, 4):
        zstd = import_extra("zstandard", "events", str(path))

        def unpack(data: bytes) -> bytes:
            with zstd.ZstdDecompressor().stream_reader(data) as reader:
                out: bytes = reader.read(LARGEST)
            return out

        return unpack
    raise damaged(path, f"compression {code}")
