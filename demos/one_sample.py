"""One digit through the two-compartment neurons of PEPITA, in time.

Shows: the circuit, drawn from its description, and its activity during one sample. In the standard
       phase the dendrites settle, and the somata follow and then hold their value. In the
       modulated phase the error reaches the input, the dendrites move away from the somata, and in
       the last 20 ms the weights change by the difference. Of each layer the neurons that change
       most are drawn.
From:  Dellaferrera & Kreiman, ICML 2022, section 5; the time course is ours.
Score: none; the figure is docs/img/one_sample.png
Seed:  0
Run time: 5 s, and 8 s of compilation the first time
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from biocircuits import CircuitNetwork, Probe, Trace
from biocircuits.drawing.drawings import draw_circuit, draw_traces
from rate_models.network import NetworkSpec
from streaming.sources import Options, open_source

NAMES = ("hidden_1.dendrite", "hidden_1.soma", "hidden_1.rate", "output.dendrite", "error.rate")
MISMATCH = "hidden_1.rate − soma"


def main(seed: int = 0, before: int = 100, figure: Path = Path("one_sample.png")) -> Trace:
    """Draw and return the trace of one sample, after ``before`` others."""
    X, y = next(open_source("digits", Options(seed=seed)).chunks(0, size=before + 1))
    X, targets = X / 16, np.eye(10)[y.astype(int)]
    net = CircuitNetwork(
        NetworkSpec((64, 32, 10)), "pepita", seed=seed, lr=0.1, mode="continuous", window=20.0
    )
    net.learn(X[:before], targets=targets[:before])
    probe = Probe((*NAMES, *synapses(net, X[before], targets[before])))
    trace = net.watch(X[before], targets[before], probe)
    draw(net, trace, figure)
    print(f"digit {int(y[before])}; figure: {figure}")
    return trace


def synapses(net: CircuitNetwork, x: np.ndarray, y: np.ndarray) -> list[str]:
    """The three synapses of W_1 that this sample changes most, onto three different neurons."""
    old = net.parameters()["W"][0]
    twin = CircuitNetwork(net.spec, "pepita", seed=net.seed, lr=net.optimizer.lr)
    twin.load_parameters(net.parameters())
    twin.learn(x[None], targets=y[None])
    change = np.abs(twin.parameters()["W"][0] - old)
    onto = sorted(np.argsort(-change.max(axis=1))[:3])
    return [f"W_1[{i},{change[i].argmax()}]" for i in onto]


def draw(net: CircuitNetwork, trace: Trace, path: Path) -> None:
    """The circuit on the left, traces on the right."""

    from rate_models.drawing.figures import new_figure
    from rate_models.drawing.style import drawing

    mismatch = trace.values["hidden_1.rate"] - trace.values["hidden_1.soma"]
    trace = trace._replace(values={**trace.values, MISMATCH: mismatch})
    rows = [[name] for name in (NAMES[0], NAMES[1], MISMATCH, *NAMES[3:])]
    synapse = [name for name in trace.values if "[" in name]
    onto = [int(name.partition("[")[2].partition(",")[0]) for name in synapse]
    with drawing():
        figure = new_figure((11, 6.6))
        halves: Any = figure.subfigures(1, 2, width_ratios=(1, 1.15))
        draw_circuit(net, halves[0].subplots())
        axes = halves[1].subplots(len(rows) + 1, 1, sharex=True)
        draw_traces(trace, [*rows, synapse], {"hidden_1": onto}, list(axes))
        figure.savefig(path)


if __name__ == "__main__":
    import typer

    typer.run(main)
