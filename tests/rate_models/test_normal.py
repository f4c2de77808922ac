"""The inverse normal distribution beside SciPy's and Python's own."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from scipy.special import ndtri

from rate_models.model import normal


def test_it_is_the_inverse_of_the_normal_distribution() -> None:
    rng = np.random.default_rng(0)
    ends = 10.0 ** -np.linspace(0.4, 17, 200)
    u = np.concatenate([rng.random(5000), ends, 1 - ends[:150], [0.075, 0.925, np.exp(-25), 0.5]])
    x = normal.inverse(u)
    np.testing.assert_allclose(x, [NormalDist().inv_cdf(p) for p in u], rtol=2e-15, atol=1e-16)
    np.testing.assert_allclose(x, ndtri(u), rtol=3e-15, atol=1e-15)


def test_any_shape_and_order() -> None:
    u = np.random.default_rng(1).random((6, 8))
    np.testing.assert_array_equal(normal.inverse(u[:, 2:5]), normal.inverse(u)[:, 2:5])
    np.testing.assert_array_equal(normal.inverse(u.T), normal.inverse(u).T)
    assert normal.inverse(np.zeros((3, 0))).shape == (3, 0)
