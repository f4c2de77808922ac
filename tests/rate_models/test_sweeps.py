"""Sums over the rows of a matrix: equal to products of NumPy, and the same bits on every path."""

from __future__ import annotations

import numpy as np
import pytest

from rate_models.compiler.kernel import Array, kernel
from rate_models.kernels import sweeps

DENSITIES = [0.0, 0.02, 0.1, 0.28, 0.5, 1.0]


@kernel
def swept(
    out: Array, x: Array, w: Array, bits: Array, which: Array,
    alpha: Array, post: Array, before: Array,
) -> None:  # fmt: skip
    sweeps.sweep(out, x, w, bits, which, alpha, post, before)


def run(
    x: Array, w: Array, alpha: Array, post: Array, adds: bool = True
) -> tuple[Array, Array]:  # fmt: skip
    """out and w after `sweep`; adds: whether w is changed first."""
    n, dtype = len(w), w.dtype
    out, w = np.zeros((len(x), w.shape[1]), dtype), w.copy()
    before = np.zeros(n if adds else 0, dtype)
    swept(out, x, w, np.zeros(n, dtype), np.zeros(n, np.int64), alpha, post, before)
    return out, w


def case(density: float, m: int, samples: int) -> tuple[Array, Array, Array, Array]:
    rng = np.random.default_rng(int(100 * density) + m)
    x, alpha = (rng.normal(size=(k, 53)) * (rng.random((k, 53)) < density) for k in (samples, 8))
    return x, rng.normal(size=(53, m)), alpha, rng.normal(size=(8, m))


@pytest.mark.parametrize("m", [7, 32, 64, 70, 201, 600])  # narrow, short, more than a tile
@pytest.mark.parametrize("samples", [1, 3, 8])
@pytest.mark.parametrize("density", DENSITIES)
def test_a_sweep_is_two_products(density: float, samples: int, m: int) -> None:
    x, w, alpha, post = case(density, m, samples)
    out, after = run(x, w, alpha, post)
    np.testing.assert_allclose(after, w + alpha.T @ post, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(out, x @ after, rtol=1e-12, atol=1e-12)
    out, after = run(x, w, alpha, post, adds=False)
    np.testing.assert_array_equal(after, w)
    np.testing.assert_allclose(out, x @ w, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("m", [32, 100, 600])
@pytest.mark.parametrize("density", DENSITIES)
def test_samples_together_and_alone_give_the_same_bits(density: float, m: int) -> None:
    """Which path is taken depends on how many terms the samples of a block have together."""
    x, w, alpha, post = case(density, m, 8)
    x[3] = np.random.default_rng(1).normal(size=53)  # one dense sample among sparse ones
    out, after = run(x, w, alpha, post)
    for t in range(8):
        one, same = run(x[t : t + 1], w, alpha, post)
        np.testing.assert_array_equal(one[0], out[t])
        np.testing.assert_array_equal(same, after)
