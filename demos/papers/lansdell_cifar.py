"""Lansdell, Prakash & Kording, ICLR 2020, table 1: learned feedback in convolutional networks.

Three convolutions with overlapping pooling, two dense layers of 2048, softmax; tanh units, biases,
dropout of a half on the dense layers; Adam with the rates of the released program, batches of 128.
Node perturbation learns the feedback from the output to every layer; direct feedback alignment
keeps it fixed. Images are shifted to mean 0 and divided by their standard deviation. Deviations
from that program: see `rate_models.batch.lansdell_cnn`. A small setting tests on as many images as
it trains on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rate_models.errors import Diverged
from streaming.papers import Context, Paper, Published, Result, Scale

from . import _training

ROWS = {
    "backprop": "backpropagation",
    "node_perturbation": "node perturbation",
    "direct_feedback_alignment": "direct feedback alignment",
}
COLUMNS = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}
NUMBERS = {
    "backprop": (77, 51),
    "node_perturbation": (75, 48),
    "direct_feedback_alignment": (72, 47),
}
PUBLISHED = {
    (row, column): Published(number, None, "table 1")
    for row, numbers in NUMBERS.items()
    for column, number in zip(COLUMNS, numbers, strict=True)
}
HYPER = {"node_perturbation": {"feedback": "dfa", "c": 0.067, "eta_b": 8.32e-6}}
RATE, EPSILON, BATCH = 4.78e-6, 1e-5, 128  # of Adam


def run(row: str, column: str, scale: Scale) -> dict[str, Any]:
    return {
        "experiment": "lansdell cnn", "rule": row, "data": column, "epochs": scale.epochs,
        "samples": scale.samples, "lr": RATE, "epsilon": EPSILON, "batch": BATCH,
        "hyper": {"dropout": 0.5, **HYPER.get(row, {})},
    }  # fmt: skip


def measure(run: dict[str, Any], seeds: Sequence[int], context: Context) -> None:
    import torch

    from rate_models.batch import BatchNetwork, fit, lansdell_cnn

    samples = run["samples"]
    X, y, X_test, y_test, classes, image = _training.arrays(
        run["data"], context.data.data, context.data.download, samples, None
    )
    X_test, y_test = X_test[:samples], y_test[:samples]
    mean, std = X.mean(), X.std()
    X, X_test = (X - mean) / std, (X_test - mean) / std
    for seed in seeds:

        def report(metrics: dict[str, Any], seed: int = seed) -> None:
            done = f"epoch {metrics['epoch'] + 1} of {run['epochs']}: {metrics['accuracy']:.4f}"
            context.tick(f"{run['rule']}, {run['data']}: seed {seed}, {done}")

        net = BatchNetwork(
            lansdell_cnn(_training.planes(image), classes),
            run["rule"],
            seed,
            device=context.device,
            **run["hyper"],
        )
        adam = torch.optim.Adam(net.parameters(), lr=run["lr"], eps=run["epsilon"])
        try:
            history = fit(net, X, y, epochs=run["epochs"], batch_size=run["batch"], optimizer=adam,
                          x_test=X_test, y_test=y_test, seed=seed, progress=report)  # fmt: skip
        except Diverged:
            context.keep(seed, None)
            continue
        context.keep(seed, {"accuracy": [epoch["accuracy"] for epoch in history]})


def value(row: str, column: str, results: Sequence[Result]) -> list[float]:
    return _training.percent(results)


PAPER = Paper(
    __name__,
    rows=ROWS,
    columns=COLUMNS,
    unit="test accuracy (%)",
    published=PUBLISHED,
    full=Scale(seeds=1, epochs=200),
    quick=Scale(seeds=1, epochs=1, samples=512),
    run=run,
    measure=measure,
    value=value,
)
