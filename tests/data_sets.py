"""Small data sets in the formats of the real ones, for tests that must run without them; chunks."""

from __future__ import annotations

import gzip
import hashlib
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from streaming.sources import cifar10


def idx(array: np.ndarray) -> bytes:
    return b"\0\0\x08" + struct.pack(f">B{array.ndim}I", array.ndim, *array.shape) + array.tobytes()


def batch(n: int, label: bytes, classes: int, rng: np.random.Generator) -> bytes:
    """Protocol 3, since 2 writes bytes by a detour that the original files do not take."""
    X = rng.integers(256, size=(n, 3072), dtype=np.uint8)
    return pickle.dumps({b"data": X, label: rng.integers(classes, size=n).tolist()}, protocol=3)


def write_data_sets(root: Path, patch: pytest.MonkeyPatch) -> None:
    """Every image set in ``root``, as torchvision lays it out; some files gzipped."""
    rng = np.random.default_rng(0)
    for name, ending in (("MNIST", ""), ("FashionMNIST", ".gz")):
        folder = root / name / "raw"
        folder.mkdir(parents=True)
        for split, n in (("train", 120), ("t10k", 30)):
            arrays = {
                "images-idx3": rng.integers(256, size=(n, 28, 28), dtype=np.uint8),
                "labels-idx1": rng.integers(10, size=n, dtype=np.uint8),
            }
            for kind, array in arrays.items():
                raw = gzip.compress(idx(array)) if ending else idx(array)
                (folder / f"{split}-{kind}-ubyte{ending}").write_bytes(raw)
    (root / "cifar-10-batches-py").mkdir()
    for name in list(cifar10.MD5):
        raw = batch(20, b"labels", 10, rng)
        (root / "cifar-10-batches-py" / name).write_bytes(raw)
        patch.setitem(cifar10.MD5, name, hashlib.md5(raw).hexdigest())
    arrays = {}
    for split, n in (("train", 110), ("test", 20)):
        arrays[f"{split}_images"] = rng.integers(256, size=(n, 32, 32, 3), dtype=np.uint8)
        arrays[f"{split}_labels"] = rng.integers(100, size=n, dtype=np.uint8)
    np.savez(root / "cifar-100.npz", **arrays)


def joined(chunks) -> tuple[np.ndarray, np.ndarray]:
    X, y = zip(*chunks, strict=True)
    return np.concatenate(X), np.concatenate(y)


def assert_same(a, b) -> None:
    assert np.array_equal(a[0], b[0]) and np.array_equal(a[1], b[1])
