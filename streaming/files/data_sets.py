"""Data sets on disk: their location, and readers of the files in the layout of torchvision."""

from __future__ import annotations

import hashlib
import importlib
import io
import os
import pickle
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rate_models.errors import MissingData, MissingExtra
from streaming.files.bounded import REMEDY, DamagedData, read_bounded, read_idx

__all__ = [
    "DamagedData", "data_root", "load_cifar_batches", "load_idx_set", "locate", "read_batch",
    "read_idx",
]  # fmt: skip

Bytes = NDArray[np.uint8]
Labels = NDArray[np.int64]


# Shapes of the published files; no file is read beyond them.
MNIST_IMAGES, MNIST_LABELS, MNIST_CLASSES = (60_000, 28, 28), (60_000,), 10
CIFAR_PIXELS = 3072
CIFAR_BATCH = 160_000_000  # bytes; CIFAR-100's training pictures are 155,249,918


def data_root(data: Path | None = None) -> tuple[Path, str]:
    """The folder of the data sets, and what chose it: --data, DENDROSTREAM_DATA or the cache.

    Raises MissingData if neither is given and the user has no home folder.

    >>> data_root(Path("sets"))
    (PosixPath('sets'), '--data')
    """
    if data is not None:
        return Path(os.path.expanduser(data)), "--data"
    if named := os.environ.get("DENDROSTREAM_DATA"):
        return Path(os.path.expanduser(named)), "DENDROSTREAM_DATA"
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # a user without a name, in a container
        remedy = "give --data FOLDER, or set DENDROSTREAM_DATA"
        raise MissingData("data sets", got="a user without a home", remedy=remedy) from None
    return cache / "dendrostream" / "data", "the user's cache folder"


def locate(dataset: str, files: Sequence[str], data: Path | None, download: bool) -> list[Path]:
    """The paths of ``files`` (relative to the data root), each plain or with ``.gz`` at its end.

    dataset: torchvision's name of the set, by which it is downloaded if ``download`` is set.
    Raises MissingData with the folder that was searched and how to get the set.
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
    both = (path, path.with_name(path.name + ".gz"))
    return next((p for p in both if os.path.isfile(p)), None)


def load_idx_set(
    dataset: str, data: Path | None, download: bool
) -> tuple[Bytes, Labels, Bytes, Labels]:
    """X (N, pixels), y (N,), X_test, y_test of a data set stored like MNIST in DATASET/raw."""
    files = [f"{s}-{k}-ubyte" for s in ("train", "t10k") for k in ("images-idx3", "labels-idx1")]
    paths = locate(dataset, [f"{dataset}/raw/{f}" for f in files], data, download)
    most = (MNIST_IMAGES, MNIST_LABELS) * 2
    X, y, X_test, y_test = map(read_idx, paths, most)
    for images, labels, path in ((X, y, paths[1]), (X_test, y_test, paths[3])):
        if len(labels) != len(images):
            raise DamagedData(
                str(path),
                got=f"{len(labels)} labels for {len(images)} images",
                expected="one for each",
                remedy=REMEDY,
            )
        if len(labels) and labels.max() >= MNIST_CLASSES:
            raise DamagedData(
                str(path), got=f"label {labels.max()}", expected="0 to 9", remedy=REMEDY
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
    Raises DamagedData for a file with another md5, or with anything but arrays of bytes.
    """
    read = [labelled(path, read_batch(path, digest), label) for path, digest in batches]
    X, y = zip(*read, strict=True)
    return np.concatenate(X), np.concatenate(y)


def labelled(path: Path, batch: dict[bytes, Any], label: bytes) -> tuple[Bytes, Labels]:
    """X (N, 3072) and y (N,) of a batch; DamagedData if it does not have them."""
    X: Any = batch.get(b"data")
    y: Any = batch.get(label)
    pictures = isinstance(X, np.ndarray) and X.ndim == 2 and X.shape[1] == CIFAR_PIXELS
    labels = isinstance(y, list) and all(type(one) is int and 0 <= one < 100 for one in y)
    if not (pictures and labels and len(X) == len(y)):
        expected = f"pictures (N, {CIFAR_PIXELS}) and as many labels"
        raise DamagedData(str(path), got=f"{list(batch)}"[:80], expected=expected, remedy=REMEDY)
    return X, np.array(y, np.int64)


def read_batch(path: Path, *digests: str) -> dict[bytes, Any]:
    """One pickled batch of CIFAR with its arrays; see `load_cifar_batches`.

    digests: the md5 of the published file, then the sha256 of other files known to be good.
    """
    return unpickled(path, checked_batch(path, *digests)[0])


def checked_batch(path: Path, *digests: str) -> tuple[bytes, str]:
    """The bytes of a batch, and which of the digests they have; DamagedData if they have none.

    The bytes are not unpickled before this check has passed.
    """
    raw = read_bounded(path, CIFAR_BATCH)
    actual = {
        hashlib.md5(raw, usedforsecurity=False).hexdigest(),
        hashlib.sha256(raw).hexdigest(),
    }
    if same := [digest for digest in digests if digest in actual]:
        return raw, same[0]
    md5 = min(actual, key=len)
    raise DamagedData(
        str(path),
        got=f"md5 {md5}",
        expected=f"{digests[0]}, the published file",
        remedy=f"{REMEDY}; a changed pickle is never opened",
    )


def unpickled(path: Path, raw: bytes) -> dict[bytes, Any]:
    """A batch of numbers, texts and arrays of bytes; DamagedData for anything else."""
    try:
        batch = _BytesUnpickler(io.BytesIO(raw), encoding="bytes").load()
        return {k: v.value if isinstance(v, _Array) else v for k, v in batch.items()}
    except Exception as error:  # a pickle can raise any exception
        text = " ".join(str(error).split())
        raise DamagedData(str(path), got=text, expected="arrays of bytes", remedy=REMEDY) from error


class _DType:
    """Stands in for numpy.dtype in a pickle; accepts bytes (u1) only."""

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
    """Loads arrays of bytes, numbers, strings, lists and dicts; any other name is refused.

    Two plain classes stand in for NumPy's constructors, so that a malicious file has no function to
    call.
    """

    def find_class(self, module: str, name: str) -> Any:
        if name == "_reconstruct" and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            return lambda *_: _Array()
        if module == "numpy" and name in ("ndarray", "dtype"):
            return _DType if name == "dtype" else _Array
        raise DamagedData("pickle", got=f"{module}.{name}", expected="NumPy arrays alone")


def _download(dataset: str, root: Path) -> None:
    """Have torchvision download and check the data set."""
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
    # The compiled operators of PyPI's torchvision do not load with CPU torch (pytorch/vision#9085).
    # Everything else works once the two operators are declared that its Python files refer to.
    for name in [m for m in sys.modules if m.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    define = importlib.import_module("torch.library").define
    for operator in ("nms", "qnms"):
        define(
            f"torchvision::{operator}",
            "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
        )
    return importlib.import_module("torchvision.datasets")
