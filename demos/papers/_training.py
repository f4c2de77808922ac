"""What the papers on PEPITA share: training in batches, all seeds at once, and what is recorded.

Images over 255; epochs in an order drawn anew; the rate falls to a tenth at the start of the decay
epochs; dropout in hidden layers, the same mask in both passes; the test set after every epoch. In
fewer epochs than the paper's the decays come at the same share of them; more epochs leave them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rate_models.diagnostics import measures
from rate_models.model.optimizers import Optimizer
from rate_models.network import NetworkSpec
from streaming.papers import Context, Result, Results, Scale, Unfinished
from streaming.sources import ArraySource, Options, open_source

if TYPE_CHECKING:
    from rate_models.batch.going_on import State

Array = Any
Look = Callable[[Any, Array, Array], Result]  # something about a network and the test set

# Dellaferrera & Kreiman 2022, table 2: rate, decay epochs, and the networks that DRTP takes.
# Keys with "conv-" are of networks with a convolution.
RATES = {
    "backprop": {"mnist": 0.1, "cifar10": 0.01, "cifar100": 0.01,
                 "conv-mnist": 0.1, "conv-cifar10": 0.01, "conv-cifar100": 0.01},
    "feedback_alignment": {"mnist": 0.1, "cifar10": 0.001, "cifar100": 0.001,
                           "conv-mnist": 0.1, "conv-cifar10": 0.01, "conv-cifar100": 0.01},
    "drtp": {"mnist": 0.01, "cifar10": 0.001, "cifar100": 0.001,
             "conv-mnist": 0.01, "conv-cifar10": 0.01, "conv-cifar100": 0.01},
    "pepita": {"mnist": 0.1, "cifar10": 0.01, "cifar100": 0.01,
               "conv-mnist": 0.1, "conv-cifar10": 0.1, "conv-cifar100": 0.1},
}  # fmt: skip
DECAYS = {"mnist": [60], "cifar10": [60, 90], "cifar100": [60, 90]}
PLANNED = 100  # epochs that the decays are meant for
CONVOLUTION = {"filters": 32, "kernel": 5, "pool": 2}  # the layer below the output


def run(rule: str, data: str, scale: Scale, **changes: Any) -> dict[str, Any]:
    """The paper's run of a rule on a data set, 1024 hidden units; ``changes`` replace entries."""
    decays, epochs = changes.pop("decay_epochs", DECAYS[data]), scale.epochs
    if epochs < PLANNED:
        decays = sorted({max(1, round(epochs * at / PLANNED)) for at in decays})
    hyper = {"dropout": 0.1, **changes.pop("hyper", {})}
    plain = {
        "experiment": "batch training",
        "rule": rule,
        "data": data,
        "hidden": [1024],
        "activation": "tanh" if rule == "drtp" else "relu",
        "loss": "binary_cross_entropy" if rule == "drtp" else "cross_entropy",
        "hyper": hyper,
        "lr": RATES.get(rule, RATES["pepita"])[data],
        "momentum": 0.9,
        "weight_decay": 0.0,
        "batch": 64,
        "epochs": epochs,
        "decay_epochs": decays,
        "samples": scale.samples,
        "whiten": None,
    }
    return {**plain, **changes}


def train(
    run: dict[str, Any],
    seeds: Sequence[int],
    context: Context,
    watch: Look | None = None,
    look: Look | None = None,
) -> None:
    """Train the networks of a run; keep, for each seed, accuracy and more after every epoch.

    Kept: accuracy, loss (epochs,); angles {link: (epochs + 1,)}, in degrees, and norms of W_l
    (epochs + 1, L), both from before training on; what ``watch`` says before training and after
    every epoch, and ``look`` at the end.
    """
    from rate_models.batch import BatchNetwork, fit_many  # without torch: says what to install
    from rate_models.batch.going_on import State

    X, y, X_test, y_test, classes, image = arrays(
        run["data"], context.data.data, context.data.download, run["samples"], run["whiten"],
        run.get("rescaled", False),
    )  # fmt: skip
    spec = network(run, image, classes)
    nets = [
        BatchNetwork(spec, run["rule"], seed, device=context.device, **run["hyper"])
        for seed in seeds
    ]
    unfinished = {i: one for i, seed in enumerate(seeds) if (one := context.unfinished(seed))}
    records = [
        _Record(net, watch and partial(watch, net, X_test, y_test), unfinished.get(i))
        for i, net in enumerate(nets)
    ]
    for i, one in unfinished.items():
        context.note(f"seed {seeds[i]} went on from epoch {one.meta['place']['epochs']}")

    def progress(i: int, metrics: dict[str, Any]) -> None:
        done = metrics["epoch"] + 1
        context.tick(f"{run['rule']}, {run['data']}: seed {seeds[i]}, epoch {done} of "
                     f"{run['epochs']}: {metrics['accuracy']:.4f}")  # fmt: skip
        records[i].add(metrics)
        if done == run["epochs"]:
            seen = look(nets[i], X_test, y_test) if look else {}
            context.keep(seeds[i], {**records[i].result(), **seen})

    def keep(i: int, state: State) -> None:
        if state.epochs < run["epochs"]:
            context.checkpoint(seeds[i], partial(_unfinished, state, records[i]))

    resume = {i: State(arrays=one.arrays, **one.meta["place"]) for i, one in unfinished.items()}
    sgd = Optimizer(
        run["lr"], run["momentum"], run["weight_decay"],
        tuple(len(X) * epoch for epoch in run["decay_epochs"]),
    )  # fmt: skip
    fit_many(
        nets, X, y, seeds=list(seeds), epochs=run["epochs"], batch_size=run["batch"],
        optimizer=sgd, x_test=X_test, y_test=y_test, notify=context.note, progress=progress,
        resume=resume, keep=keep,
    )  # fmt: skip
    for seed, record in zip(seeds, records, strict=True):
        if len(record.curves["accuracy"]) < run["epochs"]:
            context.keep(seed, None)


def _unfinished(state: State, record: _Record) -> Unfinished:
    """Where training is, with what was recorded on the way."""
    place = {"epochs": state.epochs, "steps": state.steps, "lr": state.lr}
    arrays = {name: tensor.cpu().numpy() for name, tensor in state.arrays.items()}
    return Unfinished(arrays, {"place": place, "curves": record.curves, "angles": record.angles})


def convolutional(rule: str, data: str, scale: Scale, **changes: Any) -> dict[str, Any]:
    """The paper's run of a rule on a network with a convolution, no dropout.

    Weights start where the released programs have them: where PyTorch's layers start.
    """
    return run(
        rule, data, scale, hidden=[CONVOLUTION], lr=RATES[rule][f"conv-{data}"], batch=100,
        decay_epochs=[10, 30, 50], hyper={"dropout": 0.0, "init": "torch_uniform"},
        **({"conv_norm": "mean"} if rule == "pepita" else {}), **changes,
    )  # fmt: skip


def network(run: dict[str, Any], image: tuple[int, ...], classes: int) -> NetworkSpec:
    """The network of a run on images."""
    width, how = math.prod(image), (run["activation"], run["loss"])
    if all(isinstance(layer, int) for layer in run["hidden"]):
        return NetworkSpec((width, *run["hidden"], classes), *how)
    from rate_models.batch import Convolution, ConvolutionalSpec

    layers = [Convolution(**one) if isinstance(one, dict) else one for one in run["hidden"]]
    return ConvolutionalSpec.of(planes(image), [*layers, classes], *how,
                                conv_norm=run.get("conv_norm", "sum"))  # fmt: skip


def planes(image: tuple[int, ...]) -> tuple[int, int, int]:
    """Channels, rows and columns of an image, grey ones having one channel."""
    channels, rows, columns = (1, *image)[-3:]
    return channels, rows, columns


class _Record:
    """What is recorded of one network on the way."""

    def __init__(
        self, net: Any, watch: Callable[[], Result] | None, kept: Unfinished | None
    ) -> None:
        self.net, self.watch = net, watch
        self.curves: dict[str, list[Any]] = {"accuracy": [], "loss": [], "norms": []}
        self.angles: dict[str, list[float]] = {}
        if kept is None:
            self._weights()
        else:
            self.curves, self.angles = kept.meta["curves"], kept.meta["angles"]

    def _weights(self) -> None:
        params = self.net.numpy()
        self.curves["norms"].append(measures.weight_norms(params))
        if "F" in params and all(w.ndim == 2 for w in params["W"]):
            link = measures.Link("F", None, 0, len(params["W"]), forward=False)
            for name, angle in measures.alignment_angle(params, [link]).items():
                self.angles.setdefault(name, []).append(angle)
        for name, seen in self.watch().items() if self.watch else ():
            self.curves.setdefault(name, []).append(seen)

    def add(self, metrics: dict[str, Any]) -> None:
        self.curves["accuracy"].append(metrics["accuracy"])
        self.curves["loss"].append(metrics["loss"])
        self._weights()

    def result(self) -> Result:
        return {**self.curves, "angles": self.angles}


def hidden(net: Any, X: Array, Y: Array | None = None) -> Array:
    """h_1 of the standard pass, or with targets Y p_1 of PEPITA's modulated pass; float32."""
    import torch

    with torch.no_grad():
        x = torch.as_tensor(X, device=net.device)
        if Y is not None:
            error = net(x) - torch.as_tensor(Y, device=net.device)
            x = x + net.hyper.sign * (error @ net.F.T)
        return torch.relu(x @ net.W[0].T).cpu().numpy()


def percent(results: Sequence[Result]) -> list[float]:
    """Test accuracies in percent after the last epoch, one a seed."""
    return [100 * result["accuracy"][-1] for result in results]


@lru_cache(maxsize=2)
def arrays(
    data: str,
    folder: Any,
    download: bool,
    samples: int | None,
    whiten: float | None,
    rescaled: bool = False,
) -> tuple[Array, Array, Array, Array, int, tuple[int, ...]]:
    """X, y, X_test, y_test, in single precision, the number of classes and the images' shape.

    rescaled: after whitening, by the least and the largest number of the training samples, to 0..1.
    """
    source = open_source(data, Options(data=folder, download=download))
    assert isinstance(source, ArraySource) and source.classes is not None
    (X, y), (X_test, y_test) = source.train_arrays(), source.test_arrays()
    X, y = X[:samples], y[:samples]
    X, X_test = (part.astype(np.float32) / np.float32(source.maximum) for part in (X, X_test))
    if whiten is not None:
        X, X_test = whitened(X, X_test, whiten)
    if rescaled:
        least, largest = X.min(), X.max()
        X, X_test = ((part - least) / (largest - least) for part in (X, X_test))
    return X, y, X_test, y_test, len(source.classes), source.image_shape or X.shape[1:]


def whitened(X: Array, X_test: Array, epsilon: float) -> tuple[Array, Array]:
    """ZCA: (x - mean) U (S + ε)^-1/2 Uᵀ, with mean and covariance U S Uᵀ of the training samples.

    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(500, 3)) @ rng.normal(size=(3, 3))
    >>> Z, _ = whitened(X, X[:2], 0.0)
    >>> bool(np.allclose(Z.T @ Z / 500, np.eye(3)))
    True
    """
    mean = X.mean(0, dtype=np.float64)
    centred = X - mean
    values, vectors = np.linalg.eigh(centred.T @ centred / len(X))
    turn = (vectors / np.sqrt(np.maximum(values, 0) + epsilon)) @ vectors.T
    return tuple(np.asarray((part - mean) @ turn, X.dtype) for part in (X, X_test))  # type: ignore[return-value]


def draw_curves(cells: Results, rows: Any, columns: Any, published: Any, path: Path) -> None:
    """Test accuracy over epochs, a panel per column, a colour per row; published values dashed."""

    from rate_models.drawing.figures import new_figure
    from rate_models.drawing.style import COLOURS, drawing

    shown = [column for column in columns if any(c == column for _, c in cells)]
    with drawing():
        from matplotlib.lines import Line2D
        from matplotlib.ticker import MaxNLocator

        figure = new_figure((3.4 * len(shown) + 1.8, 3.2))
        panels = figure.subplots(1, len(shown), squeeze=False)[0]
        for axes, column in zip(panels, shown, strict=True):
            for row, colour in zip(rows, COLOURS, strict=False):
                if (row, column) not in cells:
                    continue
                curves = np.array([r["accuracy"] for r in cells[row, column]]) * 100
                band(axes, np.arange(1, curves.shape[1] + 1), curves, colour, rows[row])
                if (row, column) in published:
                    axes.axhline(published[row, column].mean, color=colour, lw=0.8, ls="--")
            axes.set(title=columns[column], xlabel="epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.set_ylabel("test accuracy (%)")
        handles = max((axes.get_legend_handles_labels()[0] for axes in panels), key=len)
        if any(cell in published for cell in cells):
            handles.append(Line2D([], [], color="0.3", lw=0.8, ls="--", label="published"))
        figure.legend(handles=handles, loc="outside right center")
        figure.savefig(path)


def band(axes: Any, x: Array, curves: Array, colour: str, label: str) -> None:
    """Mean over seeds, and ± a standard deviation; curves (seeds, points)."""
    mean, std = curves.mean(0), curves.std(0)
    axes.plot(x, mean, color=colour, label=label, marker="o" if len(x) < 4 else None, ms=3)
    axes.fill_between(x, mean - std, mean + std, color=colour, alpha=0.2, lw=0)
