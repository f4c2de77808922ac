"""MNIST: handwritten digits of 28 x 28 pixels, 60,000 to learn and 10,000 to test.

LeCun, Bottou, Bengio, Haffner, Proc. IEEE 86, 1998. Pixels 0 to 255, classes 0 to 9.
"""

from __future__ import annotations

from streaming.files.data_sets import load_idx_set
from streaming.samples.arrays import IMAGE_DEFAULTS
from streaming.sources import ArraySource, Options, SourceFile, no_argument


def open(argument: str | None, options: Options) -> ArraySource:
    no_argument("mnist", argument)
    arrays = load_idx_set("MNIST", options.data, options.download)
    return ArraySource(
        *arrays,
        name="mnist",
        classes=range(10),
        seed=options.seed,
        scale="range",
        maximum=255.0,
        image_shape=(28, 28),
        defaults=IMAGE_DEFAULTS,
    )


SOURCE = SourceFile(__name__, open=open)
