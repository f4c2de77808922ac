"""Uniform random numbers as a pure function of the seed and the sample's number.

A counter-based generator is advanced to the sample's position. So the draws do not depend on how a
stream is chunked, on resuming or on the implementation, and there is no generator state to save.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

_PER_COUNT = 4  # Philox turns one counter value into four 64-bit words, one per double


def uniform(seed: int, stream: int, start: int, n: int, width: int) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1), shape (n, width), for the samples start..start+n-1.

    >>> whole = uniform(0, 2, 0, 5, 3)
    >>> bool((uniform(0, 2, 3, 2, 3) == whole[3:]).all())
    True
    """
    if width == 0:
        return np.zeros((n, 0))
    counts = -(-width // _PER_COUNT)
    key = np.random.SeedSequence([seed, stream]).generate_state(2, np.uint64)
    bits = np.random.Philox(key=key)
    bits.advance(start * counts)
    return np.random.Generator(bits).random((n, counts * _PER_COUNT))[:, :width]


def numbers(
    seed: int, start: int, n: int
) -> Callable[[int, Sequence[int]], list[NDArray[np.float64]]]:
    """`uniform` as a function of (stream, widths): an array (n, width) for each width.

    >>> [part.shape for part in numbers(seed=0, start=7, n=2)(3, [4, 1])]
    [(2, 4), (2, 1)]
    """

    def each(stream: int, widths: Sequence[int]) -> list[NDArray[np.float64]]:
        whole = uniform(seed, stream, start, n, sum(widths))
        ends = accumulate(widths)
        return [whole[:, end - width : end] for width, end in zip(widths, ends, strict=True)]

    return each
