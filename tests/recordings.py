"""Tiny event recordings, written from the descriptions of their formats."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np

EVENT = np.dtype([("t", "<i8"), ("x", "<i4"), ("y", "<i4"), ("on", "?")])


def events(n: int, seed: int = 0, width: int = 34, height: int = 34, step: int = 1000) -> Any:
    """Random events in the order of time."""
    rng = np.random.default_rng(seed)
    made = np.zeros(n, EVENT)
    made["t"] = np.cumsum(rng.integers(0, 2 * step, size=n))
    made["x"], made["y"] = rng.integers(width, size=n), rng.integers(height, size=n)
    made["on"] = rng.random(n) < 0.5
    return made


def nmnist(path: Path, some: Any) -> None:
    """40 bits per event, the most significant bit of the third byte is the polarity."""
    bits = "".join(f"{e['x']:08b}{e['y']:08b}{int(e['on'])}{e['t']:023b}" for e in some)
    path.write_bytes(int(bits, 2).to_bytes(len(bits) // 8, "big"))


def aedat3(path: Path, some: Any, overflow: int = 0) -> None:
    """Packets of 50 events, one of another type and an invalid event between them."""
    parts = [b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n#!END-HEADER\r\n"]
    parts.append(struct.pack("<hhiiiiii", 0, 1, 8, 4, 0, 1, 1, 1) + bytes(8))
    for i in range(0, len(some), 50):
        part = some[i : i + 50]
        data = b"".join(
            struct.pack("<Ii", 1 | int(e["on"]) << 1 | int(e["y"]) << 2 | int(e["x"]) << 17, e["t"])
            for e in part
        )
        data += struct.pack("<Ii", 0, int(part["t"][-1]))  # not valid
        n = len(part) + 1
        parts.append(struct.pack("<hhiiiiii", 1, 1, 8, 4, overflow, n, n, n - 1) + data)
    path.write_bytes(b"".join(parts))


INFO = """<dv version="2.0"><node name="outInfo" path="/mainloop/Recorder/outInfo/">
<node name="0" path="/mainloop/Recorder/outInfo/0/">
<attr key="compression" type="string">NONE</attr>
<attr key="originalModuleName" type="string">capture</attr>
<attr key="originalOutputName" type="string">events</attr>
<attr key="typeDescription" type="string">Array of events (polarity ON/OFF).</attr>
<attr key="typeIdentifier" type="string">EVTS</attr>
<node name="info" path="/mainloop/Recorder/outInfo/0/info/">
<attr key="sizeX" type="int">346</attr><attr key="sizeY" type="int">260</attr>
<attr key="source" type="string">DAVIS346</attr>
<attr key="tsOffset" type="long">0</attr></node></node></node></dv>"""


def aedat4(path: Path, some: Any, compression: int = 0) -> None:
    """Packets of 40 events, written by the library flatbuffers."""
    import flatbuffers

    builder = flatbuffers.Builder(0)
    info = builder.CreateString(INFO)
    builder.StartObject(3)
    builder.PrependInt32Slot(0, compression, 0)
    builder.PrependInt64Slot(1, -1, -1)
    builder.PrependUOffsetTRelativeSlot(2, info, 0)
    builder.FinishSizePrefixed(builder.EndObject(), b"IOHE")
    parts = [b"#!AER-DAT4.0\r\n", bytes(builder.Output())]
    for i in range(0, len(some), 40):
        part = some[i : i + 40]
        builder = flatbuffers.Builder(0)
        builder.StartVector(16, len(part), 8)
        for e in part[::-1]:
            builder.Prep(8, 16)
            builder.Pad(3)
            builder.PrependBool(bool(e["on"]))
            builder.PrependInt16(int(e["y"]))
            builder.PrependInt16(int(e["x"]))
            builder.PrependInt64(int(e["t"]))
        vector = builder.EndVector()
        builder.StartObject(1)
        builder.PrependUOffsetTRelativeSlot(0, vector, 0)
        builder.FinishSizePrefixed(builder.EndObject(), b"EVTS")
        body = packed(bytes(builder.Output()), compression)
        parts.append(struct.pack("<ii", 0, len(body)) + body)
    path.write_bytes(b"".join(parts))


def packed(body: bytes, compression: int) -> bytes:
    if compression in (1, 2):
        import lz4.frame

        return lz4.frame.compress(body)
    if compression in (3, 4):
        import zstandard

        return zstandard.ZstdCompressor().compress(body)
    return body
