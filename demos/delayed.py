"""What do delayed updates cost? PEPITA, with its second pass some samples after its first.

Shows: test accuracy on MNIST after one epoch and after the last, if a sample is learned from after
       the standard passes of d more samples (`delayed:d`). Its modulated pass uses the weights of
       its own standard pass (stash) or the current ones (current). One hidden layer at three
       rates, and three hidden layers. Writes the table as Markdown, and a figure.
From:  schedules with delayed updates; the rule is that of Dellaferrera & Kreiman, ICML 2022
Score: one hidden layer, five epochs: 0.976 without delay, 0.974 at a delay of 15 samples, 0.929 at
       63; with current weights it diverges at a delay of one sample at that rate
Seed:  0
Run time: 20 minutes of one core, and 10 s of compilation the first time
Needs: MNIST
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rate_models.errors import Diverged, UserError
from streaming import OnlineLearner
from streaming.scores.evaluate import held_out
from streaming.sources import Options, Source, open_source

DELAYS = (0, 1, 3, 7, 15, 63)
# hidden layers and learning rate
NETWORKS = (((1024,), 0.05), ((1024,), 0.005), ((1024,), 0.0005), ((256, 256, 256), 0.005))
WEIGHTS = ("stash", "current")


class Row(NamedTuple):
    """Test accuracies in percent, None where the network diverged."""

    network: str
    weights: str
    delay: int
    first: float | None
    last: float | None


def main(
    passes: int = 5,
    data: Path | None = None,
    table: Path = Path("delayed.md"),
    figure: Path = Path("delayed.png"),
) -> list[Row]:
    """A row per network, kind of weights and delay."""
    mnist = open_source("mnist", Options(data=data, seed=0))
    rows = []
    for hidden, lr in NETWORKS:
        for weights in WEIGHTS:
            for delay in DELAYS:
                course = learn(mnist, (784, *hidden, 10), lr, f"delayed:{delay}", weights, passes)
                name = "-".join(map(str, (784, *hidden, 10))) + f", η = {lr:g}"
                rows.append(Row(name, weights, delay, course[0], course[-1]))
                print(f"{name:<32} {weights:<8} d = {delay:<3} {shown(course[0])}, "
                      f"after {passes} epochs {shown(course[-1])}", flush=True)  # fmt: skip
    X, _ = next(iter(mnist.chunks(0)))
    power = float(np.mean(np.sum(np.square(np.asarray(X, float) / mnist.maximum), axis=1)))
    table.write_text(markdown(rows, passes, power), encoding="utf-8")
    draw(rows, passes, figure)
    print(f"table: {table}\nfigure: {figure}")
    return rows


def learn(
    source: Source, sizes: tuple[int, ...], lr: float, schedule: str, weights: str, passes: int
) -> list[float | None]:
    """Held-out accuracy in percent after each epoch; None from the divergence on."""
    late = f"{schedule}:current" if weights == "current" else schedule
    learner = OnlineLearner(
        "pepita", sizes, lr=lr, dtype="float32", maximum=source.maximum, classes=source.classes,
        scale="range", decay_at=(passes * 36_000,), schedule=late,
    )  # fmt: skip
    course: list[float | None] = []
    for epoch in range(passes):
        try:
            for X, y in source.chunks(epoch):
                learner.learn_many(X, y)
        except Diverged:
            return course + [None] * (passes - epoch)
        course.append(100 * held_out(learner, source.test() or ())["accuracy"])
    return course


def shown(accuracy: float | None) -> str:
    return "diverged" if accuracy is None else f"{accuracy:.2f}"


def markdown(rows: list[Row], passes: int, power: float) -> str:
    lines = [
        "# Delayed updates",
        "",
        "Made by `python -m dendrostream_demos.delayed`. PEPITA on MNIST, one sample per update, "
        "seed 0, test accuracy in percent after one epoch and after "
        f"{passes}; the rate falls to a tenth after three fifths of them. With a delay of d, a "
        "sample is learned from after the standard passes of d more samples. Its modulated pass "
        "uses the weights of its own standard pass (stash) or the current ones (current). d = 0 is "
        "the rule without delay.",
        "",
        "The current weights have changed by some D since the standard pass of the sample. With h' "
        "and p' the activities of the layer below, the mismatch is h - p = W (h' - p') - D p', and "
        "the update contains η D p' p'ᵀ, so that recent updates amplify themselves. They decay as "
        "long as η d |p'|² is below about one; |x|² is "
        f"{power:.0f} on average here.",
        "",
        "| network | weights | d | one epoch | " + f"{passes} epochs |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.network} | {row.weights} | {row.delay} | {shown(row.first)} | {shown(row.last)} |"
        for row in rows
    ]
    return "\n".join([*lines, "", "![Accuracy against delay](img/delayed.png)", ""])


def draw(rows: list[Row], passes: int, path: Path) -> None:
    """Accuracy against delay; a panel per network."""

    from rate_models.drawing.figures import new_figure
    from rate_models.drawing.style import COLOURS, drawing

    networks = list(dict.fromkeys(row.network for row in rows))
    with drawing():
        figure = new_figure((3.9 * len(networks), 3.6), dpi=130)
        panels = figure.subplots(1, len(networks), squeeze=False)[0]
        for axes, network in zip(panels, networks, strict=True):
            for weights, colour in zip(WEIGHTS, COLOURS, strict=False):
                some = [row for row in rows if (row.network, row.weights) == (network, weights)]
                for column, style in (("last", "o-"), ("first", "o:")):
                    known = [(r.delay, getattr(r, column)) for r in some]
                    known = [(x, y) for x, y in known if y is not None]
                    after = "one epoch" if column == "first" else f"{passes} epochs"
                    x, y = zip(*known, strict=True) if known else ((), ())
                    axes.plot(x, y, style, ms=4, color=colour, label=f"{weights}, {after}")
                lost = [row.delay for row in some if row.last is None]
                low = axes.get_ylim()[0]
                axes.plot(lost, [low] * len(lost), "x", color=colour, ms=6)
            axes.set_xscale("symlog", linthresh=1)
            axes.set_xticks(DELAYS, [str(d) for d in DELAYS])
            axes.set(xlabel="delay d in samples (x: diverged)")
            axes.set_title(network, fontweight="bold")
        panels[0].set_ylabel("test accuracy, percent")
        panels[-1].legend(fontsize=8)
        figure.savefig(path)


if __name__ == "__main__":
    import typer

    try:
        typer.run(main)
    except UserError as error:
        sys.exit(f"error: {error}")
