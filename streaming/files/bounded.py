"""Files of known formats, read no further than their format allows, gzipped or not."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from rate_models.errors import MissingData, UserError

REMEDY = "remove it and fetch it again"
MOST = 1 << 30  # bytes in an IDX file of which nothing else is known


class DamagedData(UserError, ValueError):
    """A data file that is not what its name says: cut short, changed or hostile."""


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes] | gzip.GzipFile]:
    """The file's bytes as a stream; those inside it where its name ends in ``.gz``.

    Raises MissingData where it cannot be read, DamagedData where it is no whole gzip.
    """
    try:
        with path.open("rb") as file:
            yield gzip.GzipFile(fileobj=file) if path.suffix == ".gz" else file
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DamagedData(
            str(path), got=error, expected="a whole gzip file", remedy=REMEDY
        ) from error
    except UserError:
        raise
    except OSError as error:
        raise MissingData(
            str(path), got=error.strerror or error, expected="a file that can be read"
        ) from error


def read_bounded(path: Path, most: int) -> bytes:
    """What `opened` has; DamagedData, without reading on, where that is more than ``most`` bytes.

    A gzip of a few megabytes can hold a thousand times as much.
    """
    with opened(path) as file:
        raw = file.read(most + 1)
    if len(raw) > most:
        got, expected = f"more than {most:,} bytes", f"at most {most:,}, as published"
        raise DamagedData(str(path), got=got, expected=expected, remedy=REMEDY)
    return raw


def read_idx(path: Path, most: Sequence[int] | None = None) -> NDArray[np.uint8]:
    """An IDX file of bytes, as it is or gzipped: images (N, rows, columns) or labels (N,).

    most: the shape of the largest file that is published; the first number may be smaller. No more
    is read than the header says, and nothing where the header says more.
    Raises DamagedData where it is no such file, or is cut short.
    """
    with opened(path) as file:
        start = file.read(4)
        dimensions = start[3] if len(start) == 4 else 0
        sizes = file.read(4 * dimensions)
        if start[:3] != b"\0\0\x08" or len(sizes) < 4 * dimensions or not sizes:
            expected = "an IDX file of bytes"
            raise DamagedData(
                str(path), got=f"{start!r} at its start", expected=expected, remedy=REMEDY
            )
        shape = struct.unpack(f">{dimensions}I", sizes)
        _check_shape(path, shape, most)
        size = math.prod(shape)
        raw = file.read(size + 1)
    if len(raw) != size:
        got = f"more than {size} bytes" if len(raw) > size else f"{len(raw)} bytes"
        expected = f"{size} for the shape {shape}"
        raise DamagedData(str(path), got=f"{got} of data", expected=expected, remedy=REMEDY)
    return np.frombuffer(raw, np.uint8).reshape(shape)


def _check_shape(path: Path, shape: tuple[int, ...], most: Sequence[int] | None) -> None:
    """Refuse what no file of this kind has, before it takes memory."""
    if most is None:
        expected, fits = f"at most {MOST:,} bytes", math.prod(shape) <= MOST
    else:
        expected = f"({', '.join(['N', *map(str, most[1:])])}), N at most {most[0]:,}"
        fits = shape[1:] == tuple(most[1:]) and shape[0] <= most[0]
    if not fits:
        got = f"the shape ({', '.join(map(str, shape[:8]))})"
        raise DamagedData(str(path), got=got, expected=expected, remedy=REMEDY)
