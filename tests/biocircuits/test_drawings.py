"""Drawings show all that a description contains, and nothing overlaps."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from biocircuits import Circuit, CircuitNetwork, Probe, example
from biocircuits.catalogue import CIRCUITS, load
from biocircuits.drawing.drawings import draw_circuit, draw_traces
from biocircuits.drawing.layout import WIDTH, layout, shown
from biocircuits.drawing.routes import Lanes, Ports, ends, lines_of
from rate_models.errors import BadOption
from rate_models.network import NetworkSpec
from rate_models.support import lookup

DEEP = NetworkSpec((6, 5, 4, 3, 2), bias=True)
VARIANTS: list[tuple[str, NetworkSpec, dict[str, Any]]] = [
    ("pepita", NetworkSpec((4, 2)), {}),
    ("pepita", NetworkSpec((4, 3, 2)), {}),
    ("pepita", DEEP, {"store": "interneuron", "inject": 1}),
    ("bmvr", NetworkSpec((4, 3, 2), loss="mse"), {}),
    ("bmvr", NetworkSpec((4, 3, 3), "identity", "mse"), {}),
    ("node_perturbation", NetworkSpec((4, 3, 3, 2)), {}),
    ("node_perturbation", DEEP, {"feedback": "dfa"}),
]
TEXTS = [f"{name} {'-'.join(map(str, s.sizes))} {o}" for name, s, o in VARIANTS]


def described(name: str, spec: NetworkSpec, options: dict[str, Any]) -> Circuit:
    return CircuitNetwork(spec, name, **options).simulator.circuit


def every_circuit() -> list[Circuit]:
    circuits = [described(*variant) for variant in VARIANTS]
    for name in lookup.names(CIRCUITS):
        rule = load(name).definition
        circuits.append(described(name, NetworkSpec((4, 3, 2), loss=rule.loss), {}))
    return [*circuits, example()]


@pytest.fixture(scope="module", params=range(len(every_circuit())))
def circuit(request: pytest.FixtureRequest) -> Circuit:
    return every_circuit()[request.param]


def test_all_that_is_described_is_drawn(circuit: Circuit, tmp_path: Path) -> None:
    axes = draw_circuit(circuit)
    texts = [text.get_text() for text in axes.texts]
    plain = [text.strip("$").replace("_", " ").partition(" = ")[0] for text in texts]
    for p in circuit.populations:
        assert plain.count(p.name.replace("_", " ")) >= 1
        assert str(p.size) in texts
    for part in {c.name for p in circuit.populations for c in shown(p)}:
        holders = sum(part in [c.name for c in shown(p)] for p in circuit.populations)
        assert plain.count(part.replace("_", " ")) >= holders
    for q in circuit.projections:
        assert q.name.replace("_", " ") in plain
        for phase in q.phases or ():
            assert any(text.endswith(f"in {phase}") for text in texts)
    outputs = {q.output for q in circuit.projections} - {"rate"}
    notes = [text for text in texts if text.startswith("output ")]
    assert outputs == {note.removeprefix("output ").split(",")[0] for note in notes}
    axes.figure.savefig(tmp_path / "circuit.png")
    inked = imread(tmp_path / "circuit.png")[..., :3].min(axis=2) < 0.9
    assert 0.005 < inked.mean() < 0.5


def test_marks_show_what_a_projection_is(circuit: Circuit) -> None:
    """A dot for a plastic one, a bar for an inhibitory one, dashes for one of a phase."""
    axes = draw_circuit(circuit)
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    bars = [line for line in axes.lines if line.get_marker() in ("None", "", None)]
    arrows = [patch for patch in axes.patches if type(patch).__name__ == "FancyArrowPatch"]
    assert len(dots) == sum(bool(q.plasticity) for q in circuit.projections)
    assert len(bars) == sum(q.sign < 0 for q in circuit.projections)
    broadcasts = sum(p.broadcast is not None for p in circuit.populations)
    assert len(arrows) == len(circuit.projections) + broadcasts
    dashed = [patch for patch in arrows if patch.get_linestyle() == "--"]
    assert len(dashed) == sum(q.phases is not None for q in circuit.projections)


def test_nothing_overlaps(circuit: Circuit) -> None:
    placed = layout(circuit)
    for a, b in combinations(placed.cells.values(), 2):
        beside = abs(a.x - b.x) >= WIDTH
        assert beside or a.top + 0.15 < b.y or b.top + 0.15 < a.y
    lines, ports = lines_of(circuit), Ports(circuit, placed)
    lanes = Lanes(placed, ports, lines)
    upright = []
    for line in lines:
        gutter, begin, end = ends(placed, line, ports)
        low, high = placed.gutters[gutter]
        x = lanes.x(gutter, line.source)
        assert low < x and (x < high or gutter == 2)  # outside, space is free
        upright.append((line.source, x, min(begin[1], end[1]), max(begin[1], end[1])))
    for a, b in combinations(upright, 2):
        if a[0] != b[0] and abs(a[1] - b[1]) < 0.05:  # different outputs in one lane
            assert a[3] < b[2] or b[3] < a[2]


def test_input_is_at_the_bottom_and_the_answer_above_all_layers(circuit: Circuit) -> None:
    if circuit.name == "example":
        return
    cells = layout(circuit).cells
    hidden = [c for name, c in cells.items() if name.startswith(("hidden", "pyramidal"))]
    for cell in hidden:
        assert cells["input"].top < cell.y and cell.top < cells[circuit.answer[0]].y
        assert cell.x == cells["input"].x == cells[circuit.answer[0]].x


@pytest.mark.parametrize(
    ("variant", "lesion"),
    [(1, {"cut": "W_1"}), (2, {"cut": "W_2", "silence": "error"}), (4, {"silence": "interneuron"}),
     (5, {"silence": "evaluator"})],
)  # fmt: skip
def test_a_circuit_with_lesions_is_drawn(variant: int, lesion: dict[str, str]) -> None:
    name, spec, options = VARIANTS[variant]
    circuit = described(name, spec, options | lesion)
    axes = draw_circuit(circuit)
    texts = [text.get_text().strip("$") for text in axes.texts]
    assert not {*lesion.get("cut", "-").split(",")} & {*texts}
    cells = layout(circuit).cells
    left, right = axes.get_xlim()
    assert all(left < cell.x - WIDTH / 2 and cell.x + WIDTH / 2 < right for cell in cells.values())
    placed, lines = layout(circuit), lines_of(circuit)
    ports = Ports(circuit, placed)
    lanes = Lanes(placed, ports, lines)
    for line in lines:
        assert left < lanes.x(ends(placed, line, ports)[0], line.source) < right


def test_a_circuit_is_drawn_on_given_axes() -> None:
    axes = Figure().subplots()
    assert draw_circuit(example(), axes) is axes


def recorded(probe: Probe) -> Any:
    net = CircuitNetwork(NetworkSpec((6, 5, 3), "tanh"), lr=0.1, mode="continuous", window=10.0)
    X = np.random.default_rng(0).random((2, 6))
    net.learn(X, [0, 1])
    return net.watch_many(X[:1], [0], probe=probe)


def test_traces_show_the_numbers_that_were_recorded() -> None:
    names = ("hidden_1.dendrite", "hidden_1.soma", "error.rate", "W_1[1,2]", "W_1[3,0]")
    trace = recorded(Probe(names))
    axes = draw_traces(trace, neurons={"hidden_1": [4, 0]})
    assert len(axes) == 4  # both synapses in one
    for line, neuron in zip(axes[1].lines, (4, 0), strict=True):
        x, y = line.get_data()
        assert (y == trace.values["hidden_1.soma"][:, neuron]).all()
        assert (x == trace.time - 400).all()  # after two samples of 200 ms
    assert len(axes[2].lines) == 3
    change = axes[3].lines[1].get_ydata()
    synapse = trace.values["W_1[3,0]"][:, 0]
    assert (change == synapse - synapse[0]).all() and change[-1] != 0
    assert [t.get_text() for t in axes[0].texts] == ["standard", "modulated"]
    shaded = [[patch.get_x(), patch.get_x() + patch.get_width()] for patch in axes[2].patches]
    assert shaded == [[100, 200]]


def test_traces_are_drawn_on_given_axes_and_mistakes_are_reported() -> None:
    trace = recorded(Probe(("hidden_1.dendrite", "hidden_1.soma")))
    given = list(Figure().subplots(1, 1, squeeze=False)[:, 0])
    assert draw_traces(trace, [["hidden_1.dendrite", "hidden_1.soma"]], axes=given) is given
    assert len(given[0].lines) == 6
    with pytest.raises(BadOption, match=r"got 'hidden_1.axon'; expected one of hidden_1.dendrite"):
        draw_traces(trace, [["hidden_1.axon"]])
    with pytest.raises(BadOption, match="got 1 axes; expected 2, one a row"):
        draw_traces(trace, axes=given)
