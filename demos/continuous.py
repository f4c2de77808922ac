"""Circuits in time: how long must a phase last for a circuit to follow its algorithm?

Shows: the deviation of the first layer's weight change after one sample from that of the steady
       state, against the length of a phase: for PEPITA, compared with the tail of its cascade of
       filters; for BMVR, with plasticity only at the end of a presentation or throughout (1/T);
       and for node perturbation. Then held-out accuracy of 64-32-10 on digits learned in time,
       against phase length, coupling of dendrite and soma, memory and noise, compared with the
       algorithm and with a network whose hidden weights keep their initial values.
From:  the equations of the circuits (`biocircuits.circuits`); no paper has this figure.
Score: phases of 10 τ, or of 5 τ with a prospective memory, end within 0.1 points of the algorithm's
       90.6; the table is in docs/continuous.md
Seed:  0 to 2 on digits, 0 for the single sample
Run time: 8 minutes
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

from biocircuits import CircuitNetwork
from rate_models.errors import Diverged, UserError
from rate_models.network import NetworkSpec
from streaming.sources import ArraySource, Options, open_source

TAU = 10.0
LINEAR = NetworkSpec((20, 16, 12, 5), "identity", "mse")
IN_TIME: dict[str, Any] = {"mode": "continuous", "phase": 10 * TAU, "window": TAU}
# Differences from phases of 10 τ, τ = 10 ms, τ_s = 1 ms, a coupling of 1, no leak and no noise.
CASES: dict[str, dict[str, Any]] = {
    "the algorithm": {"mode": "steady", "window": 0.0},
    "the algorithm, hidden weights as drawn": {
        "mode": "steady", "window": 0.0, "feedback_scale": 0.0,
    },
    **{f"phases of {n} τ": {"phase": n * TAU} for n in (3, 5, 7, 10)},
    **{f"phases of {n} τ, prospective memory": {"phase": n * TAU, "memory": "prospective"}
       for n in (3, 5, 7, 10)},
    **{f"coupling {g}": {"coupling": g} for g in (0.3, 0.1, 0.03)},
    **{f"membrane noise {s}": {"membrane_noise": s} for s in (0.01, 0.03, 0.1)},
    **{f"synaptic noise {s}": {"synaptic_noise": s} for s in (0.01, 0.03, 0.1)},
}  # fmt: skip
Scores = dict[str, list[float]]


def main(
    seeds: int = 3,
    epochs: int = 5,
    table: Path = Path("continuous.md"),
    figure: Path = Path("continuous.png"),
) -> Scores:
    """Held-out accuracy in percent of every case, seed by seed."""
    curves = deviations()
    scores: Scores = {}
    for name, changes in CASES.items():
        scores[name] = [on_digits(seed, epochs, **{**IN_TIME, **changes}) for seed in range(seeds)]
        print(f"{name:<40} {np.mean(scores[name]):.2f}", flush=True)
    table.write_text(markdown(scores, epochs), encoding="utf-8")
    draw(curves, scores, figure)
    print(f"table: {table}\nfigure: {figure}")
    return scores


def on_digits(seed: int, epochs: int, **options: Any) -> float:
    """Held-out accuracy in percent of 64-32-10, PEPITA's circuit, at a rate of 0.15."""
    digits = open_source("digits", Options(seed=seed))
    assert isinstance(digits, ArraySource)
    net = CircuitNetwork(NetworkSpec((64, 32, 10)), "pepita", seed=seed, lr=0.15, **options)
    try:
        for epoch in range(epochs):
            for X, y in digits.chunks(epoch):
                net.learn(X / 16, labels=y)
    except Diverged:
        return float("nan")
    right = [net.predict(X / 16).argmax(axis=1) == y for X, y in digits.test() or ()]
    return float(100 * np.concatenate(right).mean())


def deviations() -> dict[str, tuple[list[float], list[float]]]:
    """{case: (lengths of a phase in τ, relative errors of ΔW_1)}, for one sample from rest."""
    lengths = [4.0, 6.0, 8.0, 10.0, 14.0, 18.0, 24.0]
    bmvr = NetworkSpec((20, 4, 5), "identity", "mse")
    weights = {"init_1": 0.3, "init_2": 0.3}
    cases: dict[str, tuple[NetworkSpec, dict[str, Any], bool]] = {
        "PEPITA": (LINEAR, {"circuit": "pepita"}, False),
        "BMVR, plasticity at the end": (bmvr, {"circuit": "bmvr", **weights}, False),
        "BMVR, plasticity throughout": (bmvr, {"circuit": "bmvr", **weights}, True),
        "node perturbation, noise held": (LINEAR, {"circuit": "node_perturbation"}, False),
    }
    curves = {}
    for name, (spec, options, throughout) in cases.items():
        exact = first_change(spec, **options)
        errors = []
        for n in lengths:
            window = n * TAU if throughout else 0.0
            change = first_change(
                spec, mode="continuous", dt=0.05, phase=n * TAU, window=window, **options
            )
            errors.append(float(np.linalg.norm(change - exact) / np.linalg.norm(exact)))
        curves[name] = (lengths, errors)
    return curves


def first_change(spec: NetworkSpec, **options: Any) -> Any:
    """ΔW_1 of one sample."""
    net = CircuitNetwork(spec, seed=0, lr=1e-3, **options)
    rng = np.random.default_rng(0)
    x, y, before = rng.random((1, spec.sizes[0])), np.eye(5)[[2]], net.parameters()["W"][0]
    net.learn(x, targets=y)
    return net.parameters()["W"][0] - before


def tail(u: float, filters: int) -> float:
    """Remaining error of a cascade of equal low-pass filters after u time constants."""
    return math.exp(-u) * sum(u**j / math.factorial(j) for j in range(filters))


def markdown(scores: Scores, epochs: int) -> str:
    seeds = len(next(iter(scores.values())))
    best = np.array(scores["the algorithm"])
    lines = [
        "# Circuits in time",
        "",
        "Generated by `python -m dendrostream_demos.continuous`. The circuit of PEPITA, 64-32-10, "
        f"on digits: held-out accuracy in percent after {epochs} epochs at a rate of 0.15, mean of "
        f"{seeds} seeds, and its difference to the algorithm ± the standard error. In time, phases "
        "last 10 τ, τ = 10 ms, τ_s = 1 ms, steps are 1 ms, plasticity acts in the last 10 ms, the "
        "coupling is 1, and there is no noise, unless the row states another value. Membrane noise "
        "is the standard deviation of the dendrites at rest (their inputs are of the order of 1). "
        "Synaptic noise is relative, for every synapse, per √ms. The mismatch from which the "
        "weights learn is a hundredth of the rates or less, so noise must be smaller still. If a "
        "dendrite has not settled when its rate is stored, the weights learn its drift. Phases of "
        "5 τ are too short for a soma that stores the rate, and long enough for a soma that stores "
        "the fixed point of the dendrite.",
        "",
        "| | accuracy | against the algorithm |",
        "|---|---|---|",
    ]
    for name, values in scores.items():
        if np.isnan(values).any():
            lines.append(f"| {name} | diverges | |")
            continue
        gap = np.array(values) - best
        error = gap.std(ddof=1) / len(gap) ** 0.5 if len(gap) > 1 else 0.0
        lines.append(f"| {name} | {np.mean(values):.1f} | {gap.mean():+.1f} ± {error:.1f} |")
    return "\n".join([*lines, "", "![Error and accuracy](img/continuous.png)"]) + "\n"


def draw(curves: dict[str, Any], scores: Scores, path: Path) -> None:
    """Left: error against the length of a phase. Right: accuracy against the length of a phase."""

    from rate_models.drawing.figures import new_figure
    from rate_models.drawing.style import BLUE, COLOURS, GREY, ORANGE, drawing

    with drawing():
        figure = new_figure((9, 3.6))
        left, right = figure.subplots(1, 2)
        for (name, (lengths, errors)), colour in zip(curves.items(), COLOURS, strict=False):
            left.semilogy(lengths, errors, "o-", ms=3.5, color=colour, label=name)
        u = np.linspace(4, 24, 100)
        left.semilogy(u, [tail(t, 3) for t in u], "--", color=GREY, lw=1,
                      label="tail of three filters")  # fmt: skip
        left.set_xlabel("length of a phase (τ)")
        left.set_ylabel("relative error of $\\Delta W_1$")
        left.legend(fontsize=7.5)
        lengths = [n for n in range(1, 11) if f"phases of {n} τ" in scores]
        for kind, suffix, colour in (("rate", "", ORANGE),
                                     ("prospective", ", prospective memory", BLUE)):  # fmt: skip
            means = [np.mean(scores[f"phases of {n} τ{suffix}"]) for n in lengths]
            label = "soma stores the rate" if kind == "rate" else "soma stores the rate to come"
            right.plot(lengths, means, "o-", color=colour, label=label)
        for name, style in (
            ("the algorithm", "-"),
            ("the algorithm, hidden weights as drawn", ":"),
        ):
            right.axhline(np.mean(scores[name]), color=GREY, ls=style, lw=1, label=name)
        right.set_xlabel("length of a phase (τ)")
        right.set_ylabel("held-out digits right (%)")
        right.legend(fontsize=7.5, loc="lower right")
        figure.savefig(path)


if __name__ == "__main__":
    import typer

    try:
        typer.run(main)
    except UserError as error:
        sys.exit(f"error: {error}")
