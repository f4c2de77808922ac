"""Should the feedback know the forward weights? PEPITA with weight mirroring, one to three layers.

Shows: the angle between F and (W_L ... W_1)ᵀ during one epoch of MNIST, one sample at a time, and
       the test accuracy at its end, with one, two and three hidden layers of 256 units. Four kinds
       of feedback: F = 0, with which only the last layer learns; F as initialised; F after 4,000
       samples of mirroring before the epoch; F that also mirrors in every tenth sample of it.
From:  Srinivasan et al., ICLR 2024, weight mirroring (there in batches, with momentum)
Score: mirrored before and during: 95.7 % with one hidden layer, 93.2 with two, 90.5 with three;
       F as drawn: 94.3, 91.4, 89.1; F = 0: 91.0, 88.4, 84.5
Seed:  0
Run time: 7 minutes on two busy cores, and 10 s of compilation the first time
Needs: MNIST
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rate_models.diagnostics.measures import alignment_angle
from rate_models.errors import UserError
from streaming import OnlineLearner
from streaming.scores.evaluate import held_out
from streaming.sources import Options, Source, open_source

KINDS: dict[str, dict[str, Any]] = {
    "F = 0": {"feedback_scale": 0.0},
    "F as drawn": {},
    "mirrored before": {"mirror_before": 4000, "mirror_rate": 0.03},
    "mirrored before and during": {"mirror_before": 4000, "mirror_every": 10, "mirror_rate": 0.03},
}
RATES = (0.05, 0.01, 0.005)  # with one, two and three hidden layers; higher ones diverge


class Course(NamedTuple):
    """Samples seen and the angle of F in degrees at some points; test accuracy in percent."""

    samples: list[int]
    angles: list[float]
    accuracy: float


Courses = dict[int, dict[str, Course]]


def main(
    depths: int = len(RATES),
    hidden: int = 256,
    data: Path | None = None,
    figure: Path = Path("mirroring.png"),
) -> Courses:
    """{hidden layers: {kind of feedback: course}}."""
    mnist = open_source("mnist", Options(data=data, seed=0))
    courses: Courses = {}
    for depth in range(1, depths + 1):
        courses[depth] = {}
        for name, options in KINDS.items():
            learner = OnlineLearner(
                "pepita", (784, *[hidden] * depth, 10), lr=RATES[depth - 1], seed=0,
                dtype="float32", scale="range", maximum=255, init="he_normal", sign=-1, **options,
            )  # fmt: skip
            course = learn(learner, mnist, options.get("mirror_before", 0))
            courses[depth][name] = course
            print(
                f"{depth} hidden  {name:<26}  angle {course.angles[0]:5.1f} to "
                f"{course.angles[-1]:5.1f}  test accuracy {course.accuracy:.2f}",
                flush=True,
            )
    draw(courses, figure)
    print(f"figure: {figure}")
    return courses


def learn(learner: OnlineLearner, mnist: Source, before: int) -> Course:
    """``before`` samples of mirroring alone, then one epoch of learning."""
    angles = {-before: angle(learner)}
    X = np.zeros((min(before, 500), 784))  # mirroring uses only the number of samples
    for seen in range(len(X), before + 1, len(X) or 1):
        learner.learn_many(X, np.zeros(len(X), int))
        angles[seen - before] = angle(learner)
    for chunk, (X, y) in enumerate(mnist.chunks(0), start=1):
        learner.learn_many(X, y)
        if chunk % 8 == 0:
            angles[learner.samples_seen - before] = angle(learner)
    accuracy = held_out(learner, mnist.test() or ())["accuracy"]
    return Course(list(angles), list(angles.values()), 100 * float(accuracy))


def angle(learner: OnlineLearner) -> float:
    return alignment_angle(learner.parameters())["F"]


def draw(courses: Courses, path: Path) -> None:
    """Per depth, a panel of angles and below it the accuracies."""

    from rate_models.drawing.figures import new_figure
    from rate_models.drawing.style import BLUE, COLOURS, GREY, ORANGE, drawing

    colours = dict(zip(KINDS, (GREY, ORANGE, COLOURS[2], BLUE), strict=True))
    with drawing():
        figure = new_figure((3.1 * len(courses), 5.0))
        panels = figure.subplots(2, len(courses), squeeze=False, sharex="row", sharey="row")
        for column, (depth, kinds) in enumerate(courses.items()):
            above, below = panels[:, column]
            for row, (name, course) in enumerate(kinds.items()):
                thousands = np.array(course.samples) / 1000
                above.plot(thousands, course.angles, color=colours[name])
                below.plot(course.accuracy, row, "o", color=colours[name])
                below.annotate(
                    f"{course.accuracy:.1f}",
                    (course.accuracy, row),
                    (0, 6),
                    textcoords="offset points",
                    ha="center",
                    color=colours[name],
                )
            above.axhline(90, color="0.6", lw=0.8, ls=":")
            above.axvspan(thousands[0], 0, color="0.94", lw=0)
            above.set_title(f"{depth} hidden layer{'s' * (depth > 1)}", fontweight="bold")
            above.set_xlabel("thousand samples of learning")
            below.set_xlabel("test digits right (%)")
            below.grid(axis="y", visible=False)
            below.margins(x=0.15)
        panels[0, 0].set_ylabel("F to forward weights (degrees)")
        panels[1, 0].set_yticks(range(len(KINDS)), list(KINDS))
        panels[1, 0].set_ylim(len(KINDS) - 0.5, -0.8)
        figure.savefig(path)


if __name__ == "__main__":
    import typer

    try:
        typer.run(main)
    except UserError as error:
        sys.exit(f"error: {error}")
