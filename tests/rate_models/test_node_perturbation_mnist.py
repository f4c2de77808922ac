"""Learned feedback on MNIST while W is fixed: as good as theory predicts, and no better.

λ̂_i = ξ_i Σ_k ξ_k λ_k, k over all hidden units, has mean λ_i and variance ‖λ‖² + λ_i². So the ridge
least squares B = V⁻¹ Σ ẽ λ̂ᵀ, V = γ I + Σ ẽ ẽᵀ, of the layer below the output, where ẽ = e, misses
W by D = B - W with

    E D Dᵀ = V⁻¹ (M + γ² W Wᵀ) V⁻¹,    M = Σ (n ‖λ‖² + ‖λ_top‖²) e eᵀ

n and λ_top: units of the layer that receives, and their part of λ. M and V grow with the number of
samples, so ‖D‖ falls with its root.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from rate_models import rules
from rate_models.diagnostics.measures import relative_error, signal_angle
from rate_models.network import NetworkSpec, one_hot
from rate_models.rules import Draws
from rate_models.textbook import initial_parameters
from streaming.files.data_sets import load_idx_set

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("DENDROSTREAM_DATA" not in os.environ, reason="no DENDROSTREAM_DATA"),
]
SPEC = NetworkSpec((784, 50, 20, 10), "sigmoid", "mse", bias=True)
GAMMA, MARKS = 0.1, (1_000, 3_000, 10_000, 30_000)


class Seen(NamedTuple):
    """After so many batches of 32.

    error: ‖D‖ / ‖W‖ of the top matrix. ratio: √tr Dᵀ V D over its theoretical value. V
    gives all 10 · 20 entries equal weight, so that it varies by 1/√(2 · 200), five per cent.
    angles: between B ẽ and the true gradient of layers 1 and 2, in degrees.
    """

    error: float
    ratio: float
    angles: tuple[float, float]


def course(seed: int) -> list[Seen]:
    x, labels, _, _ = load_idx_set("MNIST", Path(os.environ["DENDROSTREAM_DATA"]), False)
    rule, rng = rules.get("node_perturbation"), np.random.default_rng(seed)
    params = initial_parameters(SPEC, "node_perturbation", seed, solver="ridge", gamma=GAMMA)
    hyper = rule.hyperparameters(c=0.01, solver="ridge", gamma=GAMMA)
    W1, W2, W3 = params["W"]
    V, M, found = GAMMA * np.eye(10), GAMMA**2 * W3 @ W3.T, []
    for batch in range(1, MARKS[-1] + 1):
        at = rng.integers(len(x), size=32)
        pixels, y = x[at] / 255, one_hot(labels[at], 10)
        xi = [rng.normal(size=(32, n)) for n in (50, 20)]
        list(rule.batch(SPEC, params, hyper, pixels, y, Draws(None, xi)))  # W is not stepped
        h2 = _sigmoid(_sigmoid(pixels @ W1.T) @ W2.T)
        e, slope = h2 @ W3.T - y, h2 * (1 - h2)
        top, below = e @ W3, (e @ W3 * slope) @ W2
        size = (top**2).sum(1)
        V += e.T @ e
        M += e.T @ ((20 * (size + (below**2).sum(1)) + size)[:, None] * e)
        if batch in MARKS:
            B2, B3 = params["B"]
            D, wanted = B3 - W3, np.trace(np.linalg.solve(V, M))
            signal = (e @ B3 * slope) @ B2
            cos = (signal * below).sum(1) / np.sqrt((signal**2).sum(1) * (below**2).sum(1))
            angles = float(np.degrees(np.arccos(cos)).mean()), signal_angle(B3.T, W3, e)
            ratio = float(np.sqrt(np.trace(D.T @ V @ D) / wanted))
            found.append(Seen(relative_error(W3, B3), ratio, angles))
    return found


def _sigmoid(a: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-a))


def test_the_feedback_of_a_deep_network_converges_as_in_theory() -> None:
    for seed in (0, 1):
        seen = course(seed)
        assert all(0.8 < point.ratio < 1.2 for point in seen), seen
        fall = np.log(seen[3].error / seen[1].error) / np.log(MARKS[3] / MARKS[1])
        assert -0.7 < fall < -0.3, seen  # -1/2; the norm is that of a few directions: ± 0.06
        assert seen[2].angles[1] < 2, seen  # degrees, after 10⁴ batches
        lower = [point.angles[0] for point in seen]
        assert lower == sorted(lower, reverse=True) and lower[3] < 7, seen
