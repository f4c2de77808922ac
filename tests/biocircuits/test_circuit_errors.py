# ruff: noqa: E501  a table: one case a line
"""Invalid circuits are refused; the message names the part, got, expected and remedy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from biocircuits import (
    Circuit,
    CircuitNetwork,
    Compartment,
    Coupling,
    Phase,
    Plasticity,
    Population,
    Probe,
    Projection,
    Settings,
    Simulator,
)
from rate_models.errors import BadOption, Diverged, UserError
from rate_models.network import NetworkSpec

RATE: dict[str, Callable[[Any], Any]] = {"rate": lambda n: n.soma}
SOMA = (Compartment("soma"),)
PARAMS = {"W": [np.ones((3, 2))], "V": np.ones((3, 3))}


def hebbian(s: Any) -> Any:
    return s.rate * s.pre


def pair(**changes: Any) -> Circuit:
    """Two inputs, three hidden neurons; ``changes`` of the projection between them."""
    wire = {"name": "W", "source": "input", "target": "hidden.soma", "parameter": ("W", 0)}
    return Circuit(
        "pair",
        (
            Population("input", 2, (Compartment("soma", clamp="x"),), RATE, kind="input"),
            Population("hidden", 3, (Compartment("soma"), Compartment("apical")), RATE),
        ),
        (Projection(**{**wire, **changes}),),
        (Phase("only", 50.0),),
        ("hidden", "soma", "only"),
    )


def simulated(circuit: Circuit | None = None, params: Any = PARAMS, **settings: Any) -> Simulator:
    return Simulator(circuit or pair(), params, Settings(**settings))


def grown(**changes: Any) -> Circuit:
    return replace(pair(), **changes)


def loop(gain: float, tau: float = 10.0) -> Circuit:
    """Three neurons that excite each other."""
    cells = Population("hidden", 3, (Compartment("soma", tau),), RATE)
    back = Projection("V", "hidden", "hidden.soma", weights=gain * np.ones((3, 3)))
    drive = Population("input", 3, (Compartment("soma", clamp="x"),), RATE, kind="input")
    feed = Projection("in", "input", "hidden.soma", one_to_one=True)
    answer = ("hidden", "soma", "only")
    return Circuit("loop", (drive, cells), (feed, back), (Phase("only"),), answer)


INF, NAN = float("inf"), float("nan")
WRONG: dict[str, tuple[Callable[[], Any], list[str]]] = {
    # populations
    "size": (lambda: Population("cell", 0, SOMA, RATE), ["size of population cell", "1 or more"]),
    "kind": (lambda: Population("cell", 1, SOMA, RATE, kind="glia"), ["kind of population cell", "glia", "pyramidal"]),
    "twice": (lambda: Population("cell", 1, SOMA * 2, RATE), ["population cell", "different names"]),
    "tau": (lambda: Population("cell", 1, (Compartment("soma", -1.0),), RATE), ["tau of cell.soma", "-1", "0 or more"]),
    "tau inf": (lambda: Population("cell", 1, (Compartment("soma", INF),), RATE), ["tau of cell.soma", "inf"]),
    "tau nan": (lambda: Population("cell", 1, (Compartment("soma", NAN),), RATE), ["tau of cell.soma", "nan"]),
    "leak": (lambda: Population("cell", 1, (Compartment("soma", leak=-0.1),), RATE), ["leak of cell.soma"]),
    "noise": (lambda: Population("cell", 1, (Compartment("soma", noise=NAN),), RATE), ["noise of cell.soma"]),
    "coupling": (lambda: Population("cell", 1, SOMA, RATE, (Coupling(lambda n: n.soma, "axon"),)), ["coupling of population cell", "'axon'", "soma"]),
    "conductance": (lambda: Population("cell", 1, SOMA, RATE, (Coupling(lambda n: n.soma, "soma", -1.0),)), ["conductance into cell.soma", "-1"]),
    "output": (lambda: Population("cell", 1, SOMA, {"rate": lambda n: n.dendrite}), ["population cell", "'dendrite'", "soma"]),
    # projections
    "source": (lambda: pair(source="inputs"), ["source of projection W", "circuit pair", "'inputs'", "input, hidden"]),
    "source output": (lambda: pair(source="input.spikes"), ["source of projection W", "'spikes'", "rate"]),
    "target": (lambda: pair(target="hiden.soma"), ["target of projection W", "'hiden'", "hidden"]),
    "compartment": (lambda: pair(target="hidden.dendrite"), ["compartment of hidden", "'dendrite'", "soma, apical"]),
    "no compartment": (lambda: pair(target="hidden"), ["target of projection W", "population.compartment"]),
    "delay": (lambda: pair(delay=-1), ["delay of projection W", "-1", "whole number"]),
    "half a step": (lambda: pair(delay=0.5), ["delay of projection W", "0.5", "whole number"]),
    "phase": (lambda: pair(phases=("later",)), ["phase of projection W", "'later'", "only"]),
    "plasticity phase": (lambda: pair(plasticity=(Plasticity(hebbian, ("late",)),)), ["phase of projection W", "'late'", "only"]),
    "one_to_one": (lambda: pair(one_to_one=True, parameter=None), ["projection W", "from 2 to 3 neurons", "as many"]),
    "one_to_one learns": (lambda: pair(one_to_one=True), ["projection W", "one_to_one with weights"]),
    "no weights": (lambda: pair(parameter=None), ["projection W", "a parameter"]),
    "weights shape": (lambda: pair(parameter=None, weights=np.ones((2, 3))), ["weights of projection W", "(2, 3)", "(3, 2)"]),
    # circuits
    "two populations": (lambda: grown(populations=pair().populations * 2), ["population hidden", "twice"]),
    "two projections": (lambda: grown(projections=pair().projections * 2), ["projection W", "twice"]),
    "two phases": (lambda: grown(phases=(Phase("only"),) * 2), ["phase only", "twice"]),
    "negative duration": (lambda: grown(phases=(Phase("only", -5.0),)), ["duration of phase only", "-5", "above 0"]),
    "no duration": (lambda: grown(phases=(Phase("only", 0.0),)), ["duration of phase only", "above 0"]),
    "answer": (lambda: grown(answer=("output", "soma", "only")), ["answer", "'output'", "hidden"]),
    "answer compartment": (lambda: grown(answer=("hidden", "axon", "only")), ["'axon'", "soma, apical"]),
    "answer phase": (lambda: grown(answer=("hidden", "soma", "last")), ["phase of answer", "'last'", "only"]),
    "cut": (lambda: pair().without(cut=["V"]), ["projection in circuit pair", "'V'", "W"]),
    "silence": (lambda: pair().without(silent=["glia"]), ["population in circuit pair", "'glia'", "input, hidden"]),
    # simulation
    "dt": (lambda: simulated(mode="continuous", dt=20.0), ["dt of circuit pair", "20 ms", "10 ms", "hidden.soma", "τ = 0"]),
    "dt and phase": (lambda: simulated(mode="continuous", dt=60.0), ["dt", "60 ms", "50 ms", "phase only"]),
    "window": (lambda: simulated(window=60.0), ["window", "60 ms", "50 ms", "phase only"]),
    "commit": (lambda: simulated(commit="step"), ["commit", "step", "sample where mode is steady"]),
    "parameter shape": (lambda: simulated(params={"W": [np.ones((2, 2))]}), ["weights of projection W", "(2, 2)", "(3, 2)"]),
    "clamp missing": (lambda: simulated().present({"y": np.ones(2)}), ["clamp of input.soma", "['y']", "'x'"]),
    "clamp shape": (lambda: simulated().present({"x": np.ones(3)}), ["clamp of input.soma", "(3,)", "(2,)"]),
    "probe population": (lambda: simulated().present({"x": np.ones(2)}, probe=Probe(("glia.soma",))), ["population in circuit pair", "'glia'"]),
    "probe compartment": (lambda: simulated().read("hidden.axon"), ["compartment of hidden", "'axon'", "soma, apical"]),
    "algebraic loop": (lambda: Simulator(loop(0.1, tau=0.0), {}, Settings(mode="continuous")), ["loop in circuit loop", "hidden.soma", "time constant above 0"]),
    "bounds": (lambda: simulated(low=1.0, high=0.0), ["low and high", "1 and 0", "low below high"]),
    # networks
    "option": (lambda: CircuitNetwork(NetworkSpec((3, 2)), tauu=1.0), ["option", "'tauu'", "mode", "did you mean 'tau'"]),
    "negative phase": (lambda: CircuitNetwork(NetworkSpec((3, 2)), phase=-1.0), ["phase", "-1", "greater than 0"]),
    "network dt": (lambda: CircuitNetwork(NetworkSpec((3, 4, 2)), mode="continuous", dt=5.0), ["dt of circuit pepita", "5 ms", "1 ms", "hidden_1.soma"]),
    "mirroring": (lambda: CircuitNetwork(NetworkSpec((3, 4, 2)), mirror_every=2, init="he_normal", sign=-1), ["mirroring in circuit pepita", "expected 0"]),
    "state": (lambda: CircuitNetwork(NetworkSpec((3, 2))).load_state({}), ["state", "other arrays", "those of this circuit"]),
    "label": (lambda: CircuitNetwork(NetworkSpec((3, 2))).learn(np.ones((1, 3)), labels=[2]), ["labels", "2", "0 to 1"]),
    "sample": (lambda: CircuitNetwork(NetworkSpec((3, 2))).learn(np.ones((1, 4)), labels=[0]), ["X", "4", "3"]),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_an_invalid_circuit_is_refused_with_a_reason(case: str) -> None:
    make, words = WRONG[case]
    with pytest.raises(UserError) as caught:
        make()
    text = str(caught.value)
    for word in words:
        assert word in text, text
    assert "\n" not in text and ("got" in text or "expected" in text)


def test_a_valid_circuit_is_built() -> None:
    simulator = simulated(pair(plasticity=(Plasticity(hebbian, ("only",)),)))
    simulator.present({"x": np.array([1.0, 2.0])}, lr=0.1)
    want = 1 + 0.1 * np.outer([3, 3, 3], [1, 2])
    np.testing.assert_allclose(simulator.weights("W"), want)
    Simulator(loop(0.1), {}, Settings()).present({"x": np.ones(3)})


def test_a_loop_that_does_not_settle_is_refused() -> None:
    """Three neurons of gain g each settle where 3 g < 1, at 1 / (1 − 3 g)."""
    settled = Simulator(loop(0.3), {}, Settings())
    settled.present({"x": np.ones(3)})
    np.testing.assert_allclose(settled.read("hidden.rate"), 10.0)
    for gain in (1 / 3, 0.5):
        with pytest.raises(Diverged, match="phase only of circuit loop: got no steady state"):
            Simulator(loop(gain), {}, Settings()).present({"x": np.ones(3)})


def test_a_refused_change_changes_nothing() -> None:
    net = CircuitNetwork(NetworkSpec((3, 4, 2)), mode="continuous", phase=20.0)
    before, options = net.state(), net.options
    with pytest.raises(BadOption):
        net.set(lr=0.5, dt=7.0)
    assert net.options == options
    for name, array in net.state().items():
        np.testing.assert_array_equal(array, before[name])
