"""A recording of address events, in one of the known formats, read piece by piece."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rate_models.errors import BadOption, MissingData
from streaming.events import aedat3, aedat4, nmnist
from streaming.events.damage import damaged

Events = NDArray[Any]
FORMATS = {aedat3.MAGIC: aedat3.read, aedat4.MAGIC: aedat4.read}


def read(path: Path) -> Iterator[Events]:
    """The events of a file, some at a time, with fields t (microseconds), x, y and on.

    Raises MissingData for a file that cannot be read, BadOption for one of another format, and
    DamagedData for one that is not whole or not in the order of time.
    """
    last = -(2**62)
    try:
        with path.open("rb") as file:
            start = file.read(len(aedat4.MAGIC))
            file.seek(0)
            for magic, reader in FORMATS.items():
                if start.startswith(magic):
                    pieces = reader(file, path)
                    break
            else:
                if start.startswith(b"#") or path.suffix != ".bin":
                    raise BadOption(str(path), got=f"a file that begins with {start[:12]!r}",
                                    expected="AEDAT 3.1, AEDAT 4 or N-MNIST's .bin")  # fmt: skip
                pieces = nmnist.read(file, path)
            for events in pieces:
                if len(events):
                    steps = np.diff(events["t"], prepend=last)
                    if steps.min() < 0:
                        raise damaged(path, "an event before the one in front of it")
                    last = int(events["t"][-1])
                    yield events
    except OSError as error:
        raise MissingData("events", got=error, expected="a file that can be read") from None
