"""Fits to the results of a run: learning curves, distributions of weights, spectra of activity.

Pure functions of arrays. SciPy and scikit-learn are imported only where they are needed, because
that takes a second.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rate_models.errors import BadOption

Array = NDArray[np.float64]


class Plateau(NamedTuple):
    """accuracy(epoch) = A epoch / (s + epoch).

    A: the plateau, in the unit of the accuracies. s: the slowness, the number of epochs to reach
    A / 2. points: the fitted accuracies at the epochs 0, 1, ...
    """

    A: float
    s: float
    points: Array

    def at(self, epochs: ArrayLike) -> Array:
        """The accuracy of the law at ``epochs``."""
        epochs = np.asarray(epochs, float)
        return np.asarray(self.A * epochs / (self.s + epochs))


def slowness(accuracies: ArrayLike, chance: float, points: int = 60) -> Plateau:
    """The plateau law A ep / (s + ep) fitted to a test curve.

    accuracies (E,): after the epochs 1, 2, ..., mean over runs. chance: the accuracy at epoch 0,
    put before them. points: number of accuracies that are fitted, from epoch 0 on. A is the largest
    of them; s is fitted by least squares, starting from 0.5. Source: Dellaferrera & Kreiman 2022,
    table 3, equations 7 and 8, and its program.

    >>> epochs = np.arange(1, 100)
    >>> round(slowness(0.9 * epochs / (0.05 + epochs), chance=0.1).s, 3)
    0.047
    """
    from scipy.optimize import least_squares

    curve = np.concatenate([[chance], np.asarray(accuracies, float).ravel()])[:points]
    if len(curve) < 2 or not np.isfinite(curve).all() or curve.max() <= 0:
        raise BadOption("accuracies", got=curve[1:], expected="finite numbers, one an epoch")
    law = Plateau(float(curve.max()), 0.5, curve)
    epochs = np.arange(len(curve))

    def residuals(s: Array) -> Array:
        return np.asarray(law._replace(s=float(s[0])).at(epochs) - curve)

    # s > 0, so that the law is never 0 / 0 at epoch 0
    fit = least_squares(residuals, [0.5], bounds=(0, np.inf), xtol=1e-12, ftol=1e-12, gtol=1e-12)
    return law._replace(s=float(fit.x[0]))


class Fit(NamedTuple):
    """A distribution fitted by maximum likelihood: its parameters and total log-likelihood."""

    parameters: dict[str, float]
    log_likelihood: float


def distribution_fits(W: ArrayLike) -> dict[str, Fit]:
    """Maximum-likelihood fits of the entries of W: ``normal`` (mean, std), ``t`` (df, loc, scale).

    Student's t contains the Normal distribution as its limit df → ∞, so its likelihood is at least
    as large. The size of the difference matters. Source: Dellaferrera & Kreiman 2022, figures 6 and
    10.

    >>> fits = distribution_fits(np.random.default_rng(0).standard_t(3, size=2000))
    >>> fits["t"].log_likelihood > fits["normal"].log_likelihood + 100
    True
    """
    from scipy import stats

    w = np.asarray(W, float).ravel()
    if w.size < 4 or not np.isfinite(w).all() or np.ptp(w) == 0:
        raise BadOption("weights", got=f"{w.size} numbers", expected="4 or more, finite, not equal")
    loc, scale = float(w.mean()), float(w.std())
    u = (w - loc) / scale  # so that the search starts near the optimum for any unit
    df, shift, width = map(float, stats.t.fit(u, 5.0, loc=0.0, scale=0.8))
    shift, width = loc + scale * shift, scale * width
    return {
        "normal": Fit(
            {"mean": loc, "std": scale}, float(stats.norm.logpdf(w, loc, scale).sum())
        ),
        "t": Fit(
            {"df": df, "loc": shift, "scale": width},
            float(stats.t.logpdf(w, df, shift, width).sum()),
        ),
    }  # fmt: skip


def constraint_spectrum(z: ArrayLike) -> Array:
    """Eigenvalues (k,) of C_zz = (1/T) Σ z zᵀ, largest first; z (T, k) are the hidden activities.

    BMVR constrains them to at most 1. Source: Golkar et al. 2020, equation 3.

    >>> constraint_spectrum([[2.0, 0.0], [0.0, 1.0]]).tolist()
    [2.0, 0.5]
    """
    return np.asarray(np.linalg.eigvalsh(_covariance(z))[::-1])


def constraint_error(z: ArrayLike) -> float:
    """‖C_zz - I‖_F / √k of hidden activities z (T, k); 0 where they are white.

    Source: Golkar et al. 2020, figure 3 and equation 3.

    >>> constraint_error([[1.0, 1.0], [1.0, -1.0]])
    0.0
    """
    c = _covariance(z)
    return float(np.linalg.norm(c - np.eye(len(c))) / np.sqrt(len(c)))


def bmvr_loss(y: ArrayLike, z: ArrayLike, W2: ArrayLike) -> float:
    """The objective (1) of BMVR, (1/T) Σ ‖y - W_2 z‖²; y (T, n), z (T, k), W_2 (n, k).

    >>> bmvr_loss([[1.0], [3.0]], [[1.0], [1.0]], [[2.0]])
    1.0
    """
    gap = np.asarray(y, float) - np.asarray(z, float) @ np.asarray(W2, float).T
    return float(np.mean(np.sum(gap**2, axis=1)))


def bmvr_optimum(x: ArrayLike, y: ArrayLike, k: int, ridge: float = 0.0) -> float:
    """The least value of `bmvr_loss` that k hidden linear units allow: tr C_yy - Σ top-k eig M.

    M = C_xx^-1/2 C_xy C_yx C_xx^-1/2, with C_xx + ridge I for C_xx; x (T, m), y (T, n).
    Source: Golkar et al. 2020, equations 10 to 19.

    >>> x = np.eye(3)
    >>> round(bmvr_optimum(x, x @ np.diag([3.0, 2.0, 1.0]), k=2), 12)
    0.333333333333
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    values, vectors = np.linalg.eigh(x.T @ x / len(x) + ridge * np.eye(x.shape[1]))
    kept = values > values.max() * len(values) * np.finfo(float).eps  # dead pixels explain nothing
    root = (x.T @ y / len(x)).T @ (vectors[:, kept] / np.sqrt(values[kept]))
    explained = np.linalg.svd(root, compute_uv=False)[:k] ** 2
    return float(np.sum(y**2) / len(y) - explained.sum())


def embedding(h: ArrayLike, perplexity: float = 30.0, seed: int = 0) -> Array:
    """t-SNE of activities h (N, n): points (N, 2), close together for similar activities.

    Initialised with the first two principal components. Source: Dellaferrera & Kreiman 2022, figure
    4; its settings are not published, and these are the usual ones.
    """
    from sklearn.manifold import TSNE

    h = np.asarray(h, float)
    if not 0 < perplexity < len(h):
        raise BadOption("perplexity", got=perplexity, expected=f"above 0, below {len(h)} samples")
    tsne = TSNE(2, perplexity=perplexity, init="pca", learning_rate="auto", random_state=seed)
    return np.asarray(tsne.fit_transform(h), float)


def _covariance(z: ArrayLike) -> Array:
    z = np.asarray(z, float)
    return np.asarray(z.T @ z / len(z))
