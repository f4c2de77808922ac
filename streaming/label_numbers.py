"""Labels that look like numbers to be predicted, not like classes."""

from __future__ import annotations

import warnings

from streaming.sources import Source

MANY, FEW = 50, 20  # different labels; samples of each


def warn_of_numbers(source: Source) -> None:
    """Warn where whole-number labels are so many, with so few samples each, that a network of
    one output that predicts the number is more likely to be meant.
    """
    labels, length = source.classes or (), source.length
    whole = all(type(label) is int for label in labels)
    if whole and length is not None and len(labels) > MANY and length < FEW * len(labels):
        warnings.warn(
            f"{source.name}: {len(labels):,} different whole numbers as labels of {length:,} "
            "samples look like a number to be predicted; if it is one, use --task regression",
            stacklevel=2,
        )
