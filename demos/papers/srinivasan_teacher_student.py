"""Srinivasan et al., ICLR 2024, figure 2b-d: a student learns from a teacher, and its theory.

D = 500 inputs, two hidden units in student and teacher, erf, rate 0.05, one sample a step: PEPITA
and adaptive feedback alignment (AFA) beside the differential equations of AFA's order parameters,
from the same start. Figure b is the generalisation error over steps / D, c the angle between second
layers of student and teacher, and between the feedback w F and the student's second layer.
Not in the paper, and chosen here: F of standard deviation 0.1, v ~ 0.5 N(0, 1), A = 1, w ~ N(0, 1),
presynaptic activity of the standard pass. With that of the modulated pass, W_1 takes a part of F in
proportion to e² at every step, and w F grows by itself, by η S |w F| E[g'(λ) e²] with S the sum of
F²: at S = 5, as here, PEPITA departs from the equations and diverges, at S = 0.05 (F of 0.01) it
does not. The paper has figures only: what is compared is the error at the end, how far a
simulation is from the equations, and when it leaves them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from streaming.papers import Context, Paper, Result, Results, Scale

from . import _order_parameters as theory

OFF = 0.05
ROWS = {
    "pepita": "PEPITA",
    "afa": "AFA",
    "ode": "equations",
    "pepita-modulated": "PEPITA, modulated presynaptic",
    "pepita-modulated-small": "the same, F a tenth",
}
COLUMNS = {
    "error-end": "generalisation error at the end",
    "off-theory": "median distance of the error from the equations (%)",
    "stays-until": f"steps / D up to which the error stays within {100 * OFF:.0f} % of them",
    "angle-teacher": "angle of v to A, or its mirror images",
    "angle-feedback": "angle of v to w F",
}
POINTS, RUNAWAY = 60, 1e3  # generalisation error at which a simulation is given up
Array = Any


def run(row: str, column: str, scale: Scale) -> dict[str, Any] | None:
    if row == "ode" and column in ("off-theory", "stays-until"):
        return None
    way = row.removesuffix("-small")
    return {
        "experiment": "teacher and student", "D": 500, "units": 2, "eta": 0.05, "sign": -1,
        "feedback_std": 0.1 if way == row else 0.01, "v_std": 0.5, "alpha": scale.epochs,
        "points": POINTS, "stop": RUNAWAY, "way": way,
    }  # fmt: skip


def measure(run: dict[str, Any], seeds: Sequence[int], context: Context) -> None:
    for seed in seeds:
        student = Student(run, seed)
        exact = solved(student, run)
        course = exact if run["way"] == "ode" else student.learn(run, context.tick)
        theirs = exact["error"][: len(course["error"])]
        ratio = np.array(course["error"]) / np.array(theirs)
        context.keep(seed, {**course, "theory": theirs, "off": float(np.median(np.abs(ratio - 1)))})


class Student:
    """w (2, D), v (2,), and its teacher w* (2, D), A (2,); f (D,) of the feedback F = f / √D."""

    def __init__(self, run: dict[str, Any], seed: int) -> None:
        D, n = run["D"], run["units"]
        self.rng = rng = np.random.default_rng(seed)
        self.w, self.teacher = rng.normal(size=(n, D)), rng.normal(size=(n, D))
        self.v, self.A = run["v_std"] * rng.normal(size=n), np.ones(n)
        self.f = np.sqrt(D) * run["feedback_std"] * rng.normal(size=D)
        self.s, self.D = run["sign"], D

    def covariance(self) -> Array:
        """Of (λ, ν, ρ)."""
        rows = np.vstack([self.w, self.teacher, -self.s * self.f])
        return rows @ rows.T / self.D

    def learn(self, run: dict[str, Any], tick: Any) -> Result:
        """D · alpha samples; error and angles at some of them, until it runs away."""
        marks, course = alphas(run), Course()
        steps = dict.fromkeys((marks * self.D).round().astype(int).tolist())
        for t in range(max(steps) + 1):
            if t in steps:
                course.add(t / self.D, self.covariance(), self.v, self.A)
                if not course.curves["error"][-1] < run["stop"]:
                    break
                tick(f"{run['way']}: step {t:,}")
            with np.errstate(over="ignore", invalid="ignore"):  # until the next mark
                self.step(self.rng.normal(size=self.D), run["eta"], run["way"])
        return course.result()

    def step(self, x: Array, eta: float, way: str) -> None:
        """A step by one sample: PEPITA, or what it is to first order in F."""
        root, n = np.sqrt(self.D), len(self.v)
        inputs = np.concatenate([self.w, self.teacher]) @ x / root
        g = erf(inputs)
        e = self.v @ g[:n] - self.A @ g[n:]
        phi = -self.s * (self.w @ self.f) / self.D
        pre, hidden = x, g[:n]
        if way == "afa":
            mismatch = phi * e * np.sqrt(2 / np.pi) * np.exp(-(inputs[:n] ** 2) / 2)
        else:
            modulated = erf(inputs[:n] - phi * e)  # w (x + s F e) / √D = λ - φ e
            mismatch = g[:n] - modulated
            if way == "pepita-modulated":
                pre, hidden = x + self.s * self.f * e / root, modulated
        self.w -= eta / root * np.outer(mismatch, pre)
        self.v -= eta / self.D * e * hidden


class Course:
    """Error and angles on the way."""

    def __init__(self) -> None:
        self.curves: dict[str, list[float]] = {
            name: [] for name in ("alpha", "error", "angle-teacher", "angle-feedback")
        }

    def add(self, alpha: float, C: Array, v: Array, A: Array) -> None:
        images = [A * np.array(signs) for signs in ((1, 1), (1, -1), (-1, 1), (-1, -1))]
        values = (alpha, theory.error(C, v, A), min(angle(v, image) for image in images),
                  angle(v, C[: len(v), -1]))  # fmt: skip
        for curve, value in zip(self.curves.values(), values, strict=True):
            curve.append(float(value))

    def result(self) -> Result:
        return dict(self.curves)


def solved(student: Student, run: dict[str, Any]) -> Result:
    """The equations, from the student's start."""
    marks, course = alphas(run), Course()
    marks = (marks * student.D).round() / student.D
    for alpha, C, v in zip(
        marks, *theory.solve(student.covariance(), student.v, student.A, run["eta"], marks),
        strict=True,
    ):  # fmt: skip
        course.add(float(alpha), C, v, student.A)
    return course.result()


def alphas(run: dict[str, Any]) -> Array:
    return np.concatenate([[0], np.geomspace(0.1, run["alpha"], run["points"])])


def erf(a: Array) -> Array:
    """g"""
    from scipy.special import erf as of

    return of(a / np.sqrt(2))


def angle(a: Array, b: Array) -> float:
    return float(np.degrees(np.arccos(np.clip(a @ b / np.sqrt((a @ a) * (b @ b)), -1, 1))))


def value(row: str, column: str, results: Sequence[Result]) -> list[float]:
    if column == "error-end":
        return [math.nan if _ran_away(result) else result["error"][-1] for result in results]
    if column == "stays-until":
        return [_stays(result) for result in results]
    if column == "off-theory":
        return [100 * result["off"] for result in results]
    return [result[column][-1] for result in results]


def _ran_away(result: Result) -> bool:
    return not result["error"][-1] < RUNAWAY


def _stays(result: Result) -> float:
    ratio = np.array(result["error"]) / np.array(result["theory"])
    off = np.flatnonzero(np.abs(ratio - 1) > OFF)
    return float(result["alpha"][off[0] if len(off) else -1])


def draw(cells: Results, path: Path) -> None:
    """Error and angles of the first seed; what leaves the equations in the left panel alone."""

    from rate_models.drawing.figures import new_figure
    from rate_models.drawing.style import BLUE, COLOURS, ORANGE, drawing

    with drawing():
        figure = new_figure((8.4, 3.2))
        left, right = figure.subplots(1, 2)
        looks = {
            "pepita": ("o", BLUE),
            "afa": ("x", COLOURS[3]),
            "ode": ("-", "0.2"),
            "pepita-modulated": ("s--", ORANGE),
            "pepita-modulated-small": ("^--", COLOURS[4]),
        }
        for row, (mark, colour) in looks.items():
            results = cells.get((row, "error-end"), [])
            if not results:
                continue
            of = results[0]
            left.plot(of["alpha"], of["error"], mark, color=colour, ms=4, label=ROWS[row])
            if row.startswith("pepita-"):
                left.plot(of["alpha"], of["theory"], ":", color=colour, lw=1)
                continue
            right.plot(of["alpha"], of["angle-teacher"], mark, color="#009E73", ms=4)
            right.plot(of["alpha"], of["angle-feedback"], mark, color=ORANGE, ms=4)
        left.set(xscale="log", xlabel="steps / D", ylabel="generalisation error")
        left.set_ylim(0, 1.5 * max(max(results[0]["theory"]) for results in cells.values()))
        left.legend()
        right.set(xscale="log", xlabel="steps / D", ylabel="angle (degrees)")
        right.set_title("v to teacher (green), to the feedback (orange)")
        figure.savefig(path)


PAPER = Paper(
    __name__,
    rows=ROWS,
    columns=COLUMNS,
    unit="generalisation error; off-theory: %; stays-until: steps / D; angles: degrees",
    published={},
    full=Scale(seeds=10, epochs=400),  # an epoch: D steps
    quick=Scale(seeds=2, epochs=150),
    run=run,
    measure=measure,
    value=value,
    draw=draw,
    torch=False,
)
