"""Circuits continue from states that release 0.1 stored, with the weights that it had itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from biocircuits import CircuitNetwork, example, former_states
from biocircuits.catalogue import load
from biocircuits.simulation.layout import Layout
from rate_models.errors import BadOption
from rate_models.network import NetworkSpec
from streaming import OnlineLearner

STORED = Path(__file__).parent / "states/release_0_1.npz"
IN_TIME = {"mode": "continuous", "phase": 12.0, "reset": False}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "pepita_steady": ("pepita", {"lr": 0.05}),
    "pepita_in_time": ("pepita", {"lr": 0.05, "window": 3.0, **IN_TIME}),
    "pepita_prospective": (
        "pepita", {"lr": 0.05, "memory": "prospective", "tau_memory": 5.0, **IN_TIME},
    ),
    "bmvr": ("bmvr", {"lr": 0.05, **IN_TIME}),
    "node_perturbation": ("node_perturbation", {"lr": 0.01, **IN_TIME}),
    "dendritic_microcircuit": ("dendritic_microcircuit", {"lr": 0.02, **IN_TIME}),
}  # fmt: skip


def stored(name: str) -> tuple[dict[str, Any], dict[str, Any], np.ndarray, np.ndarray]:
    """State after 6 samples, parameters after 12, and the samples between."""
    with np.load(STORED) as file:
        own = {
            key.removeprefix(f"{name}/"): file[key] for key in file if key.startswith(f"{name}/")
        }
        X, y = file["X"][6:], file["y"][6:]
    state = {key.removeprefix("state/"): own.pop(key) for key in [*own] if key.startswith("state/")}
    return state, own, X, y


def spec(name: str) -> NetworkSpec:
    circuit, _ = CASES[name]
    loss = load(circuit).definition.loss
    return NetworkSpec((5, 17, 3), loss=loss, bias=name == "pepita_in_time")


def numbered(parameters: dict[str, Any]) -> Iterator[tuple[str, np.ndarray]]:
    for key, value in parameters.items():
        for i, array in enumerate(value if isinstance(value, list) else [value]):
            yield f"{key}/{i}", array


@pytest.mark.parametrize("name", CASES)
def test_a_former_state_continues(name: str) -> None:
    circuit, options = CASES[name]
    net = CircuitNetwork(spec(name), circuit, seed=3, **options)
    state, after, X, y = stored(name)
    net.load_state(state)
    assert net.samples_seen == 6
    net.learn(X, labels=y)
    found = dict(numbered(net.parameters()))
    assert found.keys() == after.keys()
    for key, array in found.items():
        np.testing.assert_allclose(array, after[key], rtol=1e-9, err_msg=key)


def test_a_former_checkpoint_continues() -> None:
    """A learner's own file, in which the arrays of the circuit are those of release 0.1."""
    name = "dendritic_microcircuit"
    circuit, options = CASES[name]
    made = OnlineLearner(circuit=circuit, sizes=(5, 17, 3), seed=3, classes=(0, 1, 2), **options)
    state, after, X, y = stored(name)
    arrays, meta = made._stored()
    arrays |= {f"network.{key}": array for key, array in state.items()}
    learner = OnlineLearner.restored(arrays, meta, "folder")
    learner.learn_many(X, y)
    for i, W in enumerate(learner.parameters()["W"]):
        np.testing.assert_allclose(W, after[f"W/{i}"], rtol=1e-9)


def test_a_state_of_this_release_is_left_as_it_is() -> None:
    net = CircuitNetwork(spec("bmvr"), "bmvr")
    state = net.state()
    assert former_states.upgraded(state, net.simulator.compiled, reset=False) is state


@pytest.mark.parametrize(
    "wrong", [{"state": np.zeros(3)}, {"weights": np.zeros(7)}, {"state": np.zeros(400, "<U1")}]
)
def test_other_arrays_are_refused(wrong: dict[str, Any]) -> None:
    net = CircuitNetwork(spec("bmvr"), "bmvr")
    before = net.state()
    with pytest.raises(BadOption, match="state: got"):
        net.load_state(stored("bmvr")[0] | wrong)
    assert all((net.state()[key] == array).all() for key, array in before.items())


def test_lasting_delays_of_an_earlier_release_are_refused() -> None:
    forward, feedback = example().projections
    delayed = replace(example(), projections=(forward, replace(feedback, delay=3)))
    former = {"state": np.arange(40.0), "weights": np.arange(8.0)}
    with pytest.raises(BadOption, match=r"earlier release.*delays of feedback.*load_parameters"):
        former_states.upgraded(former, Layout(delayed, 1.0), reset=False)
    for layout, reset in [(Layout(delayed, 1.0), True), (Layout(delayed, None), False)]:
        new = former_states.upgraded(former, layout, reset)
        assert np.array_equal(new["weights"], former["weights"])
        at = layout.at("state", "hidden", "apical")  # the former offset: after 4 vectors of 2
        at = slice(at.start - layout.given_width, at.stop - layout.given_width)
        assert new["state"][at].tolist() == [14.0, 15.0]
