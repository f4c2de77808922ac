"""CIFAR-100: colour pictures of 32 x 32 pixels, 50,000 to learn and 10,000 to test.

Krizhevsky 2009. Features in the order (channel, row, column), values 0 to 255; classes 0 to 99
(the fine labels). Read from ``cifar-100-python/`` as torchvision leaves it, or from
``cifar-100.npz`` with train_images, test_images (N, 32, 32, 3) uint8, train_labels, test_labels.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streaming.data_files import DamagedData, data_root, load_cifar_batches, locate
from streaming.sources import ArraySource, Chunk, Options, no_argument

MD5 = {
    "train": "16019d7e3df5f24257cddd939b257f8d",
    "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
}


def open(argument: str | None, options: Options) -> ArraySource:
    no_argument("cifar100", argument)
    npz = data_root(options.data)[0] / "cifar-100.npz"
    if npz.is_file():
        train, test = _read_npz(npz, "train"), _read_npz(npz, "test")
    else:
        files = [f"cifar-100-python/{name}" for name in MD5]
        paths = locate("CIFAR100", files, options.data, options.download)
        train, test = (
            load_cifar_batches([pair], b"fine_labels")
            for pair in zip(paths, MD5.values(), strict=True)
        )
    return ArraySource(
        *train,
        *test,
        name="cifar100",
        classes=range(100),
        seed=options.seed,
        scale="global",
        maximum=255.0,
        image_shape=(3, 32, 32),
    )


def _read_npz(path: Path, split: str) -> Chunk:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            images: NDArray[np.uint8] = arrays[f"{split}_images"]
            labels = arrays[f"{split}_labels"]
    # BadZipFile and zlib.error share no base class but Exception
    except Exception as error:
        raise DamagedData(
            str(path), got=error, expected=f"{split}_images, {split}_labels"
        ) from error
    if images.shape[1:] != (32, 32, 3) or images.dtype != np.uint8:
        raise DamagedData(
            f"{path}: {split}_images",
            got=f"shape {images.shape}, {images.dtype}",
            expected="(N, 32, 32, 3), uint8",
        )
    return images.transpose(0, 3, 1, 2).reshape(len(images), -1), labels.astype(np.int64)
