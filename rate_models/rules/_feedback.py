"""The feedback matrix F, through which errors reach the input in PEPITA and related rules."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from itertools import pairwise

import numpy as np

from rate_models.compiler.kernel import Array
from rate_models.rules import Start


def feedback(start: Start) -> Array:
    """F (n_j, n_L), of standard deviation κ √(2/n_j), κ ``feedback_scale``.

    he_uniform: U(-b, b), b = κ √(6/n_j). he_normal: the product of the factors B_{j+1} ... B_L;
    where the rule learns the factors they are own arrays, see `factor`.
    """
    if "B" in start.params:
        return reduce(np.matmul, start.params["B"])
    scale: float = start.hyper.feedback_scale
    if start.hyper.init == "he_normal":
        sizes = start.spec.sizes[start.layers[0] :]
        q = deviation(scale, sizes)
        return reduce(np.matmul, [_normal(start.rng, q, shape) for shape in pairwise(sizes)])
    return start.rng.uniform(-1, 1, start.shape) * (scale * math.sqrt(6 / start.shape[0]))


def factor(start: Start) -> Array:
    """B_l (n_{l-1}, n_l) ~ N(0, q²), one of the factors of F; q: see `deviation`."""
    sizes = start.spec.sizes[start.hyper.inject :]
    return _normal(start.rng, deviation(start.hyper.feedback_scale, sizes), start.shape)


def deviation(scale: float, sizes: Sequence[int]) -> float:
    """q = (κ √(2/n_j) / √(n_{j+1} ... n_{L-1}))^(1/(L-j)), for sizes n_j, ..., n_L; scale: κ.

    With factors of this standard deviation F = B_{j+1} ... B_L has the standard deviation
    κ √(2/n_j). Source: Srinivasan et al., ICLR 2024.
    """
    wanted = scale * math.sqrt(2 / sizes[0])
    spread: float = (wanted / math.sqrt(math.prod(sizes[1:-1]))) ** (1 / (len(sizes) - 1))
    return spread


def _normal(rng: np.random.Generator, q: float, shape: tuple[int, ...]) -> Array:
    return rng.normal(0, q, shape) if q else np.zeros(shape)
