"""Fashion-MNIST: clothes of 28 x 28 pixels, 60,000 to learn and 10,000 to test.

Xiao, Rasul, Vollgraf, arXiv:1708.07747. Pixels 0 to 255; classes 0 to 9: T-shirt/top, trouser,
pullover, dress, coat, sandal, shirt, sneaker, bag, ankle boot.
"""

from __future__ import annotations

from streaming.files.data_sets import load_idx_set
from streaming.samples.arrays import IMAGE_DEFAULTS
from streaming.sources import ArraySource, Options, SourceFile, no_argument

NAMES = (
    "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag",
    "ankle boot",
)  # fmt: skip


def open(argument: str | None, options: Options) -> ArraySource:
    no_argument("fashion_mnist", argument)
    arrays = load_idx_set("FashionMNIST", options.data, options.download)
    return ArraySource(
        *arrays,
        name="fashion_mnist",
        classes=range(10),
        class_names=NAMES,
        seed=options.seed,
        scale="range",
        maximum=255.0,
        image_shape=(28, 28),
        defaults=IMAGE_DEFAULTS,
    )


SOURCE = SourceFile(__name__, open=open)
