"""The feedback matrix F through which errors reach the input in PEPITA and its kin."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from itertools import pairwise

import numpy as np

from rate_models.compiler.kernel import Array


def feedback(init: str, scale: float, sizes: Sequence[int], rng: np.random.Generator) -> Array:
    """F (n_0, n_L), of standard deviation κ √(2/n_0); sizes: n_0..n_L, scale: κ.

    he_uniform: U(-b, b), b = κ √(6/n_0). he_normal: the product of `factors`.
    """
    if init == "he_normal":
        return reduce(np.matmul, factors(scale, sizes, rng))
    return rng.uniform(-1, 1, (sizes[0], sizes[-1])) * (scale * math.sqrt(6 / sizes[0]))


def factors(scale: float, sizes: Sequence[int], rng: np.random.Generator) -> list[Array]:
    """B_1..B_L with F = B_1 B_2 ... B_L, B_l (n_{l-1}, n_l) ~ N(0, q²), as mirroring learns them.

    q = (κ √(2/n_0) / √(n_1 ... n_{L-1}))^(1/L), so that F has the standard deviation κ √(2/n_0).
    Source: Srinivasan et al., ICLR 2024.
    """
    wanted = scale * math.sqrt(2 / sizes[0])
    q = (wanted / math.sqrt(math.prod(sizes[1:-1]))) ** (1 / (len(sizes) - 1))
    shapes = pairwise(sizes)
    return [rng.normal(0, q, shape) if q else np.zeros(shape) for shape in shapes]
