"""Data sets on disk: where they are, and readers for the files that torchvision leaves there."""

from __future__ import annotations

import gzip
import hashlib
import importlib
import io
import math
import os
import pickle
import struct
import sys
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rate_models.errors import MissingData, MissingExtra, UserError

Bytes = NDArray[np.uint8]
Labels = NDArray[np.int64]


class DamagedData(UserError, ValueError):
    """A data file that is not what its name says: cut short, changed or hostile."""


def data_root(data: Path | None = None) -> tuple[Path, str]:
    """The folder of the data sets and what named it: --data, DENDROSTREAM_DATA or the cache.

    Raises MissingData where none of them is given and the user has no home.

    >>> data_root(Path("sets"))
    (PosixPath('sets'), '--data')
    """
    if data is not None:
        return Path(data).expanduser(), "--data"
    if named := os.environ.get("DENDROSTREAM_DATA"):
        return Path(named).expanduser(), "DENDROSTREAM_DATA"
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # a user without a name, in a container
        remedy = "give --data FOLDER, or set DENDROSTREAM_DATA"
        raise MissingData("data sets", got="a user without a home", remedy=remedy) from None
    return cache / "dendrostream" / "data", "the user's cache folder"


def locate(dataset: str, files: Sequence[str], data: Path | None, download: bool) -> list[Path]:
    """The paths of ``files`` (relative to the data root); each may have ``.gz`` at its end.

    dataset: torchvision's name for the set, used to fetch it where ``download`` is set.
    Raises MissingData, saying where it looked and how to get the set.
    """
    root, named_by = data_root(data)
    missing = [f for f in files if _present(root / f) is None]
    if missing and download:
        _download(dataset, root)
        missing = [f for f in files if _present(root / f) is None]
    if missing:
        raise MissingData(
            dataset,
            got=f"no {missing[0]} in {root} ({named_by})",
            expected="the files as torchvision lays them out",
            remedy="give their folder with --data or DENDROSTREAM_DATA, or add --download "
            '(needs pip install "dendrostream[vision]")',
        )
    return [path for f in files if (path := _present(root / f))]


def _present(path: Path) -> Path | None:
    return next((p for p in (path, path.with_name(path.name + ".gz")) if p.is_file()), None)


def read_idx(path: Path) -> Bytes:
    """An IDX file of bytes, as it is or gzipped: images (N, rows, columns) or labels (N,).

    Raises DamagedData where it is no such file, or is cut short.
    """
    raw = path.read_bytes()
    if path.suffix == ".gz":
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as error:
            raise DamagedData(str(path), got=error, remedy="fetch it again") from error
    if len(raw) < 4 or raw[:3] != b"\0\0\x08" or len(raw) < (start := 4 + 4 * raw[3]):
        raise DamagedData(
            str(path), got=f"{raw[:4]!r} at its start", expected="an IDX file of bytes"
        )
    shape = struct.unpack(f">{raw[3]}I", raw[4:start])
    if len(raw) - start != math.prod(shape):
        raise DamagedData(
            str(path),
            got=f"{len(raw) - start} bytes of data",
            expected=f"{math.prod(shape)} for the shape {shape}",
            remedy="fetch it again",
        )
    return np.frombuffer(raw, np.uint8, offset=start).reshape(shape)


def load_idx_set(
    dataset: str, data: Path | None, download: bool
) -> tuple[Bytes, Labels, Bytes, Labels]:
    """X (N, pixels), y (N,), X_test, y_test of a set stored like MNIST in DATASET/raw."""
    files = [f"{s}-{k}-ubyte" for s in ("train", "t10k") for k in ("images-idx3", "labels-idx1")]
    paths = locate(dataset, [f"{dataset}/raw/{f}" for f in files], data, download)
    X, y, X_test, y_test = map(read_idx, paths)
    for images, labels, path in ((X, y, paths[0]), (X_test, y_test, paths[2])):
        if images.ndim != 3 or labels.shape != images.shape[:1]:
            raise DamagedData(
                str(path),
                got=f"images {images.shape} with labels {labels.shape}",
                expected="(N, rows, columns) with (N,)",
            )
    return (
        X.reshape(len(X), -1),
        y.astype(np.int64),
        X_test.reshape(len(X_test), -1),
        y_test.astype(np.int64),
    )


def load_cifar_batches(batches: Iterable[tuple[Path, str]], label: bytes) -> tuple[Bytes, Labels]:
    """X (N, 3072) and y (N,) of CIFAR's pickled batches, each given with its published md5.

    label: b"labels" or, for CIFAR-100, b"fine_labels".
    Raises DamagedData where a file has another md5 or asks for anything but an array of bytes.
    """
    read = [read_batch(path, md5) for path, md5 in batches]
    X = np.concatenate([batch[b"data"] for batch in read])
    return X, np.concatenate([np.asarray(batch[label], np.int64) for batch in read])


def read_batch(path: Path, md5: str) -> dict[bytes, Any]:
    """One pickled batch of CIFAR with its arrays; see `load_cifar_batches`."""
    raw = path.read_bytes()
    if path.suffix == ".gz":
        raw = gzip.decompress(raw)
    got = hashlib.md5(raw, usedforsecurity=False).hexdigest()
    if got != md5:
        raise DamagedData(
            str(path),
            got=f"md5 {got}",
            expected=f"{md5}, the published file",
            remedy="remove it and fetch it again; a changed pickle is never opened",
        )
    batch = _BytesUnpickler(io.BytesIO(raw), encoding="bytes").load()
    return {k: v.value if isinstance(v, _Array) else v for k, v in batch.items()}


class _DType:
    """Stands in for numpy.dtype in a pickle: bytes, or nothing."""

    def __init__(self, name: str | bytes, *_: object) -> None:
        if name not in ("u1", b"u1"):
            raise DamagedData("pickle", got=f"an array of {name!r}", expected="bytes (u1)")

    def __setstate__(self, state: object) -> None: ...


class _Array:
    """Stands in for numpy.ndarray in a pickle."""

    value: Bytes

    def __setstate__(self, state: tuple[Any, tuple[int, ...], _DType, bool, bytes]) -> None:
        _, shape, _, column_order, raw = state
        self.value = np.frombuffer(raw, np.uint8).reshape(shape, order="F" if column_order else "C")


class _BytesUnpickler(pickle.Unpickler):
    """Arrays of bytes, numbers, strings, lists and dicts; any other name is refused.

    The pickle never reaches NumPy's own constructors: two plain classes stand in for them, so
    that there is nothing for a hostile file to call.
    """

    def find_class(self, module: str, name: str) -> Any:
        if name == "_reconstruct" and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            return lambda *_: _Array()
        if module == "numpy" and name in ("ndarray", "dtype"):
            return _DType if name == "dtype" else _Array
        raise DamagedData("pickle", got=f"{module}.{name}", expected="NumPy arrays alone")


def _download(dataset: str, root: Path) -> None:
    """Let torchvision fetch and check the set."""
    datasets = _torchvision_datasets()
    try:
        root.mkdir(parents=True, exist_ok=True)
        for train in (True, False):
            getattr(datasets, dataset)(root, train=train, download=True)
    except (OSError, RuntimeError) as error:  # what torchvision raises without a network
        raise MissingData(
            dataset,
            got=f"no download into {root}: {' '.join(str(error).split())}",
            remedy="check the network and the folder, or give a folder that holds it with --data",
        ) from error


def _torchvision_datasets() -> Any:
    try:
        return importlib.import_module("torchvision.datasets")
    except ImportError as error:
        raise MissingExtra(
            "download", got="no torchvision", remedy='pip install "dendrostream[vision]"'
        ) from error
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
    # PyPI's torchvision beside CPU torch: its compiled operators do not load (pytorch/vision#9085).
    # Declaring the two that its Python files ask for lets everything else work.
    for name in [m for m in sys.modules if m.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    define = importlib.import_module("torch.library").define
    for operator in ("nms", "qnms"):
        define(
            f"torchvision::{operator}",
            "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
        )
    return importlib.import_module("torchvision.datasets")
