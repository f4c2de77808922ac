"""Linear regressions with known optimum, for the tests of BMVR."""

from __future__ import annotations

from typing import Any

import numpy as np

M, K, N = 20, 3, 10
LINEAR = {"activation": "identity", "loss": "mse"}


def regression(samples: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Anisotropic Gaussian inputs with mean ‖x‖² = M, and targets with tr C_yy = 1."""
    rng = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(rng.normal(size=(M, M)))
    x = rng.normal(size=(samples, M)) * np.linspace(1.5, 0.5, M) @ turn
    x *= np.sqrt(M / (x**2).sum(1).mean())
    y = x @ rng.normal(size=(M, N)) / np.sqrt(M) * 0.8 ** np.arange(N)
    y += 0.3 * rng.normal(size=y.shape)
    return x, y / np.sqrt((y**2).sum(1).mean())


class Optimum:
    """Reduced-rank regression in closed form: SPEC D, (10)-(19)."""

    def __init__(self, x: np.ndarray, y: np.ndarray, ridge: float = 0.0, k: int = K) -> None:
        self.xx, self.xy = x.T @ x / len(x) + ridge * np.eye(M), x.T @ y / len(x)
        values, vectors = np.linalg.eigh(self.xx)
        root = vectors / np.sqrt(values) @ vectors.T
        kept, directions = np.linalg.eigh(root @ self.xy @ self.xy.T @ root)
        self.kept = kept[::-1][:k]
        self.W_1 = directions[:, ::-1][:, :k].T @ root
        self.loss = (y**2).sum(1).mean() - self.kept.sum()
        self.regression = np.linalg.solve(self.xx, self.xy).T  # C_yx C_xx⁻¹, full rank


def loss_and_constraint(params: Any, x: np.ndarray, y: np.ndarray, ridge: float = 0.0) -> Any:
    """⟨‖y − W_2 z‖²⟩ and ⟨z zᵀ⟩, with the input's covariance as the ridge makes it."""
    W_1, W_2 = params["W"]
    z = x @ W_1.T
    loss = ((y - z @ W_2.T) ** 2).sum(1).mean() + ridge * ((W_2 @ W_1) ** 2).sum()
    return loss, z.T @ z / len(z) + ridge * W_1 @ W_1.T
