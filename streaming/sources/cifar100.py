"""CIFAR-100: colour pictures of 32 x 32 pixels, 50,000 to learn and 10,000 to test.

Krizhevsky 2009. Features in the order (channel, row, column), values 0 to 255; classes 0 to 99
(the fine labels). Read from ``cifar-100-python/`` as torchvision leaves it, or from
``cifar-100.npz`` with train_images, test_images (N, 32, 32, 3) uint8, train_labels, test_labels.

Two sets of files are accepted: the published ones, and ones rebuilt from single pictures. The
rebuilt files have every picture and label, but the order of 100 of the 60,000 pictures (84 to
learn, 16 to test) within their classes is a guess. A warning is given if they are read.
"""

from __future__ import annotations

import math
import os
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streaming.files.bounded import REMEDY, DamagedData
from streaming.files.data_sets import checked_batch, data_root, labelled, locate, unpickled
from streaming.samples.arrays import IMAGE_DEFAULTS
from streaming.sources import ArraySource, Chunk, Options, SourceFile, no_argument

MD5 = {
    "train": "16019d7e3df5f24257cddd939b257f8d",
    "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
}
REBUILT = {  # sha256
    "train": "f51213025da68eb0f6367786fed790a42b5cb823a3d93bd3cefd542ed7d9512b",
    "test": "5b96deb3cdadf2f94dbf5f371b63a50efef319c17c265ba96694090db666e382",
}
CLASSES = 100
npy: Any = np.lib.format
MOST = 50_000  # the largest number of pictures


def open(argument: str | None, options: Options) -> ArraySource:
    no_argument("cifar100", argument)
    npz = data_root(options.data)[0] / "cifar-100.npz"
    if os.path.isfile(npz):
        train, test = _read_npz(npz, "train"), _read_npz(npz, "test")
    else:
        train, test = _read_batches(options)
    return ArraySource(
        *train,
        *test,
        name="cifar100",
        classes=range(CLASSES),
        seed=options.seed,
        scale="global",
        maximum=255.0,
        image_shape=(3, 32, 32),
        defaults=IMAGE_DEFAULTS,
    )


def _read_batches(options: Options) -> list[Chunk]:
    files = [f"cifar-100-python/{name}" for name in MD5]
    chunks, rebuilt = list[Chunk](), list[str]()
    for path, name in zip(
        locate("CIFAR100", files, options.data, options.download), MD5, strict=True
    ):
        raw, digest = checked_batch(path, MD5[name], REBUILT[name])
        rebuilt += [name] if digest == REBUILT[name] else []
        chunks.append(labelled(path, unpickled(path, raw), b"fine_labels"))
    if rebuilt:
        warnings.warn(
            f"cifar100: rebuilt files ({', '.join(rebuilt)}), not the published ones: the order "
            "of 100 pictures within their classes is a guess",
            stacklevel=3,
        )
    return chunks


def _read_npz(path: Path, split: str) -> Chunk:
    images = _member(path, f"{split}_images", (32, 32, 3))
    labels = _member(path, f"{split}_labels", ())
    if len(labels) != len(images) or not len(labels):
        got = f"{len(labels)} labels for {len(images)} images"
        raise DamagedData(f"{path}: {split}_labels", got=got, expected="one for each, and some")
    if not 0 <= labels.min() <= labels.max() < CLASSES:
        got = f"labels {labels.min()} to {labels.max()}"
        raise DamagedData(f"{path}: {split}_labels", got=got, expected="0 to 99")
    return images.transpose(0, 3, 1, 2).reshape(len(images), -1), labels.astype(np.int64)


def _member(path: Path, name: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """An array (N, *shape) of an archive: bytes or, where the shape is (), whole numbers.

    The header is checked before memory is allocated, and nothing is unpickled.
    """
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as file:
            version = npy.read_magic(file)
            if version not in ((1, 0), (2, 0)):
                raise ValueError(f"format {version} of an array")
            header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            stored, by_column, dtype = header(file)
            whole = dtype == np.uint8 if shape else dtype.kind in "iu"
            if (
                stored[1:] != shape
                or len(stored) != 1 + len(shape)
                or stored[0] > MOST
                or not whole
            ):
                kind = "uint8" if shape else "whole numbers"
                expected = f"({', '.join(['N', *map(str, shape)])}) of {kind}, N at most {MOST:,}"
                raise DamagedData(
                    f"{path}: {name}", got=f"{stored} of {dtype}", expected=expected, remedy=REMEDY
                )
            size = math.prod(stored) * dtype.itemsize
            raw = file.read(size + 1)
    except DamagedData:
        raise
    # BadZipFile and zlib.error share no base class but Exception
    except Exception as error:
        expected = "an archive of train_images, train_labels, test_images, test_labels"
        raise DamagedData(str(path), got=error, expected=expected, remedy=REMEDY) from error
    if len(raw) != size:
        got, expected = (
            f"{'more' if len(raw) > size else 'fewer'} bytes",
            f"{size} for the shape {stored}",
        )
        raise DamagedData(f"{path}: {name}", got=got, expected=expected, remedy=REMEDY)
    return np.frombuffer(raw, dtype).reshape(stored, order="F" if by_column else "C")


SOURCE = SourceFile(__name__, open=open)
