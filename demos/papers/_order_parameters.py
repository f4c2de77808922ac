"""The order parameters of adaptive feedback alignment in a large input dimension, and their ODEs.

A student ŷ = Σ v_k g(λ_k) learns from a teacher y = Σ A_m g(ν_m), g(a) = erf(a / √2), with
λ_k = w_k·x / √D, ν_m = w*_m·x / √D, x ~ N(0, I_D), e = ŷ - y, F = f / √D, ρ = -s f·x / √D:

    w_k ← w_k - (η / √D) φ_k g'(λ_k) e x,    v_k ← v_k - (η / D) e g(λ_k),    φ_k = -s w_k·f / D

(λ, ν, ρ) are Gaussian with a covariance C of order parameters: Q = w w / D, R = w w* / D,
T = w* w* / D, φ, P = -s w* f / D, S = f·f / D. With α = steps / D:

    dR_km = -η φ_k E[g'(λ_k) ν_m e],   dφ_k = -η φ_k E[g'(λ_k) ρ e],   dv_k = -η E[e g(λ_k)]
    dQ_kl = -η φ_k E[g'(λ_k) λ_l e] - η φ_l E[g'(λ_l) λ_k e] + η² φ_k φ_l E[g'(λ_k) g'(λ_l) e²]

The averages have closed forms (Saad & Solla 1995). Source: Srinivasan et al., ICLR 2024, appendix.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any


def second(C: Array) -> Array:
    """E[g(z_i) g(z_j)] (n, n) of Gaussian z with covariance C."""
    d = 1 + np.diag(C)
    return 2 / np.pi * np.arcsin(C / np.sqrt(np.outer(d, d)))


def third(C: Array, i: int, j: int, k: int) -> float:
    """E[g'(z_i) z_j g(z_k)]."""
    a = 1 + C[i, i]
    square = a * (1 + C[k, k]) - C[i, k] ** 2
    return float(2 / np.pi * (C[j, k] * a - C[i, j] * C[i, k]) / (a * np.sqrt(square)))


def fourth(C: Array, a: int, b: int, c: int, d: int) -> float:
    """E[g'(z_a) g'(z_b) g(z_c) g(z_d)]."""
    A, B = 1 + C[a, a], 1 + C[b, b]
    square = A * B - C[a, b] ** 2

    def product(p: int, q: int, own: float) -> float:
        cross = C[a, b] * (C[a, p] * C[b, q] + C[a, q] * C[b, p])
        return float(square * own - C[b, p] * C[b, q] * A - C[a, p] * C[a, q] * B + cross)

    both, one, other = (
        product(c, d, C[c, d]),
        product(c, c, 1 + C[c, c]),
        product(d, d, 1 + C[d, d]),
    )
    angle = np.arcsin(np.clip(both / np.sqrt(one * other), -1, 1))
    return float(4 / np.pi**2 * angle / np.sqrt(square))


def error(C: Array, v: Array, A: Array) -> float:
    """ε_g = E[e²] / 2."""
    c = np.concatenate([v, -np.asarray(A)])
    return float(c @ second(C)[: len(c), : len(c)] @ c / 2)


def slopes(C: Array, v: Array, A: Array, eta: float) -> tuple[Array, Array]:
    """dC/dα (n, n) and dv/dα (K,); C has the K units of the student first, ρ last."""
    K, n = len(v), len(C)
    c = np.concatenate([v, -np.asarray(A)])
    units, phi = range(len(c)), C[:K, -1]
    dv = -eta * (second(C)[:K, : len(c)] @ c)
    drift = np.zeros_like(C)  # of E[λ_k z_j], by w_k
    for k in range(K):
        for j in range(n):
            drift[k, j] = -eta * phi[k] * sum(c[u] * third(C, k, j, u) for u in units)
    change = drift + drift.T
    change[K:, K:] = 0
    for k in range(K):
        for m in range(k, K):
            spread = sum(c[a] * c[b] * fourth(C, k, m, a, b) for a in units for b in units)
            change[k, m] += eta**2 * phi[k] * phi[m] * spread
            change[m, k] = change[k, m]
    return change, dv


def solve(C: Array, v: Array, A: Array, eta: float, alphas: Array) -> tuple[Array, Array]:
    """C (T, n, n) and v (T, K) at ``alphas``, from C, v at the first of them."""
    from scipy.integrate import solve_ivp

    n = len(C)

    def flat(_: float, state: Array) -> Array:
        change, dv = slopes(state[: n * n].reshape(n, n), state[n * n :], A, eta)
        return np.concatenate([change.ravel(), dv])

    start = np.concatenate([np.ravel(C), v])
    solution = solve_ivp(flat, (alphas[0], alphas[-1]), start, t_eval=alphas, rtol=1e-6, atol=1e-8)
    return solution.y[: n * n].T.reshape(-1, n, n), solution.y[n * n :].T
