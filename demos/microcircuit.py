"""A cortical microcircuit learns digits: apical currents teach, interneurons inhibit them.

Shows: BMVR's circuit, and its course of learning: the apical current and the plateau potential that
       remains of it after inhibition; the objective with its closed-form optimum (reduced-rank
       regression); held-out accuracy; and the eigenvalues of the hidden covariance, which the
       interneurons keep at 1.
From:  Golkar, Lipshutz, Bahroun, Sengupta & Chklovskii, NeurIPS workshop 2020, figures 2 and 3
       (there: other data).
Score: objective 0.308 (optimum 0.304), 0.936 of held-out digits, eigenvalues 0.96 to 1.06
Seed:  0
Run time: 10 s, and 10 s of compilation the first time
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from biocircuits import CircuitNetwork, Probe
from biocircuits.drawing.drawings import draw_circuit
from rate_models.compiler.kernel import Array
from rate_models.diagnostics.fits import bmvr_loss, bmvr_optimum
from rate_models.network import NetworkSpec, one_hot
from streaming.sources import Options, open_source

RATES: dict[str, Any] = {
    "lr": 0.02,
    "eta_apical": 0.03,
    "eta_q": 0.03,
}  # with slow inhibition the learning oscillates less
PROBE = Probe(("pyramidal.apical", "pyramidal.plateau"))


class Digits(NamedTuple):
    """Standardised pixels and centred targets for learning; held-out pixels and labels."""

    X: Array
    Y: Array
    held_X: Array
    held_y: Array


class Result(NamedTuple):
    """The course of learning.

    samples, losses, accuracies: at some points. apical, plateau: norms at every sample. hidden:
    hidden activities of all samples before and after learning. optimum: of the loss.
    """

    samples: list[int]
    losses: list[float]
    accuracies: list[float]
    apical: Array
    plateau: Array
    hidden: tuple[Array, Array]
    optimum: float


def main(
    epochs: int = 16, hidden: int = 9, seed: int = 0, figure: Path = Path("microcircuit.png")
) -> Result:
    """Learn, draw the figure, and return the course of learning."""
    data = digits(seed)
    spec = NetworkSpec((64, hidden, 10), "identity", "mse")
    net = CircuitNetwork(spec, "bmvr", seed=seed, **RATES)
    before = activities(net, data.X)
    samples, losses, accuracies, sizes = [0], [loss(net, data)], [accuracy(net, data)], []
    rng = np.random.default_rng(seed)
    for epoch in range(epochs):
        if epoch == epochs // 2:
            net.set(lr=RATES["lr"] / 10)
        order = rng.permutation(len(data.X))
        for part in np.array_split(order, 6):
            trace = net.watch_many(data.X[part], None, data.Y[part], probe=PROBE)
            sizes.append([np.linalg.norm(trace.values[n], axis=1) for n in PROBE.names])
            samples.append(net.samples_seen)
            losses.append(loss(net, data))
            accuracies.append(accuracy(net, data))
    apical, plateau = np.concatenate(sizes, axis=1)
    optimum = bmvr_optimum(data.X, data.Y, hidden)
    result = Result(samples, losses, accuracies, apical, plateau,
                    (before, activities(net, data.X)), optimum)  # fmt: skip
    draw(net, result, figure)
    print(f"loss {losses[-1]:.4f} (optimum {optimum:.4f}), held-out accuracy {accuracies[-1]:.4f}")
    print(f"figure: {figure}")
    return result


def digits(seed: int) -> Digits:
    """The samples in the order of the first epoch; mean and scale are those of training samples."""
    source = open_source("digits", Options(seed=seed))
    X, y = (np.concatenate(part) for part in zip(*source.chunks(0), strict=True))
    held_X, held_y = (np.concatenate(part) for part in zip(*(source.test() or ()), strict=True))
    mean, scale = X.mean(axis=0), X.std(axis=0).mean()
    Y = one_hot(y.astype(np.int64), 10)
    return Digits((X - mean) / scale, Y - Y.mean(axis=0), (held_X - mean) / scale, held_y)


def activities(net: CircuitNetwork, X: Array) -> Array:
    """Hidden activities z (N, k)."""
    return np.asarray(X @ net.parameters()["W"][0].T)


def loss(net: CircuitNetwork, data: Digits) -> float:
    return bmvr_loss(data.Y, activities(net, data.X), net.parameters()["W"][1])


def accuracy(net: CircuitNetwork, data: Digits) -> float:
    predicted = (activities(net, data.held_X) @ net.parameters()["W"][1].T).argmax(axis=1)
    return float(np.mean(predicted == data.held_y))


def smooth(values: Array, width: int = 200) -> Array:
    """Root mean square over the last ``width`` values."""
    total = np.cumsum(np.append(0, values**2))
    at = np.arange(1, len(values) + 1)
    first = np.maximum(at - width, 0)
    return np.asarray(np.sqrt((total[at] - total[first]) / (at - first)))


def draw(net: CircuitNetwork, result: Result, path: Path) -> None:
    """The circuit, and four panels."""

    from rate_models.diagnostics import plots
    from rate_models.drawing.figures import new_figure
    from rate_models.drawing.style import BLUE, GREY, ORANGE, drawing

    with drawing():
        figure = new_figure((12, 5.4))
        halves: Any = figure.subfigures(1, 2, width_ratios=(1, 1.15))
        draw_circuit(net, halves[0].subplots())
        (a, b), (c, d) = halves[1].subplots(2, 2)
        seen = np.arange(1, len(result.apical) + 1)
        a.plot(seen, smooth(result.apical), color=GREY, label="apical current")
        a.plot(seen, smooth(result.plateau), color=ORANGE, label="plateau")
        a.set(xlabel="samples learned from", ylabel="norm (rms of 200)", ylim=(0, None))
        a.legend(fontsize="small")
        plots.curves(result.samples, {"loss": result.losses}, "objective", result.optimum, b)
        b.set(xlabel="samples learned from", ylim=(0, None))
        b.annotate(
            "optimum", (result.samples[-1], result.optimum), xytext=(0, -3),
            textcoords="offset points", ha="right", va="top", fontsize="small", color=GREY,
        )  # fmt: skip
        c.plot(result.samples, result.accuracies, color=BLUE)
        c.set(xlabel="samples learned from", ylabel="held-out accuracy", ylim=(0, 1))
        plots.spectrum(result.hidden[0], d)
        d.lines[-1].set(color=GREY, label="before")
        plots.spectrum(result.hidden[1], d)
        d.lines[-1].set_label("after")
        d.set_ylim(0, 1.3)
        d.legend(fontsize="small", loc="center left")
        figure.savefig(path)


if __name__ == "__main__":
    import typer

    typer.run(main)
