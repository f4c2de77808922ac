"""Data files that are cut, changed, crafted, or far larger after decompression."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import os
import pickle
import tracemalloc
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_sets import batch, idx, write_data_sets

from rate_models.errors import MissingData, UserError
from streaming.files.bounded import DamagedData, read_bounded
from streaming.files.data_sets import data_root, load_idx_set, read_batch, read_idx
from streaming.sources import Options, cifar10, cifar100, open_source

MEGABYTE = 1 << 20


def bomb(header: bytes, megabytes: int) -> bytes:
    """A gzip file of ``header`` and zeros, with a thousandth of their size."""
    packer = zlib.compressobj(9, wbits=31)
    parts = [packer.compress(header)]
    parts += [packer.compress(bytes(MEGABYTE)) for _ in range(megabytes)]
    return b"".join([*parts, packer.flush()])


@contextlib.contextmanager
def peak_below(megabytes: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < megabytes * MEGABYTE
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("shape", [(10, 28, 28), (2**32 - 1, 28, 28), (60_001, 28, 28), (1,) * 255])
def test_an_endless_gzip_is_refused_before_it_is_decompressed(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    path = tmp_path / "train-images-idx3-ubyte.gz"
    header = b"\0\0\x08" + bytes([len(shape)]) + np.array(shape, ">u4").tobytes()
    path.write_bytes(bomb(header, 60))
    assert path.stat().st_size < MEGABYTE
    with peak_below(8), pytest.raises(DamagedData, match=r"train-images.*fetch it again"):
        read_idx(path, (60_000, 28, 28))


def test_a_set_that_is_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_data_sets(tmp_path, monkeypatch)
    path = tmp_path / "MNIST" / "raw" / "t10k-images-idx3-ubyte"
    path.unlink()
    header = b"\0\0\x08\x03" + np.array([30, 28, 28], ">u4").tobytes()
    path.with_suffix(".gz").write_bytes(bomb(header, 60))
    with peak_below(8), pytest.raises(DamagedData, match=r"t10k-images-idx3-ubyte\.gz.*more than"):
        load_idx_set("MNIST", tmp_path, False)


def test_a_batch_that_is_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streaming.files.data_sets.CIFAR_BATCH", 2 * MEGABYTE)
    (tmp_path / "test_batch.gz").write_bytes(bomb(b"\x80\x03", 60))
    with peak_below(16), pytest.raises(DamagedData, match=r"test_batch\.gz.*at most"):
        read_batch(tmp_path / "test_batch.gz", "0" * 32)
    (tmp_path / "exact").write_bytes(b"abc")
    assert read_bounded(tmp_path / "exact", 3) == b"abc"
    with pytest.raises(DamagedData, match="more than 2 bytes"):
        read_bounded(tmp_path / "exact", 2)


@pytest.mark.parametrize("shape", [(2**31, 2**31), (2**32 - 1,) * 60, (2**20, 2**11)])
def test_absurd_sizes_take_no_memory(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = tmp_path / "absurd"
    header = b"\0\0\x08" + bytes([len(shape)]) + np.array(shape, ">u4").tobytes()
    path.write_bytes(header + bytes(100))
    with peak_below(1), pytest.raises(DamagedData, match="absurd: got the shape"):
        read_idx(path)


def test_errors_name_files_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MissingData, match=r"no_file.*No such file"):
        read_idx(tmp_path / "no_file")
    with pytest.raises(MissingData, match="directory"):
        read_idx(tmp_path)
    write_data_sets(tmp_path, monkeypatch)
    long = Options(data=tmp_path / ("x" * 5000))
    for name in ("mnist", "cifar10", "cifar100"):
        with pytest.raises(MissingData, match="xxx"):
            open_source(name, long)
    monkeypatch.setenv("DENDROSTREAM_DATA", "~no_such_user_here/data")
    assert data_root() == (Path("~no_such_user_here/data"), "DENDROSTREAM_DATA")


@pytest.mark.parametrize("label", [10, 255])
def test_labels_beyond_the_classes_name_their_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, label: int
) -> None:
    write_data_sets(tmp_path, monkeypatch)
    path = tmp_path / "MNIST" / "raw" / "train-labels-idx1-ubyte"
    path.write_bytes(idx(np.full(120, label, np.uint8)))
    with pytest.raises(DamagedData, match=f"{path.name}: got label {label}; expected 0 to 9"):
        open_source("mnist", Options(data=tmp_path))


IMAGES = np.zeros((3, 32, 32, 3), np.uint8)
LABELS = np.arange(3)


def npz(**changes: Any) -> dict[str, Any]:
    whole = {f"{s}_{k}": a for s in ("train", "test") for k, a in
             (("images", IMAGES), ("labels", LABELS))}  # fmt: skip
    return {k: v for k, v in {**whole, **changes}.items() if v is not None}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"train_labels": np.array(["cat", "dog", "owl"])}, r"train_labels: got \(3,\) of <U3"),
        ({"train_labels": LABELS / 2}, "train_labels: .*float64.*whole numbers"),
        ({"train_labels": LABELS + 98}, "labels 98 to 100.*0 to 99"),
        ({"train_labels": LABELS - 1}, "labels -1 to 1"),
        ({"train_labels": np.array([0, 1, 2**64 - 1], np.uint64)}, "expected 0 to 99"),
        ({"test_labels": LABELS[:2]}, "test_labels: got 2 labels for 3 images"),
        ({"train_labels": LABELS[:, None]}, r"\(3, 1\)"),
        ({"test_images": IMAGES.astype(np.uint16)}, "uint16"),
        ({"test_images": IMAGES[0]}, r"\(32, 32, 3\)"),
        ({"test_images": None}, "train_images, train_labels"),
        ({"train_images": np.array([None] * 3, object)}, "train_images: .*object"),
        ({"train_images": IMAGES[:0], "train_labels": LABELS[:0]}, "0 labels for 0 images"),
    ],
)
def test_an_archive_of_something_else(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    np.savez(tmp_path / "cifar-100.npz", **npz(**changes))
    with pytest.raises(DamagedData, match=words) as error:
        open_source("cifar100", Options(data=tmp_path))
    assert str(tmp_path / "cifar-100.npz") in str(error.value)


def test_an_array_whose_header_promises_more(tmp_path: Path) -> None:
    whole = io.BytesIO()
    np.savez(whole, **npz())
    for shape in ((50_000, 32, 32, 3), (10**12, 32, 32, 3)):
        member = io.BytesIO()
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(member, header)
        with (
            zipfile.ZipFile(whole) as old,
            zipfile.ZipFile(tmp_path / "cifar-100.npz", "w") as new,
        ):
            for name in old.namelist():
                bytes_of = member.getvalue() if name == "train_images.npy" else old.read(name)
                new.writestr(name, bytes_of)
        with peak_below(4), pytest.raises(DamagedData, match="train_images"):
            open_source("cifar100", Options(data=tmp_path))


@pytest.mark.parametrize("order", ["C", "F"])
def test_an_archive_is_read_as_numpy_reads_it(tmp_path: Path, order: Any) -> None:
    rng = np.random.default_rng(1)
    images = np.asarray(rng.integers(0, 256, IMAGES.shape, np.uint8), order=order)
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "cifar-100.npz", **npz(train_images=images))
        source = open_source("cifar100", Options(data=tmp_path))
        X, y = source.train_arrays()
        assert np.array_equal(X.reshape(3, 3, 32, 32).transpose(0, 2, 3, 1), images)
        assert np.array_equal(y, LABELS)


def cifar100_files(root: Path, patch: pytest.MonkeyPatch, known: dict[str, Any]) -> None:
    """Small batches instead of those of CIFAR-100, with their digests in ``known``."""
    folder = root / "cifar-100-python"
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    for name, n in (("train", 30), ("test", 10)):
        raw = batch(n, b"fine_labels", 100, rng)
        (folder / name).write_bytes(raw)
        kind = hashlib.md5 if known is cifar100.MD5 else hashlib.sha256
        patch.setitem(known, name, kind(raw).hexdigest())


def test_rebuilt_files_of_cifar100_are_read_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cifar100_files(tmp_path, monkeypatch, cifar100.REBUILT)
    with pytest.warns(UserWarning, match=r"rebuilt files \(train, test\).*guess"):
        source = open_source("cifar100", Options(data=tmp_path))
    assert source.length == 30
    cifar100_files(tmp_path, monkeypatch, cifar100.MD5)
    with warnings.catch_warnings(action="error"):
        open_source("cifar100", Options(data=tmp_path))
    with open(tmp_path / "cifar-100-python" / "test", "r+b") as file:
        file.seek(200)
        file.write(b"!")
    with pytest.raises(DamagedData, match=r"cifar-100-python/test: got md5 .*published file"):
        open_source("cifar100", Options(data=tmp_path))


def test_the_digests_of_the_rebuilt_files_are_whole() -> None:
    assert cifar100.REBUILT.keys() == cifar100.MD5.keys()
    assert all(len(bytes.fromhex(digest)) == 32 for digest in cifar100.REBUILT.values())


# No batches, though the digest fits.
TWISTED = [
    b"",
    b".",
    b"\x80\x03N.",
    b"\x80\x03}.",
    pickle.dumps([1, 2], protocol=3),
    b"\x80\x03" + b"(" * 100_000,
    b"\x80\x03cnumpy\nndarray\n)R}b.",
    b"\x80\x03cnumpy\nndarray\n)RK\x01b.",
    b"cos\nsystem\n(S'true'\ntR.",
    b"cbuiltins\neval\n(S'1'\ntR.",
    b"cnumpy.core.multiarray\nfromstring\n.",
]


@pytest.mark.parametrize("raw", TWISTED)
def test_a_pickle_of_something_else_with_the_right_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raw: bytes
) -> None:
    write_data_sets(tmp_path, monkeypatch)
    path = tmp_path / "cifar-10-batches-py" / "test_batch"
    path.write_bytes(raw)
    monkeypatch.setitem(
        cifar10.MD5,
        "test_batch", hashlib.md5(raw).hexdigest(),
    )  # fmt: skip
    with pytest.raises(DamagedData, match="test_batch"):
        open_source("cifar10", Options(data=tmp_path))


def harmed(raw: bytes, rng: np.random.Generator) -> bytes:
    """The bytes with one of them changed, or with some cut off, removed or inserted."""
    at, n = int(rng.integers(len(raw))), int(rng.integers(1, 40))
    noise = rng.integers(0, 256, n, np.uint8).tobytes()
    return [
        raw[:at] + bytes([raw[at] ^ int(rng.integers(1, 256))]) + raw[at + 1 :],
        raw[:at],
        raw[:at] + raw[at + n :],
        raw[:at] + noise + raw[at:],
    ][int(rng.integers(4))]


def files(root: Path) -> dict[str, Path]:
    return {
        "mnist": root / "MNIST" / "raw" / "train-images-idx3-ubyte",
        "mnist labels": root / "MNIST" / "raw" / "t10k-labels-idx1-ubyte",
        "fashion_mnist": root / "FashionMNIST" / "raw" / "t10k-images-idx3-ubyte.gz",
        "fashion_mnist labels": root / "FashionMNIST" / "raw" / "train-labels-idx1-ubyte.gz",
        "cifar10": root / "cifar-10-batches-py" / "data_batch_2",
        "cifar100": root / "cifar-100.npz",
    }


@pytest.mark.parametrize("which", ["mnist", "mnist labels", "fashion_mnist",
                                   "fashion_mnist labels", "cifar10", "cifar100"])  # fmt: skip
def test_any_damage_is_read_or_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    write_data_sets(tmp_path, monkeypatch)
    name, path = which.split()[0], files(tmp_path)[which]
    raw, rng = path.read_bytes(), np.random.default_rng(len(which))
    before = [a.shape for a in open_source(name, Options(data=tmp_path)).train_arrays()]
    refused = 0
    for i in range(40):
        # the headers, which are short, as often as what is behind them
        head = raw[:64] if i % 2 else raw
        path.write_bytes(harmed(head, rng) + raw[len(head) :])
        try:
            source = open_source(name, Options(data=tmp_path))
        except DamagedData as error:
            assert str(path) in str(error) and "\n" not in str(error), error
            refused += 1
        else:  # bytes without a digest: some other picture
            assert [a.shape for a in source.train_arrays()] == before
    assert refused >= 15


def test_every_refusal_is_a_user_error() -> None:
    assert issubclass(DamagedData, UserError) and issubclass(MissingData, UserError)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
def test_a_pipe_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_data_sets(tmp_path, monkeypatch)
    path = tmp_path / "MNIST" / "raw" / "t10k-labels-idx1-ubyte"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(MissingData, match="t10k-labels"):
        open_source("mnist", Options(data=tmp_path))


def test_a_whole_gzip_is_read_to_its_checksum(tmp_path: Path) -> None:
    array = np.arange(200, dtype=np.uint8)
    path = tmp_path / "a.gz"
    whole = gzip.compress(idx(array), mtime=0)
    for at in range(len(whole) - 8, len(whole)):  # CRC and length
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(DamagedData, match=r"a\.gz"):
            read_idx(path)


@pytest.mark.skipif(not os.environ.get("DENDROSTREAM_DATA"), reason="DENDROSTREAM_DATA is not set")
def test_the_real_cifar100_is_read_and_its_kind_reported() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        source = open_source("cifar100")
    X, y = source.train_arrays()
    assert X.shape == (50_000, 3072) and X.dtype == np.uint8
    assert np.array_equal(np.bincount(y), np.full(100, 500))
    assert round(X.mean(dtype=float) / 255, 4) == pytest.approx(0.4782, abs=2e-4)
    folder = data_root()[0] / "cifar-100-python"
    digest = hashlib.sha256((folder / "train").read_bytes()).hexdigest()
    assert [str(one.message) for one in caught if "rebuilt" in str(one.message)] == (
        [str(caught[0].message)] if digest == cifar100.REBUILT["train"] else []
    )
