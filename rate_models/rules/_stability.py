"""Stability of BMVR: for which rates learning spirals into its optimum, which is a saddle.

For the linear form and a single hidden mode (linearised at the optimum, with covariances in place
of samples), learning converges where

    η_2² < η κ c (1 − 4 η_q)

κ: the eigenvalue of M = C_xx^-½ C_xy C_yx C_xx^-½ that the mode keeps; c = w C_xx wᵀ / w wᵀ, the
variance of the input along the mode's weights w = uᵀ C_xx^-½, u (m,) the eigenvector of M. For
white inputs the bound is sharp; for others it is on the safe side. Several modes also disturb each
other: η_2 ≤ η / 4 leaves a margin for that. In both forms an update must not overshoot:
η ⟨‖x‖²⟩ λ < 2, with λ the largest eigenvalue of Q Qᵀ. It is init_q² at the start, and later the
largest eigenvalue of the part of the targets that x can explain.

Source: Golkar et al. 2020, equations 5-7, linearised; supplement A.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rate_models.model.optimizers import Optimizer
from rate_models.network import NetworkSpec
from rate_models.rules import RateWarning

Array = NDArray[np.float64]


def modes(x: Array, y: Array, k: int, ridge: float = 0.0) -> tuple[Array, Array]:
    """κ and c of the k modes with the largest κ, in descending order; x (T, m), y (T, n).

    Directions in which the input does not vary are left out. There are at most as many modes as
    outputs, and as directions in which the input varies.

    >>> x = np.array([[2.0, 0.0], [0.0, 1.0]])
    >>> modes(x, x[:, :1], 1)[1].round(6).tolist()
    [2.0]
    """
    values, vectors = np.linalg.eigh(x.T @ x / len(x) + ridge * np.eye(x.shape[1]))
    kept = values > values.max() * len(values) * np.finfo(float).eps
    root = vectors[:, kept] / np.sqrt(values[kept])  # C_xx^-½, up to a turn of u
    u, explained, _ = np.linalg.svd(root.T @ (x.T @ y / len(x)), full_matrices=False)
    w = (root @ u)[:, :k]
    return explained[:k] ** 2, 1 / (w**2).sum(axis=0)


def rate_warnings(
    spec: NetworkSpec, hyper: Any, optimizer: Optimizer, x: Array, y: Array
) -> list[RateWarning]:
    """Warnings about the rates for samples like x (T, m), y (T, n).

    The condition on the modes, for the linear form, is checked with at least 2 m samples: with
    fewer, chance correlations explain the targets.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    m, k, _ = spec.sizes
    linear = spec.activation[0] == "identity"
    eta, eta_q = optimizer.lr, hyper.eta_q * optimizer.lr
    eta_2 = hyper.eta_apical * eta
    warnings = []
    known = linear and len(x) >= 2 * m
    kappa, c = modes(x, y, k, hyper.ridge) if known else (np.zeros(0), np.zeros(0))
    # what z explains of y, and with it Q Qᵀ, is at most C_yy
    explained = kappa.max() if known else np.linalg.norm(y.T @ y / len(y), 2)
    top = max(hyper.init_q**2, float(explained))
    size = float((x**2).sum(axis=1).mean())
    if not eta * size * top < 2:
        text = (
            f"bmvr may diverge: η ⟨‖x‖²⟩ λmax(QQᵀ) = {eta:g} · {size:.3g} · {top:.3g} = "
            f"{eta * size * top:.3g}; expected below 2; try lr={1 / (size * top):.1g}"
        )
        warnings.append(RateWarning(text, serious=True))
    bound = eta * kappa * c * (1 - 4 * eta_q)
    if bound.size and eta_2**2 >= bound.min():
        i = int(bound.argmin())
        text = (
            f"bmvr may not settle: η_2² = {eta_2**2:.3g}; expected below "
            f"η κ c (1 − 4 η_q) = {bound[i]:.3g} for hidden mode {i + 1} (κ {kappa[i]:.3g}, "
            f"c {c[i]:.3g}); lower eta_apical or eta_q"
        )
        warnings.append(RateWarning(text, serious=True))
    if not warnings and hyper.eta_apical > 0.25:
        text = (
            f"bmvr: η_2 = {hyper.eta_apical:g} η; up to η / 4 hidden modes disturb each other less"
        )
        warnings.append(RateWarning(text, serious=False))
    return warnings
