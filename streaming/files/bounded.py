"""Readers of files of known formats, plain or gzipped, which never read beyond the format."""

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
MOST = 1 << 30  # bytes of an IDX file at most, if no other limit is known


class DamagedData(UserError, ValueError):
    """A data file whose content does not fit its name: cut short, changed or malicious."""


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes] | gzip.GzipFile]:
    """The file's bytes as a stream, unzipped if its name ends in ``.gz``.

    Raises MissingData for a file that cannot be read, DamagedData for a damaged gzip file.
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
    """The bytes of `opened`; DamagedData if there are more than ``most``, without reading them.

    A gzip file of a few megabytes can expand to a thousand times as much.
    """
    with opened(path) as file:
        raw = file.read(most + 1)
    if len(raw) > most:
        got, expected = f"more than {most:,} bytes", f"at most {most:,}, as published"
        raise DamagedData(str(path), got=got, expected=expected, remedy=REMEDY)
    return raw


def read_idx(path: Path, most: Sequence[int] | None = None) -> NDArray[np.uint8]:
    """An IDX file of bytes, plain or gzipped: images (N, rows, columns) or labels (N,).

    most: shape of the largest published file; N may be smaller. The data is read only if the shape
    in the header fits, and never beyond the size of that shape.
    Raises DamagedData for a file of another format or shape, and for one that is cut short.
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
    """Refuse shapes that no published file has, before memory is allocated."""
    if most is None:
        expected, fits = f"at most {MOST:,} bytes", math.prod(shape) <= MOST
    else:
        expected = f"({', '.join(['N', *map(str, most[1:])])}), N at most {most[0]:,}"
        fits = shape[1:] == tuple(most[1:]) and shape[0] <= most[0]
    if not fits:
        got = f"the shape ({', '.join(map(str, shape[:8]))})"
        raise DamagedData(str(path), got=got, expected=expected, remedy=REMEDY)
