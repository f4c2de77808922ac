"""Data sets on disk: located, read exactly, and refused if their content is not as published."""

from __future__ import annotations

import gzip
import hashlib
import os
import pickle
import subprocess
import sys
import types
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from data_sets import batch, idx, write_data_sets
from hypothesis import given, settings
from hypothesis import strategies as st

from rate_models.errors import MissingData, MissingExtra
from streaming.files import data_sets
from streaming.files.data_sets import DamagedData, data_root, read_batch, read_idx
from streaming.sources import Options, cifar100, open_source

REAL = os.environ.get("DENDROSTREAM_DATA")
needs_data = pytest.mark.skipif(not REAL, reason="DENDROSTREAM_DATA is not set")


def md5(raw: bytes) -> str:
    return hashlib.md5(raw).hexdigest()


def test_the_data_root_is_the_option_then_the_variable_then_the_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DENDROSTREAM_DATA", "/named")
    assert data_root(tmp_path) == (tmp_path, "--data")
    assert data_root() == (Path("/named"), "DENDROSTREAM_DATA")
    monkeypatch.delenv("DENDROSTREAM_DATA")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert data_root()[0] == tmp_path / "dendrostream" / "data"


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10", "cifar100"])
def test_missing_data_names_the_folder_and_the_remedy(name: str, tmp_path: Path) -> None:
    with pytest.raises(MissingData) as error:
        open_source(name, Options(data=tmp_path))
    for part in (
        str(tmp_path),
        "--data",
        "DENDROSTREAM_DATA",
        "--download",
        "dendrostream[vision]",
    ):
        assert part in str(error.value)


@settings(deadline=None)
@given(shape=st.lists(st.integers(0, 5), min_size=1, max_size=3), zipped=st.booleans())
def test_idx_round_trip(
    tmp_path_factory: pytest.TempPathFactory, shape: list[int], zipped: bool
) -> None:
    array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    path = tmp_path_factory.getbasetemp() / ("file.gz" if zipped else "file")
    path.write_bytes(gzip.compress(idx(array)) if zipped else idx(array))
    assert np.array_equal(read_idx(path), array)


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("a", b""),
        ("a", b"\0\0\x08"),
        ("a", b"\0\0\x08\x03\0\0"),
        ("a", b"\0\0\x0d\x01\0\0\0\x01\0\0\0\0"),
        ("a", idx(np.zeros((3, 4), np.uint8))[:-1]),
        ("a", idx(np.zeros((3, 4), np.uint8)) + b"\0"),
        ("a.gz", idx(np.zeros(3, np.uint8))),
        ("a.gz", gzip.compress(idx(np.zeros(3, np.uint8)), mtime=0)[:-9]),
    ],
)
def test_a_damaged_idx_file_is_refused(tmp_path: Path, name: str, raw: bytes) -> None:
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(DamagedData, match="got"):
        read_idx(tmp_path / name)


def test_images_and_labels_must_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_data_sets(tmp_path, monkeypatch)
    path = tmp_path / "MNIST" / "raw" / "t10k-labels-idx1-ubyte"
    path.write_bytes(idx(np.zeros(29, np.uint8)))
    with pytest.raises(DamagedData, match="29 labels for 30 images"):
        open_source("mnist", Options(data=tmp_path))


class Hostile:
    def __reduce__(self):
        return os.system, ("touch PWNED",)


def hostile_files() -> dict[str, object]:
    return {
        "system": {b"data": Hostile()},
        "eval": {b"data": types.SimpleNamespace(a=1)},
        "objects": {b"data": np.array([Hostile()], object)},
        "floats": {b"data": np.zeros(3)},
        "scalar": {b"data": np.float64(1)},
    }


@pytest.mark.parametrize("kind", hostile_files())
def test_a_hostile_batch_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    raw = pickle.dumps(hostile_files()[kind], protocol=3)
    path = tmp_path / "batch"
    path.write_bytes(raw)
    with pytest.raises(DamagedData, match="published"):
        read_batch(path, "0" * 32)
    # even if the md5 fits
    with pytest.raises(DamagedData, match="expected"):
        read_batch(path, md5(raw))
    assert not (tmp_path / "PWNED").exists()


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_batch_is_read_exactly(tmp_path: Path, order: str) -> None:
    X = np.asarray(np.arange(24, dtype=np.uint8).reshape(4, 6), order=order)
    raw = pickle.dumps({b"data": X, b"labels": [1, 2, 3, 4]}, protocol=3)
    for name, stored in (("batch", raw), ("batch.gz", gzip.compress(raw))):
        (tmp_path / name).write_bytes(stored)
        read = read_batch(tmp_path / name, md5(raw))
        assert np.array_equal(read[b"data"], X) and read[b"labels"] == [1, 2, 3, 4]


def test_cifar100_from_npz_and_from_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_data_sets(tmp_path, monkeypatch)
    source = open_source("cifar100", Options(data=tmp_path))
    with np.load(tmp_path / "cifar-100.npz") as arrays:
        image = arrays["train_images"][0]
    X, _ = source.train_arrays()
    assert X.dtype == np.uint8 and X.shape == (110, 3072)
    assert np.array_equal(X[0].reshape(3, 32, 32)[2], image[:, :, 2])

    (tmp_path / "cifar-100.npz").unlink()
    (tmp_path / "cifar-100-python").mkdir()
    rng = np.random.default_rng(0)
    for name, n in (("train", 30), ("test", 10)):
        raw = batch(n, b"fine_labels", 100, rng)
        (tmp_path / "cifar-100-python" / name).write_bytes(raw)
        monkeypatch.setitem(cifar100.MD5, name, md5(raw))
    source = open_source("cifar100", Options(data=tmp_path))
    assert source.length == 30 and source.classes == tuple(range(100))


def test_a_damaged_npz_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cifar-100.npz"
    images = np.zeros((2, 32, 32, 3), np.uint8)
    for arrays in (
        {"train_images": images},
        {"train_images": images.astype(float), "train_labels": np.zeros(2, int)},
        {"train_images": np.array([Hostile()], object), "train_labels": np.zeros(1, int)},
    ):
        np.savez(path, **arrays)
        with pytest.raises(DamagedData, match=r"cifar-100\.npz"):
            open_source("cifar100", Options(data=tmp_path))
    path.write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(DamagedData, match=r"cifar-100\.npz"):
        open_source("cifar100", Options(data=tmp_path))


def test_torchvision_downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    class MNIST:
        def __init__(self, root: Path, train: bool, download: bool) -> None:
            calls.append((root, train, download))
            if train:
                write_data_sets(root, monkeypatch)

    monkeypatch.setattr(
        data_sets, "_torchvision_datasets", lambda: types.SimpleNamespace(MNIST=MNIST)
    )
    source = open_source("mnist", Options(data=tmp_path / "new", download=True))
    assert source.length == 120 and calls == [(tmp_path / "new", t, True) for t in (True, False)]
    open_source("mnist", Options(data=tmp_path / "new", download=True))
    assert len(calls) == 2  # what is there is not fetched again


def test_a_failed_download_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(
        data_sets, "_torchvision_datasets", lambda: types.SimpleNamespace(CIFAR10=no_network)
    )
    with pytest.raises(MissingData, match=r"no route to host.*--data"):
        open_source("cifar10", Options(data=tmp_path, download=True))


def test_download_without_torchvision_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(MissingExtra, match=r"dendrostream\[vision\]"):
        open_source("mnist", Options(data=tmp_path, download=True))


@pytest.mark.slow
@pytest.mark.skipif(not find_spec("torchvision"), reason="torchvision is not installed")
def test_torchvision_imports_beside_cpu_torch() -> None:
    code = (
        "from streaming.files.data_sets import _torchvision_datasets as datasets;"
        "assert datasets().MNIST and datasets() is datasets()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@needs_data
@pytest.mark.parametrize(
    ("name", "n", "mean"),
    [("mnist", 60_000, 0.1307), ("fashion_mnist", 60_000, 0.2860), ("cifar10", 50_000, 0.4734)],
)
def test_real_sets(name: str, n: int, mean: float) -> None:
    source = open_source(name)
    X, y = source.train_arrays()
    assert X.dtype == np.uint8 and len(y) == source.length == n
    assert len(source.test_arrays()[1]) == 10_000
    assert round(X.mean(dtype=float) / 255, 4) == pytest.approx(mean, abs=2e-4)
    assert set(np.unique(y)) == set(range(10))
