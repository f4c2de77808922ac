"""Digits through two numbers and back: which rules can teach an autoencoder with a bottleneck?

Shows: MNIST through 784-200-2-200-784, one sample at a time, target = input; two passes, the second
       at a tenth of the rate. The figure has a row of test digits, their reconstructions under
       each rule, and the code of each digit (two numbers), coloured by class.
From:  Lansdell, Prakash & Kording, ICLR 2020, figure 3: feedback alignment fails at a tight
       bottleneck, feedback that learns does not. Loss ½‖h - x‖² and tanh, identity, tanh as there;
       the output is a sigmoid where theirs is a ReLU, with which backpropagation one sample at a
       time stayed above the loss of the mean image at the rates tried (0.001, 0.003).
Score: test loss of the mean image 26.45, backpropagation 18.70, node perturbation 21.91, feedback
       alignment 24.16, direct feedback alignment 25.16: the last two hardly use the two numbers
Seed:  0
Run time: 5 minutes on a busy machine, and 8 s of compilation per rule the first time
Needs: MNIST
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rate_models.errors import UserError
from rate_models.model.optimizers import Optimizer
from rate_models.network import NetworkSpec, forward
from rate_models.online.network import OnlineNetwork
from streaming.sources import Options, Source, open_source

RULES: dict[str, dict[str, Any]] = {
    "backprop": {"lr": 0.003},
    "node_perturbation": {"lr": 0.001, "eta_b": 0.003},
    "feedback_alignment": {"lr": 0.003},
    "direct_feedback_alignment": {"lr": 0.001},
}


class Result(NamedTuple):
    """loss: mean over the test samples. images (N, 784): reconstructions. code (N, 2)."""

    loss: float
    images: Any
    code: Any


def main(
    passes: int = 2,
    hidden: int = 200,
    seed: int = 0,
    data: Path | None = None,
    download: bool = False,
    figure: Path = Path("autoencoder.png"),
) -> dict[str, float]:
    """Train with every rule; returns the test losses, and that of the mean image."""
    mnist = open_source("mnist", Options(data=data, download=download, seed=seed))
    x, labels = (np.concatenate(part) for part in zip(*mnist.test() or (), strict=True))
    x = x / 255
    sizes, names = (784, hidden, 2, hidden, 784), ("tanh", "identity", "tanh")
    spec = NetworkSpec(sizes, names, "mse", bias=True, output="sigmoid")
    mean, results = mean_image(mnist), {}
    losses = {"mean image": float(half_square(mean - x))}
    print(f"{'mean image':<26} test loss {losses['mean image']:.2f}")
    for rule, options in RULES.items():
        hyper = {name: value for name, value in options.items() if name != "lr"}
        sgd = Optimizer(lr=options["lr"], decay_at=(mnist.length or 0,))
        net = OnlineNetwork(spec, rule, seed=seed, dtype="float32", optimizer=sgd, **hyper)
        for epoch in range(passes):
            for X, _ in mnist.chunks(epoch):
                net.learn(X / 255, targets=X / 255)
        _, h = forward(spec, net.parameters(), x)
        results[rule] = Result(float(half_square(h[-1] - x)), h[-1], h[2])
        losses[rule] = results[rule].loss
        print(f"{rule:<26} test loss {losses[rule]:.2f}", flush=True)
    draw(x, labels, results, figure)
    print(f"figure: {figure}")
    return losses


def half_square(error: Any) -> Any:
    """½‖error‖², the mean over samples."""
    return (error**2).sum(1).mean() / 2


def mean_image(mnist: Source) -> Any:
    """The mean training image, the best output that does not depend on the input."""
    total, count = np.zeros(784), 0
    for X, _ in mnist.chunks(0):
        total, count = total + X.sum(0), count + len(X)
    return total / count / 255


def draw(x: Any, labels: Any, results: dict[str, Result], path: Path) -> None:
    """Left: ten digits and their reconstructions. Right: the code of 2,000 digits."""

    from rate_models.drawing.figures import new_figure
    from rate_models.drawing.style import drawing

    chosen = [int(np.flatnonzero(labels == label)[0]) for label in np.unique(labels)]
    rows = {"input": x, **{f"{rule.replace('_', ' ')}\nloss {result.loss:.1f}": result.images
                           for rule, result in results.items()}}  # fmt: skip
    with drawing(axes_grid=False):
        figure = new_figure((8.6, 5.4))
        parts: Any = figure.subfigures(2, 1, height_ratios=[1.25, 1])
        upper, lower = parts
        axes = upper.subplots(len(rows), 1)
        for panel, (name, images) in zip(axes, rows.items(), strict=True):
            strip = np.hstack([images[i].reshape(28, 28) for i in chosen])
            panel.imshow(strip, cmap="gray_r", vmin=0, vmax=1)
            panel.set_xticks([])
            panel.set_yticks([14], [name])
            panel.tick_params(length=0)
            panel.spines[:].set_visible(False)
        for panel, (rule, result) in zip(
            lower.subplots(1, len(results)), results.items(), strict=True
        ):
            points = panel.scatter(*result.code[:2000].T, c=labels[:2000], cmap="tab10", s=2)
            panel.set_title(rule.replace("_", " "))
            panel.set_xticks([])
            panel.set_yticks([])
        handles, names = points.legend_elements()
        lower.legend(handles, names, loc="outside right center", title="digit")
        figure.savefig(path)


if __name__ == "__main__":
    import typer

    try:
        typer.run(main)
    except UserError as error:
        sys.exit(f"error: {error}")
