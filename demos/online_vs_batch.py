"""One network, learned in batches and sample by sample: MNIST with PEPITA.

Shows: test accuracy after each epoch, against epochs and against seconds of learning. The same
       rule, the same initial weights and the same order of samples, 784-1024-10, float32.
       Batch: torch on all cores, 64 samples per update, learning rate 0.1, momentum 0.9,
       dropout 0.1. Online: the compiled kernel on one core, one sample per update, learning
       rate 0.03.
From:  Dellaferrera & Kreiman, ICML 2022, section 4.1 and table 1 (98.01 % after 100 epochs in
       batches).
Score: after 5 epochs 0.970 in batches (13 s of learning on 2 cores), 0.968 online (9 s on one)
Seed:  0
Run time: 30 s, and 8 s of compilation the first time
Needs: MNIST, and torch: pip install "dendrostream[torch]"
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np

from rate_models.errors import UserError
from rate_models.network import NetworkSpec
from streaming import OnlineLearner
from streaming.scores.evaluate import held_out
from streaming.sources import Options, Source, open_source

After = tuple[float, float]  # seconds of learning so far, test accuracy


def main(
    epochs: int = 5,
    hidden: int = 1024,
    seed: int = 0,
    data: Path | None = None,
    download: bool = False,
    figure: Path = Path("online_vs_batch.png"),
) -> dict[str, list[After]]:
    """Seconds and test accuracy after each epoch, in batches and online."""
    mnist = open_source("mnist", Options(data=data, download=download, seed=seed))
    modes = {"batch": batch(mnist, hidden, seed), "online": online(mnist, hidden, seed)}
    curves: dict[str, list[After]] = {name: [] for name in modes}
    for name, course in modes.items():
        for epoch, (seconds, accuracy) in zip(range(1, epochs + 1), course, strict=False):
            curves[name].append((seconds, accuracy))
            print(f"{name:<6} epoch {epoch}: accuracy {accuracy:.4f}, {seconds:.1f} s of learning")
    draw(curves, hidden, figure)
    print(f"figure: {figure}")
    return curves


def batch(mnist: Source, hidden: int, seed: int) -> Iterator[After]:
    from rate_models.batch import BatchNetwork, Sgd  # without torch its error names the extra

    net = BatchNetwork(NetworkSpec((784, hidden, 10)), "pepita", seed=seed, dropout=0.1)
    sgd = Sgd(net.parameters(), lr=0.1, momentum=0.9)
    X_test, y_test = (np.concatenate(part) for part in zip(*mnist.test() or (), strict=True))
    seconds = 0.0
    for epoch in count():
        start = time.perf_counter()
        for X, y in mnist.chunks(epoch, size=64):
            net.fill_grad(X / np.float32(255), y, batch_size=64)
            sgd.step()
        seconds += time.perf_counter() - start
        yield seconds, net.evaluate(X_test / np.float32(255), y_test)["accuracy"] or 0.0


def online(mnist: Source, hidden: int, seed: int) -> Iterator[After]:
    def new() -> OnlineLearner:
        return OnlineLearner(
            "pepita", (784, hidden, 10), lr=0.03, seed=seed, dtype="float32",
            scale="range", maximum=255,
        )  # fmt: skip

    new().learn_many(np.zeros((1, 784)), [0])  # compile, or load from the cache
    learner, seconds = new(), 0.0
    for epoch in count():
        start = time.perf_counter()
        for X, y in mnist.chunks(epoch):
            learner.learn_many(X, y)
        seconds += time.perf_counter() - start
        yield seconds, held_out(learner, mnist.test() or ())["accuracy"]


def draw(curves: dict[str, list[After]], hidden: int, path: Path) -> None:
    """Accuracy against epochs and against seconds."""

    from rate_models.drawing.figures import new_figure
    from rate_models.drawing.style import BLUE, ORANGE, drawing

    with drawing():
        from matplotlib.ticker import MaxNLocator

        figure = new_figure((8, 3.2))
        left, right = figure.subplots(1, 2, sharey=True)
        looks = {"batch": (ORANGE, "s--", "batch of 64, torch"),
                 "online": (BLUE, "o-", "online, compiled kernel")}  # fmt: skip
        for name, curve in curves.items():
            colour, line, label = looks[name]
            seconds, accuracy = np.array(curve).T
            for axes, x in ((left, np.arange(1, len(curve) + 1)), (right, seconds)):
                axes.plot(x, 100 * accuracy, line, color=colour, ms=4.5, label=label)
        left.set_ylabel("test digits right (%)")
        left.set_xlabel("epochs of 60,000 samples")
        left.xaxis.set_major_locator(MaxNLocator(integer=True))
        right.set_xlabel("seconds of learning")
        right.set_xlim(left=0)
        right.legend(loc="lower right")
        left.set_title(f"784-{hidden}-10 on MNIST, PEPITA", fontweight="bold")
        figure.savefig(path)


if __name__ == "__main__":
    import typer

    try:
        typer.run(main)
    except UserError as error:
        sys.exit(f"error: {error}")
