"""The averages, equations and steps of teacher and student, against slower references."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import pytest
from scipy.special import erf

from rate_models import rules
from rate_models.network import NetworkSpec
from rate_models.rules import Draws
from streaming import papers

paper: Any = import_module(papers.get("srinivasan-teacher-student").module)
QUICK = paper.PAPER.quick
theory: Any = paper.theory
ROOT = np.random.default_rng(3).normal(size=(5, 7))
C = ROOT @ ROOT.T / 7


def hermite(*indices: int) -> tuple[list[Any], Any]:
    """Nodes and weights of an exact quadrature for Gaussian (z_i, z_j, ...) with covariance C."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(56 if len(indices) < 4 else 28)
    grid = np.meshgrid(*[nodes] * len(indices), indexing="ij")
    each = np.meshgrid(*[weights / weights.sum()] * len(indices), indexing="ij")
    values, vectors = np.linalg.eigh(C[np.ix_(indices, indices)])
    turn = vectors * np.sqrt(np.maximum(values, 0))
    z = np.einsum("ij,j...->i...", turn, np.stack(grid))
    return list(z), np.prod(each, axis=0)


def g(a: Any) -> Any:
    return erf(a / np.sqrt(2))


def slope(a: Any) -> Any:
    return np.sqrt(2 / np.pi) * np.exp(-(a**2) / 2)


def test_the_closed_forms_are_the_averages() -> None:
    for i, j in ((0, 1), (2, 3), (1, 1), (0, 4)):
        (x, y), w = hermite(i, j)
        assert theory.second(C)[i, j] == pytest.approx((w * g(x) * g(y)).sum(), abs=2e-6)
    for i, j, k in ((0, 4, 2), (1, 1, 0), (1, 2, 1), (0, 1, 3)):
        (x, y, z), w = hermite(i, j, k)
        assert theory.third(C, i, j, k) == pytest.approx((w * slope(x) * y * g(z)).sum(), abs=2e-6)
    for a, b, c, d in ((0, 1, 2, 3), (0, 0, 1, 2), (1, 0, 1, 1), (0, 1, 3, 3)):
        z, w = hermite(a, b, c, d)
        wanted = (w * slope(z[0]) * slope(z[1]) * g(z[2]) * g(z[3])).sum()
        assert theory.fourth(C, a, b, c, d) == pytest.approx(wanted, abs=2e-5)


def test_the_equations_are_the_mean_step_of_the_simulation() -> None:
    """dC/dα is D times the mean change of C in a step, in the limit of a large D."""
    run = {**paper.run("afa", "error-end", QUICK), "D": 2000, "eta": 0.5}
    student = paper.Student(run, seed=1)
    w, v = student.w.copy(), student.v.copy()
    before = student.covariance()
    change, dv = theory.slopes(before, v, student.A, run["eta"])
    rng, total, total_v, n = np.random.default_rng(0), np.zeros_like(before), np.zeros(2), 6000
    squares = np.zeros_like(before)
    for _ in range(n):
        student.w, student.v = w.copy(), v.copy()
        student.step(rng.normal(size=run["D"]), run["eta"], "afa")
        step = run["D"] * (student.covariance() - before)
        total, squares = total + step, squares + step**2
        total_v += run["D"] * (student.v - v)
    mean = total / n
    error = np.sqrt(np.maximum(squares / n - mean**2, 0) / n)
    assert (np.abs(mean - change) <= 4.5 * error + 1e-6).all()
    assert np.abs(change[:2]).max() > 10 * error[:2].min() > 0
    np.testing.assert_allclose(total_v / n, dv, rtol=0.1, atol=0.02)


@pytest.mark.parametrize(
    ("way", "rule", "hyper"),
    [
        ("pepita", "pepita", {"presynaptic": "standard", "sign": -1}),
        ("pepita-modulated", "pepita", {"sign": -1}),
        ("afa", "adaptive_feedback_alignment", {"sign": -1}),
    ],
)
def test_a_step_is_the_rules(way: str, rule: str, hyper: dict[str, Any]) -> None:
    """With inputs x / √D, F = f / D, the rates η for W_1 and η / D for W_2."""
    run = paper.run(way, "error-end", QUICK)
    student = paper.Student(run, seed=2)
    D, eta = run["D"], run["eta"]
    x = np.random.default_rng(9).normal(size=D)
    target = student.A @ g(student.teacher @ x / np.sqrt(D))
    definition = rules.get(rule)
    params = {"W": [student.w.copy(), student.v[None].copy()], "b": [],
              "F": student.f[:, None] / D}  # fmt: skip
    spec = NetworkSpec((D, 2, 1), "erf", "mse")
    (stage,) = definition.batch(
        spec, params, definition.hyperparameters(**hyper), x[None] / np.sqrt(D), target[None, None],
        Draws(),
    )  # fmt: skip
    (first,), (second,) = stage.terms
    w = student.w - eta * first.post.T @ first.pre
    v = student.v - eta / D * (second.post.T @ second.pre)[0]
    student.step(x, eta, run["way"])
    np.testing.assert_allclose(student.w, w, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(student.v, v, rtol=1e-12)


@pytest.mark.parametrize("way", ["pepita", "afa"])
def test_a_simulation_follows_the_equations(way: str) -> None:
    run = {**paper.run(way, "error-end", QUICK), "alpha": 60, "points": 12, "eta": 0.3}
    student = paper.Student(run, seed=0)
    exact = paper.solved(student, run)
    course = student.learn(run, lambda _: None)
    assert exact["error"][-1] < 0.9 * exact["error"][0]
    np.testing.assert_allclose(course["error"], exact["error"], rtol=0.1)
    np.testing.assert_allclose(course["alpha"], exact["alpha"])


def test_modulated_presynaptic_activity_leaves_the_equations_unless_feedback_is_small() -> None:
    ends = []
    for row in ("pepita-modulated", "pepita-modulated-small"):
        run = {**paper.run(row, "error-end", QUICK), "alpha": 60, "points": 12, "eta": 0.3}
        student = paper.Student(run, seed=0)
        exact, course = paper.solved(student, run), student.learn(run, lambda _: None)
        ends.append(
            (len(course["error"]), course["error"][-1] / exact["error"][len(course["error"]) - 1])
        )
    assert ends[0][0] < 13 or ends[0][1] > 2
    assert ends[1][0] == 13 and ends[1][1] == pytest.approx(1, abs=0.1)
