"""An abrupt drift: how far does accuracy fall, and which networks recover?

Shows: test-then-train accuracy before, during and after a jump of all class centres to new
       positions, half-way through a synthetic stream. PEPITA is compared with the same network
       with frozen hidden weights (F = 0) and with backpropagation; 20-16-4, constant learning rate
       0.03. The networks get no signal of the drift.
From:  PEPITA and its control F = 0: Dellaferrera & Kreiman, ICML 2022, sections 3.2 and 4.2;
       streams with drift, scored test-then-train: Gama et al., ACM Computing Surveys 46(4), 2014.
Score: mean of the seeds: PEPITA 0.83 before, 0.42 in the 250 samples after the drift, 0.83 at the
       end; with F = 0 0.75, 0.38, 0.78; backpropagation 0.93, 0.63, 0.93
Seed:  0 to 9, for the stream and the weights
Run time: 5 s, and 10 s of compilation the first time
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streaming import OnlineLearner
from streaming.sources import Options, open_source

NETWORKS: dict[str, dict[str, Any]] = {
    "PEPITA": {"rule": "pepita"},
    "PEPITA with F = 0": {"rule": "pepita", "feedback_scale": 0.0},
    "backpropagation": {"rule": "backprop"},
}
WINDOW = 250  # samples; ends exactly at the drift, so that no window mixes old and new


def main(
    seeds: int = 10, samples: int = 20_000, figure: Path = Path("drift.png")
) -> dict[str, dict[str, float]]:
    """Mean accuracy of every network before, during and after the drift."""
    if samples % (8 * WINDOW):
        raise SystemExit(f"samples: got {samples}; expected a multiple of {8 * WINDOW}")
    half, end = samples // 2, samples // 8
    scores, curves = {}, {}
    for name, options in NETWORKS.items():
        right = np.mean([correct(seed, samples, **options) for seed in range(seeds)], axis=0)
        curves[name] = right.reshape(-1, WINDOW).mean(axis=1)
        phases = {"before": right[half - end : half], "during": right[half : half + WINDOW]}
        phases |= {"after": right[-end:]}
        scores[name] = {phase: float(part.mean()) for phase, part in phases.items()}
        print(f"{name:<18}", *(f"{phase} {score:.3f} " for phase, score in scores[name].items()))
    draw(curves, half, seeds, figure)
    print(f"figure: {figure}")
    return scores


def correct(seed: int, samples: int, **options: Any) -> NDArray[np.bool_]:
    """Whether the prediction of each sample before learning it was correct, (samples,)."""
    drift = f"synthetic:samples={samples},drift=abrupt,at={samples // 2}"
    stream = open_source(drift, Options(seed=seed))
    learner = OnlineLearner(sizes=(20, 16, 4), lr=0.03, seed=seed, **options)
    return np.concatenate([learner.learn_many(X, y)[0] == y for X, y in stream.chunks(0)])


def draw(curves: dict[str, NDArray[np.float64]], drift: int, seeds: int, path: Path) -> None:
    """Accuracy in each window against samples."""

    from rate_models.drawing.figures import new_figure
    from rate_models.drawing.style import BLUE, GREY, ORANGE, drawing

    with drawing():
        figure = new_figure((7, 3.4))
        axes = figure.subplots()
        looks = ((BLUE, "-"), (ORANGE, "--"), (GREY, "-"))
        for (name, curve), (colour, line) in zip(curves.items(), looks, strict=True):
            x = WINDOW * (np.arange(len(curve)) + 0.5)
            axes.plot(x, 100 * curve, color=colour, ls=line, lw=1.6, label=name)
        axes.axvline(drift, color="black", lw=0.8, ls=":")
        axes.annotate("drift", (drift, 100), xytext=(4, -2), textcoords="offset points", va="top")
        axes.axhline(25, color="black", lw=0.8, ls=":")
        axes.annotate("chance", (0, 25), xytext=(2, 3), textcoords="offset points")
        axes.set_ylim(0, 100)
        axes.set_xlim(0, WINDOW * len(curve))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.set_xlabel("samples learned from")
        axes.set_ylabel(f"right in windows of {WINDOW} (%)")
        axes.set_title(f"20-16-4 on a synthetic stream, mean of {seeds} seeds", fontweight="bold")
        axes.legend(loc="lower right")
        figure.savefig(path)


if __name__ == "__main__":
    import typer

    typer.run(main)
