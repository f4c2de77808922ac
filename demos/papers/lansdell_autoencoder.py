"""Lansdell, Prakash & Kording, ICLR 2020, figure 3: autoencoders with a bottleneck of two numbers.

784-200-2-200-784 on MNIST, tanh, identity, tanh and ReLU, target = input, batches of 32 whose
gradients are summed, 1 million batches: the least test loss on the way, half the squared error
summed over a batch of 32. Published is where the released programs end, with the standard error of
three runs turned into a standard deviation. Rates and noise as published; the programs have 50
hidden units for node perturbation and for matched feedback (as here) and 200 for the others.
matched: feedback that takes the steps of W, from other initial values; denoising: backpropagation
from inputs with noise of 0.3; backprop-noise: with noise of 0.1 in hidden activities.
Deviations: epochs of MNIST in place of batches counted; Adam takes the mean gradient, whose size it
does not see; the loss of backprop-noise is tested without noise, in its program with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from rate_models.errors import Diverged
from rate_models.model.optimizers import Optimizer
from rate_models.network import NetworkSpec
from streaming.papers import Context, Paper, Published, Result, Results, Scale
from streaming.sources import ArraySource, Options, open_source

ROWS: dict[str, dict[str, Any]] = {
    "node_perturbation": {"lr": 1e-4, "width": 50, "hyper": {"eta_b": 8e-6, "c": 0.018942}},
    "feedback_alignment": {"lr": 3.47e-6, "width": 200, "hyper": {"init": "he_normal"}},
    "backprop": {"lr": 3.73e-4, "width": 200, "hyper": {"init": "he_normal"}},
    "adam": {"lr": 1.41e-4, "width": 200, "hyper": {"init": "he_normal"}},
    "matched": {"lr": 1.99e-4, "width": 50, "hyper": {"init": "he_normal"}},
    "denoising": {"lr": 1e-4, "width": 200, "noise": (0.3, 0.0)},
    "backprop-noise": {"lr": 3.73e-4, "width": 200, "noise": (0.0, 0.1)},
}
TAUGHT = {  # the rule of rows that are not named after theirs
    "adam": "backprop", "matched": "feedback_alignment", "denoising": "backprop",
    "backprop-noise": "backprop",
}  # fmt: skip
COLUMNS = {"mnist": "MNIST"}
UNIT = "test loss per batch of 32"
BATCH = 32
Tick = Callable[[dict[str, Any]], None]
NUMBERS = {
    "node_perturbation": (515.3, 4.1), "feedback_alignment": (759.2, 3.3),
    "backprop": (609.8, 14.4), "adam": (538.2, 1.9), "matched": (643.4, 5.4),
    "denoising": (539.8, 4.9), "backprop-noise": (536.8, 2.1),
}  # fmt: skip
PUBLISHED = {
    (row, "mnist"): Published(
        mean, round(error * (10 if row == "denoising" else 3) ** 0.5, 1),
        "figure 3a, the released programs",
    )
    for row, (mean, error) in NUMBERS.items()
}  # fmt: skip


def run(row: str, column: str, scale: Scale) -> dict[str, Any]:
    plain = {"hyper": {"init": "he_normal"}, **ROWS[row]}
    if "noise" in plain:
        plain["noise"] = list(plain["noise"])
    return {"experiment": "autoencoder", "rule": row, **plain, "epochs": scale.epochs,
            "samples": scale.samples}  # fmt: skip


def measure(run: dict[str, Any], seeds: Sequence[int], context: Context) -> None:
    from rate_models.batch import BatchNetwork, fit_many

    X, X_test = _images(context.data, run["samples"])
    sizes, names = (784, run["width"], 2, run["width"], 784), ("tanh", "identity", "tanh")
    spec = NetworkSpec(sizes, names, "mse", bias=True, output="relu")
    row, rule = run["rule"], TAUGHT.get(run["rule"], run["rule"])
    nets = [BatchNetwork(spec, rule, s, device=context.device, **run["hyper"]) for s in seeds]

    def tick(metrics: dict[str, Any]) -> None:
        context.tick(f"{row}: epoch {metrics['epoch'] + 1}, {metrics['loss']:.2f}")

    def keep(net: Any, seed: int, history: Sequence[dict[str, Any]]) -> None:
        whole = len(history) == run["epochs"] and np.isfinite(history[-1]["loss"])
        context.keep(seed, _result(net, X_test, history) if whole else None)

    if row == rule:
        so_far: list[list[dict[str, Any]]] = [[] for _ in nets]

        def progress(i: int, metrics: dict[str, Any]) -> None:
            tick(metrics)
            so_far[i].append(metrics)
            if len(so_far[i]) == run["epochs"]:
                keep(nets[i], seeds[i], so_far[i])

        sgd = Optimizer(BATCH * run["lr"])  # a sum over the batch is that many means
        fit_many(
            nets, X, X, seeds=list(seeds), epochs=run["epochs"], batch_size=BATCH, optimizer=sgd,
            x_test=X_test, y_test=X_test, notify=context.note, progress=progress,
        )  # fmt: skip
        for seed, history in zip(seeds, so_far, strict=True):
            if len(history) < run["epochs"]:
                context.keep(seed, None)
        return
    learn = _learn_noisy if "noise" in run else _learn_otherwise
    for net, seed in zip(nets, seeds, strict=True):
        keep(net, seed, learn(net, X, X_test, run, seed, tick))


def _learn_otherwise(
    net: Any, X: Any, X_test: Any, run: dict[str, Any], seed: int, tick: Tick
) -> list[dict[str, Any]]:
    """Adam, or feedback that takes the steps of W."""
    import torch

    from rate_models.batch import fit

    if run["rule"] == "adam":
        optimizer: torch.optim.Optimizer = torch.optim.Adam(net.parameters(), lr=run["lr"])
    else:
        optimizer = torch.optim.SGD(net.parameters(), lr=BATCH * run["lr"])
        feedback, above = list(net.B.buffers()), list(net.W)[1:]

        def follow(*_: Any) -> None:
            for back, weight in zip(feedback, above, strict=True):
                back.sub_(weight.grad.T, alpha=BATCH * run["lr"])

        optimizer.register_step_post_hook(follow)
    try:
        return fit(net, X, X, epochs=run["epochs"], batch_size=BATCH, optimizer=optimizer,
                   x_test=X_test, y_test=X_test, seed=seed, progress=tick)  # fmt: skip
    except Diverged:
        return []


def _learn_noisy(
    net: Any, X: Any, X_test: Any, run: dict[str, Any], seed: int, tick: Tick
) -> list[dict[str, Any]]:
    """Backpropagation through a network with normal noise in its input or its hidden activities."""
    import torch

    from rate_models.batch.train import order

    spec, rng = net.spec, torch.Generator(net.device).manual_seed(seed)
    x = torch.as_tensor(X, device=net.device)
    sgd = torch.optim.SGD(net.parameters(), lr=run["lr"])
    outside, inside = run["noise"]

    def noisy(h: Any, size: float) -> Any:
        if not size:
            return h
        return h + size * torch.randn(h.shape, generator=rng, device=h.device)

    history: list[dict[str, Any]] = []
    for epoch in range(run["epochs"]):
        for chosen in torch.split(order(seed, epoch, x), BATCH):
            target = x[chosen]
            h, params = noisy(target, outside), net.arrays()
            for layer in range(1, spec.layers + 1):
                h = spec.activity(layer, spec.current(params, layer, h))
                h = noisy(h, inside) if layer < spec.layers else h
            sgd.zero_grad()
            ((h - target) ** 2).sum().div(2).backward()
            sgd.step()
        history.append({"epoch": epoch, **net.evaluate(X_test, X_test)})
        tick(history[-1])
    return history


def _result(net: Any, X: Any, history: Sequence[dict[str, Any]]) -> Result:
    import torch

    shown = X[:10]
    with torch.no_grad():
        output = net(shown).cpu().numpy()
    return {"loss": [BATCH * metrics["loss"] for metrics in history],
            "images": [shown.round(3).tolist(), output.round(3).tolist()]}  # fmt: skip


@lru_cache(maxsize=1)
def _images(options: Options, samples: int | None) -> tuple[Any, Any]:
    source = open_source("mnist", options)
    assert isinstance(source, ArraySource)
    X, X_test = source.train_arrays()[0][:samples], source.test_arrays()[0]
    return X.astype(np.float32) / np.float32(255), X_test.astype(np.float32) / np.float32(255)


def value(row: str, column: str, results: Sequence[Result]) -> list[float]:
    return [min(result["loss"]) for result in results]


def draw(cells: Results, path: Path) -> None:
    """Test losses, and ten digits with what each makes of them: panels a and c."""

    from rate_models.drawing.figures import new_figure
    from rate_models.drawing.style import COLOURS, drawing

    with drawing():
        from matplotlib.ticker import MaxNLocator

        figure = new_figure((8.6, 3.4))
        left, right = figure.subplots(1, 2)
        strips: list[Any] = []
        names = []
        for (row, _), colour in zip(cells, COLOURS, strict=False):
            result = cells[row, "mnist"][0]
            at = np.arange(1, len(result["loss"]) + 1)
            left.plot(
                at, result["loss"], color=colour, label=row, marker="." if at.size < 4 else ""
            )
            given, output = (np.array(part).reshape(-1, 28, 28) for part in result["images"])
            strips += [] if strips else [np.hstack(list(given))]
            strips.append(np.hstack(list(output)))
            names.append(row)
        left.set(xlabel="epoch", ylabel=UNIT)
        left.xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.legend(loc="outside lower left", ncols=4, fontsize="small")
        right.imshow(np.vstack(strips), cmap="gray_r", vmin=0, vmax=1)
        right.set_yticks(14 + 28 * np.arange(len(strips)), ["input", *names])
        right.set_xticks([])
        right.grid(visible=False)
        figure.savefig(path)


PAPER = Paper(
    __name__,
    rows=ROWS,
    columns=COLUMNS,
    unit=UNIT,
    published=PUBLISHED,
    full=Scale(seeds=3, epochs=533),  # 1 million batches
    quick=Scale(seeds=1, epochs=2, samples=10_000),
    run=run,
    measure=measure,
    value=value,
    draw=draw,
)
