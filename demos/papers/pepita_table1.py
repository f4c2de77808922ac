"""Dellaferrera & Kreiman, ICML 2022, table 1: test accuracy of four rules on images.

Networks with one hidden layer of 1024 units and 10 % dropout, ReLU and softmax (DRTP: tanh and
sigmoid), batches of 64, momentum 0.9, 100 epochs; rates and their decay as in table 2 there. Mean
and standard deviation over 10 runs of the accuracy after the last epoch. Convolutional columns: 32
filters of 5x5, a pool of 2x2, a dense layer, batches of 100, no dropout; PEPITA with the mean over
positions, as the text has it (`dendrostream_demos.convolution`: random filters do as well).
Deviation: DRTP has the same gradients, initial weights, inputs and biases as the other rules. It
ends above the paper on MNIST and below it on CIFAR-10. ``drtp-program`` runs the settings of the
paper's program, and settings between those and these.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from streaming.papers import Context, Paper, Published, Result, Results, Scale

from . import _training

ROWS = {
    "backprop": "backpropagation",
    "feedback_alignment": "feedback alignment",
    "drtp": "DRTP",
    "pepita": "PEPITA",
}
DENSE = {"mnist": "MNIST", "cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}
COLUMNS = {**DENSE, **{f"conv-{data}": f"{name}, convolutional" for data, name in DENSE.items()}}
NUMBERS = {
    "backprop": [(98.63, 0.03), (55.27, 0.32), (27.58, 0.09),
                 (98.86, 0.04), (64.99, 0.32), (34.20, 0.20)],
    "feedback_alignment": [(98.42, 0.07), (53.82, 0.24), (24.61, 0.28),
                           (98.50, 0.06), (57.51, 0.57), (27.15, 0.53)],
    "drtp": [(95.10, 0.10), (45.89, 0.16), (18.32, 0.18),
             (97.32, 0.25), (50.53, 0.81), (20.14, 0.68)],
    "pepita": [(98.01, 0.09), (52.57, 0.36), (24.91, 0.22),
               (98.29, 0.13), (56.33, 1.35), (27.56, 0.60)],
}  # fmt: skip
PUBLISHED = {
    (row, column): Published(mean, std, "table 1")
    for row, numbers in NUMBERS.items()
    for column, (mean, std) in zip(COLUMNS, numbers, strict=True)
}
REMARKS = {
    ("drtp", "mnist"): "The released program, written again in the printed setting, gives 95.66 "
    "too (drtp-program). Only an output error averaged over the classes comes near the paper: "
    "95.38.",
    ("drtp", "cifar10"): "The paper took the program of Frenkel et al., which standardises each "
    "colour and has other weights, biases, dropout of the inputs and larger hidden updates; our "
    "setting has inputs in [0, 1], as the text of the paper says. After ten epochs that program "
    "reaches 44.2, without standardised colours 40.1; our setting reaches 37.2, with them 41.9 "
    "(drtp-program with --epochs 10, one seed). Which of these the paper's runs had is not known.",
    ("drtp", "cifar100"): "The released program averages the output's error over the classes, here "
    "100, so its output layer learns slowly: after ten epochs it reaches 4.7, our setting 12.3 and "
    "1.5 with that average (drtp-program with --epochs 10, one seed). The paper lies in between; "
    "which rate its runs gave the output layer is not known.",
}


def run(row: str, column: str, scale: Scale) -> dict[str, Any]:
    if column not in DENSE:
        return _training.convolutional(row, column.removeprefix("conv-"), scale)
    return _training.run(row, column, scale)


def measure(run: dict[str, Any], seeds: Sequence[int], context: Context) -> None:
    _training.train(run, seeds, context)


def value(row: str, column: str, results: Sequence[Result]) -> list[float]:
    return _training.percent(results)


def draw(cells: Results, path: Path) -> None:
    """Test curves, a panel per data set: figure 7 for all of them; published values dashed."""
    _training.draw_curves(cells, ROWS, COLUMNS, PUBLISHED, path)


PAPER = Paper(
    __name__,
    rows=ROWS,
    columns=COLUMNS,
    unit="test accuracy (%)",
    published=PUBLISHED,
    full=Scale(seeds=10, epochs=100),
    quick=Scale(seeds=2, epochs=2, samples=6000),
    run=run,
    measure=measure,
    value=value,
    draw=draw,
    remarks=REMARKS,
)
