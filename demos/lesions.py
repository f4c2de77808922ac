"""What is each part of a circuit for? Lesions, and the accuracy that each of them costs.

Shows: BMVR's microcircuit with silenced interneurons: hidden activity grows without bound in one
       direction, and accuracy is lost. PEPITA with somata that forget between the phases: the
       forgotten share acts as a Hebbian term, η (1 − γ) r rᵀ, so a memory of seconds is needed.
       Centred pixels need much less of it than raw ones, and with bounded weights accuracy falls
       less steeply. Node perturbation without apical feedback: its hidden layers do not change, and
       it is exactly as good as a network with frozen hidden layers. With constant feedback weights
       it learns (feedback alignment). Writes a table and a figure.
From:  Golkar et al., NeurIPS workshop 2020; Dellaferrera & Kreiman, ICML 2022, section 5;
       Lansdell, Prakash & Kording, ICLR 2020. The lesions are ours.
Score: docs/lesions.md
Seed:  0 to 2
Run time: 3 minutes, and 10 s of compilation the first time
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from biocircuits import CircuitNetwork
from rate_models.compiler.kernel import Array
from rate_models.diagnostics.fits import constraint_spectrum
from rate_models.errors import Diverged
from rate_models.model.optimizers import Optimizer
from rate_models.network import NetworkSpec, Parameters, one_hot
from rate_models.online.network import OnlineNetwork
from streaming.sources import Options, open_source

MEMORIES = (
    0.3,
    1.0,
    3.0,
    10.0,
    30.0,
    100.0,
    1000.0,
    np.inf,
)  # time constant of the somata in seconds
SOMATA: dict[str, dict[str, Any]] = {
    "raw pixels": {"centred": False},
    "centred": {"centred": True},
    "centred, bounded": {"centred": True, "low": -1.0, "high": 1.0},
}
FEEDBACK = ("intact", "feedback never learns", "feedback cut", "hidden layers frozen")
OPTIONS: dict[str, dict[str, Any]] = {
    "feedback never learns": {"eta_b": 0.0},
    "feedback cut": {"cut": "B_1,B_2"},
}
LAYERS = (64, 32, 16, 10)


class Digits(NamedTuple):
    """Pixels from 0 to 1 and labels, for learning in the order of the stream, and held out."""

    X: Array
    y: Any
    held_X: Array
    held_y: Any


class Inhibition(NamedTuple):
    """Held-out accuracy, and eigenvalues of the hidden covariance, largest first."""

    accuracy: float
    spectrum: Array


class Apical(NamedTuple):
    """Held-out accuracy, the largest change of a hidden weight, and all weights."""

    accuracy: float
    moved: float
    weights: list[Array]


class Results(NamedTuple):
    """A value per seed for every lesion."""

    inhibition: dict[str, list[Inhibition]]
    somata: dict[str, dict[float, list[float]]]
    apical: dict[str, list[Apical]]


def main(
    seeds: int = 3,
    epochs: int = 3,
    samples: int = 1437,
    table: Path = Path("lesions.md"),
    figure: Path = Path("lesions.png"),
) -> Results:
    """Measure all lesions. samples: number of samples of an epoch."""
    data = [digits(seed, samples) for seed in range(seeds)]
    results = Results(
        {name: [inhibition(d, s, epochs, silence) for s, d in enumerate(data)]
         for name, silence in (("intact", ""), ("interneurons silenced", "interneuron"))},
        {name: {memory: [somata(d, s, epochs, memory, **options) for s, d in enumerate(data)]
                for memory in MEMORIES} for name, options in SOMATA.items()},
        {name: [apical(d, s, epochs, name) for s, d in enumerate(data)] for name in FEEDBACK},
    )  # fmt: skip
    text = markdown(results, epochs)
    print(text)
    table.write_text(text, encoding="utf-8")
    draw(results, figure)
    print(f"table: {table}\nfigure: {figure}")
    return results


def digits(seed: int, samples: int = 1437) -> Digits:
    source = open_source("digits", Options(seed=seed))
    X, y = (np.concatenate(part) for part in zip(*source.chunks(0), strict=True))
    held_X, held_y = (np.concatenate(part) for part in zip(*(source.test() or ()), strict=True))
    return Digits(X[:samples] / 16, y[:samples].astype(np.int64), held_X / 16, held_y)


def learn(net: Any, data: Digits, epochs: int, Y: Array | None = None) -> None:
    """Learn epochs, each in another random order; stop when weights are no longer finite."""
    for epoch in range(epochs):
        order = np.random.default_rng([epoch]).permutation(len(data.X))
        try:
            if Y is None:
                net.learn(data.X[order], labels=data.y[order])
            else:
                net.learn(data.X[order], targets=Y[order])
        except Diverged:
            return


def right(net: Any, data: Digits) -> float:
    """Held-out accuracy in percent."""
    return 100 * float(np.mean(net.predict(data.held_X).argmax(axis=1) == data.held_y))


def inhibition(data: Digits, seed: int, epochs: int, silence: str) -> Inhibition:
    """Train BMVR 64-9-10, linear; a network that diverges is scored before its divergence."""
    mean, scale = data.X.mean(axis=0), data.X.std(axis=0).mean()
    data = data._replace(X=(data.X - mean) / scale, held_X=(data.held_X - mean) / scale)
    Y = one_hot(data.y, 10)
    net = CircuitNetwork(
        NetworkSpec((64, 9, 10), "identity", "mse"), "bmvr", seed=seed, lr=0.02,
        eta_apical=0.03, eta_q=0.03, silence=silence,
    )  # fmt: skip
    learn(net, data, epochs, Y - Y.mean(axis=0))
    z = data.X @ net.parameters()["W"][0].T
    return Inhibition(right(net, data), constraint_spectrum(z))


def somata(
    data: Digits, seed: int, epochs: int, memory: float, centred: bool, **options: Any
) -> float:
    """Held-out accuracy of PEPITA 64-32-10 in time; memory: time constant of the somata in s."""
    mean = data.X.mean(axis=0) if centred else 0.0
    data = data._replace(X=data.X - mean, held_X=data.held_X - mean)
    tau = 2.0
    net = CircuitNetwork(
        NetworkSpec((64, 32, 10)), "pepita", seed=seed, lr=0.1, mode="continuous", dt=2.0,
        window=10.0, tau_memory=tau, memory_leak=tau / (1000 * memory), **options,
    )  # fmt: skip
    with np.errstate(all="ignore"):  # losses of weights that diverge
        learn(net, data, epochs)
        return right(net, data)


def apical(data: Digits, seed: int, epochs: int, lesion: str) -> Apical:
    """Node perturbation 64-32-16-10, or the network whose hidden layers are frozen."""
    spec = NetworkSpec(LAYERS)
    options = OPTIONS.get(lesion, {})
    net: Any = CircuitNetwork(spec, "node_perturbation", seed=seed, lr=0.01, **options)
    before: Parameters = net.parameters()
    if lesion == "hidden layers frozen":
        rate = Optimizer(lr=0.01)
        net = OnlineNetwork(spec, "feedback_alignment", optimizer=rate, feedback_scale=0.0)
        net.load_parameters({"W": before["W"]})
    learn(net, data, epochs)
    after = net.parameters()["W"]
    moved = max(float(np.abs(a - b).max()) for a, b in zip(after[:-1], before["W"], strict=False))
    return Apical(right(net, data), moved, after)


def spread(values: Sequence[float]) -> str:
    """The mean and the range of values, as text."""
    return f"{np.mean(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def markdown(results: Results, epochs: int) -> str:
    seeds = len(results.inhibition["intact"])
    lines = [
        "# Lesions", "",
        "Generated by `python -m dendrostream_demos.lesions`. Held-out accuracy on digits in "
        f"percent after {epochs} epochs, one sample at a time: mean (lowest to highest) of {seeds} "
        "seeds.",
        "", "## BMVR, 64-9-10: interneurons silenced", "",
        "The table has the largest and the smallest eigenvalue of the hidden covariance for the "
        "first seed; interneurons bring them to 1. A network that diverges is tested with its last "
        "finite weights.", "",
        "| circuit | accuracy | largest | smallest |", "|---|---|---|---|",
    ]  # fmt: skip
    for name, runs in results.inhibition.items():
        s = runs[0].spectrum
        lines.append(f"| {name} | {spread([r.accuracy for r in runs])} "
                     f"| {s[0]:.3g} | {max(s[-1], 0):.3g} |")  # fmt: skip
    lines += [
        "", "## PEPITA, 64-32-10: somata that forget", "",
        "The memory of the somata has the given time constant. Phases last 0.1 s, so about 0.1 s "
        "pass between the standard activity and its use. The fraction 1 − γ that is lost adds "
        "η (1 − γ) r rᵀ to the update, which is Hebbian growth, fastest along the mean input. "
        "Bounded weights are between −1 and 1.", "",
        "| memory | " + " | ".join(results.somata) + " |", "|---" * (len(SOMATA) + 1) + "|",
    ]  # fmt: skip
    for memory in reversed(MEMORIES):
        cells = [spread(runs[memory]) for runs in results.somata.values()]
        length = "for ever" if np.isinf(memory) else f"{memory:g} s"
        lines.append(f"| {length} | {' | '.join(cells)} |")
    lines += [
        "", "## Node perturbation, 64-32-16-10: apical feedback", "",
        "| circuit | accuracy | largest change of a hidden weight |", "|---|---|---|",
    ]  # fmt: skip
    for label, ends in results.apical.items():
        moved = max(run.moved for run in ends)
        lines.append(f"| {label} | {spread([run.accuracy for run in ends])} | {moved:.3g} |")
    return "\n".join(lines) + "\n"


def draw(results: Results, path: Path) -> None:
    """A panel per lesion; two for the first."""

    from rate_models.drawing.figures import new_figure
    from rate_models.drawing.style import BLUE, COLOURS, GREY, ORANGE, drawing

    with drawing():
        figure = new_figure((11, 3.4))
        a, b, c = figure.subplots(1, 3, width_ratios=(1, 1.25, 1))
        for (name, runs), colour in zip(results.inhibition.items(), (BLUE, ORANGE), strict=True):
            score = np.mean([run.accuracy for run in runs])
            lines = np.transpose([run.spectrum for run in runs])
            drawn = a.plot(np.arange(1, len(lines) + 1), lines, "o-", ms=3.5, lw=1, color=colour)
            drawn[0].set_label(f"{name}: {score:.0f} % right")
        a.axhline(1, color=GREY, lw=1, ls="--")
        a.set_xticks(range(1, len(results.inhibition["intact"][0].spectrum) + 1))
        a.set(yscale="log", xlabel="mode", ylabel="eigenvalue of $C_{zz}$")
        a.set_title("BMVR: interneurons silenced", fontweight="bold")
        a.legend(fontsize="small", loc="lower left")
        finite = [m for m in MEMORIES if np.isfinite(m)]
        for (name, curve), colour in zip(results.somata.items(), COLOURS, strict=False):
            mean = [np.mean(curve[m]) for m in finite]
            for n in range(len(curve[np.inf])):
                b.plot(finite, [curve[m][n] for m in finite], "o", ms=3, alpha=0.5, color=colour)
            b.plot(finite, mean, color=colour, label=name)
            b.axhline(float(np.mean(curve[np.inf])), color=colour, lw=0.8, ls="--")
        b.axhline(10, color=GREY, lw=1, ls=":")
        b.set(xscale="log", xlabel="time constant of the somata's memory (s)", ylim=(0, 112))
        b.set_title("PEPITA: somata that forget", fontweight="bold")
        b.legend(fontsize="small", loc="upper center", ncols=3, columnspacing=1)
        b.annotate(
            "dashed: never forgotten; dotted: chance", (0.98, 0.02), xycoords="axes fraction",
            ha="right", fontsize="small", color=GREY,
        )  # fmt: skip
        for row, ends in enumerate(results.apical.values()):
            values, colour = [end.accuracy for end in ends], COLOURS[row % len(COLOURS)]
            c.plot(values, [row] * len(values), "o", ms=4.5, alpha=0.6, mew=0, color=colour)
            c.vlines(float(np.mean(values)), row - 0.3, row + 0.3, lw=2.5, color=colour)
        c.set_yticks(range(len(FEEDBACK)), [name.replace(" ", "\n", 1) for name in FEEDBACK])
        c.set_ylim(len(FEEDBACK) - 0.5, -0.5)
        c.grid(axis="y", visible=False)
        c.set(xlim=(0, 100))
        c.set_title("Node perturbation: feedback", fontweight="bold")
        for axes in (b, c):
            label = "held-out digits right (%)"
            (axes.set_ylabel if axes is b else axes.set_xlabel)(label)
        figure.savefig(path)


if __name__ == "__main__":
    import typer

    typer.run(main)
