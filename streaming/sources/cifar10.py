"""CIFAR-10: colour pictures of 32 x 32 pixels, 50,000 to learn and 10,000 to test.

Krizhevsky 2009. Features in the order (channel, row, column), values 0 to 255; classes 0 to 9:
airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck.
"""

from __future__ import annotations

from streaming.files.data_sets import load_cifar_batches, locate
from streaming.samples.arrays import IMAGE_DEFAULTS
from streaming.sources import ArraySource, Options, SourceFile, no_argument

MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}

NAMES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip


def open(argument: str | None, options: Options) -> ArraySource:
    no_argument("cifar10", argument)
    files = [f"cifar-10-batches-py/{name}" for name in MD5]
    *train, test = zip(
        locate("CIFAR10", files, options.data, options.download), MD5.values(), strict=True
    )
    return ArraySource(
        *load_cifar_batches(train, b"labels"),
        *load_cifar_batches([test], b"labels"),
        name="cifar10",
        classes=range(10),
        class_names=NAMES,
        seed=options.seed,
        scale="global",
        maximum=255.0,
        image_shape=(3, 32, 32),
        defaults=IMAGE_DEFAULTS,
    )


SOURCE = SourceFile(__name__, open=open)
