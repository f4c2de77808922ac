"""What a real synapse cannot do: bounds, levels, signs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rate_models.errors import BadOption
from rate_models.kernel import Array

if TYPE_CHECKING:
    from biocircuits.simulate import Settings


def check(settings: Settings) -> None:
    """BadOption where bounds are the wrong way round, or levels have none to lie between."""
    if not settings.low < settings.high:
        at = "low and high"
        raise BadOption(at, got=(settings.low, settings.high), expected="low below high")
    if settings.bits and not np.isfinite([settings.low, settings.high]).all():
        raise BadOption("bits", got=settings.bits, remedy="set low and high, its range, too")


def apply(w: Array, settings: Settings, signs: Array, rng: np.random.Generator | None) -> None:
    """Put weights (n, m) back to where they may be.

    Dale's law: a weight of the sign it did not begin with becomes 0. Then the bounds. Levels by
    stochastic rounding: up with the probability of the way already gone, so that changes smaller
    than a level count on average.

    >>> from biocircuits.simulate import Settings
    >>> w = np.array([[0.5, -2.0]])
    >>> apply(w, Settings(low=-1.0, high=1.0), np.sign(w), None)
    >>> w
    array([[ 0.5, -1. ]])
    """
    if settings.dale:
        w[w * signs < 0] = 0
    if settings.low > -np.inf or settings.high < np.inf:
        np.clip(w, settings.low, settings.high, out=w)
    if settings.bits:
        step = (settings.high - settings.low) / (2**settings.bits - 1)
        exact = (w - settings.low) / step
        up = 0.5 if rng is None else rng.random(w.shape)
        w[...] = settings.low + step * np.floor(exact + up)
