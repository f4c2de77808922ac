"""A live sensor that drifts, whose labels come late: predicted at once, learned when labels come.

Shows: a program (here a thread) that writes what a sensor measures to a file, a line of JSON each,
       and a run that follows this file. A sample is predicted when it arrives. Its label follows
       500 samples later, and only then is the sample learned. Half-way the sensor is remounted: all
       features are rotated. Labels that come late cost mistakes after the drift: until the first
       of them there is nothing to learn the new positions from.
From:  streams scored test-then-train, with drift: Gama et al., ACM Computing Surveys 46(4), 2014;
       with labels that come late: Grzenda et al., Information Sciences 514, 2020.
Score: accuracy with labels at once 0.91 before, 0.84 in the 1,000 samples after the drift, 0.94 at
       the end; with labels 500 samples late 0.91, 0.51, 0.94
Seed:  0, for the sensor and the weights
Run time: 15 s, and 10 s of compilation the first time
"""

from __future__ import annotations

import json
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from streaming.runs.run import Hooks, RunConfig, run

FEATURES = 12
STATES = ("idle", "running", "worn")
WINDOW = 500  # samples of a point of the figure, and between lines of metrics.jsonl


def main(
    samples: int = 12_000, late: int = 500, figure: Path = Path("live_sensor.png")
) -> dict[str, dict[str, float]]:
    """Accuracy before, during and after the drift, with labels at once and with late labels."""
    scores, curves = {}, {}
    for name, delay in {"labels at once": 0, f"labels {late} samples late": late}.items():
        right = curves[name] = follow(samples, delay)
        half, some = samples // 2 // WINDOW, max(samples // 6 // WINDOW, 1)
        phases = {"before": right[half - some : half], "during": right[half : half + 2]}
        phases |= {"after": right[-some:]}
        scores[name] = {phase: float(np.mean(part)) for phase, part in phases.items()}
        print(f"{name:<24}", *(f"{phase} {score:.3f} " for phase, score in scores[name].items()))
    draw(curves, figure)
    print(f"figure: {figure}")
    return scores


def follow(samples: int, late: int) -> list[float]:
    """Learn from a sensor while it measures; the accuracy in each window of samples."""
    with tempfile.TemporaryDirectory() as folder:
        file, out = Path(folder, "sensor.jsonl"), Path(folder, "run")
        file.touch()
        sensor = threading.Thread(target=measure, args=(file, samples, late))
        sensor.start()
        while file.stat().st_size == 0:  # the first line shows the number of features
            time.sleep(0.01)
        config = RunConfig.checked(
            source=f"follow:{file}",
            labels=STATES,  # the labels that can come
            signal="standardise:half_life=1000",  # so that the network sees little of the drift
            hidden=(32,),
            lr=0.03,
            samples=samples,  # else it would follow the file until Ctrl-C
            interval=WINDOW,
        )
        summary = run(config, out, Hooks(draw=False))
        sensor.join()
        live = summary["live"]
        predicted, learned = (live["latency"][what]["p50_ms"] for what in ("predicted", "learned"))
        print(f"{live['received']:,} samples received, {live['learned']:,} learned; from arrival "
              f"{predicted:.3g} ms until predicted, {learned:.3g} ms until learned")  # fmt: skip
        lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        correct = [0.0, *(line["progressive_accuracy"] * line["samples"] for line in lines)]
        return [float(n) / WINDOW for n in np.diff(correct)[: samples // WINDOW]]


def measure(file: Path, samples: int, late: int) -> None:
    """Write the sensor's samples to a file, and the label of each ``late`` samples after it."""
    rng = np.random.default_rng(0)
    means = rng.normal(size=(len(STATES), FEATURES))
    mounted = np.linalg.qr(rng.normal(size=(FEATURES, FEATURES)))[0]  # a rotation of all features
    labels = list[int]()
    with file.open("a", buffering=1) as lines:
        for i in range(samples + late):
            if i < samples:
                labels.append(int(rng.integers(len(STATES))))
                x = means[labels[i]] + rng.normal(size=FEATURES)
                if i >= samples // 2:
                    x = 3 * mounted @ x + 1
                print(json.dumps({"key": i, "x": x.round(4).tolist()}), file=lines)
            if i % 20 == 0:
                time.sleep(0.01)  # 2,000 samples per second at most
            if i >= late:
                label = STATES[labels[i - late]]
                print(json.dumps({"key": i - late, "label": label}), file=lines)


def draw(curves: dict[str, list[float]], path: Path) -> None:
    """Accuracy in each window against samples."""
    from rate_models.drawing.figures import new_figure
    from rate_models.drawing.style import BLUE, ORANGE, drawing

    with drawing():
        figure = new_figure((7, 3.4))
        axes = figure.subplots()
        for (name, curve), colour, line in zip(curves.items(), (BLUE, ORANGE), "-:", strict=True):
            x = WINDOW * (np.arange(len(curve)) + 0.5)
            axes.plot(x, 100 * np.array(curve), color=colour, ls=line, lw=1.6, label=name)
            drift = WINDOW * (len(curve) // 2)
        axes.axvline(drift, color="black", lw=0.8, ls=":")
        axes.annotate("drift", (drift, 100), xytext=(4, -2), textcoords="offset points", va="top")
        axes.axhline(100 / len(STATES), color="black", lw=0.8, ls=":")
        axes.annotate(
            "chance", (1000, 100 / len(STATES)), xytext=(2, 3), textcoords="offset points"
        )
        axes.set_ylim(0, 100)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.set_xlabel("samples learned from")
        axes.set_ylabel(f"right in windows of {WINDOW} (%)")
        axes.set_title("A sensor that is remounted half-way", fontweight="bold")
        axes.legend(loc="lower right")
        figure.savefig(path)


if __name__ == "__main__":
    import typer

    typer.run(main)
