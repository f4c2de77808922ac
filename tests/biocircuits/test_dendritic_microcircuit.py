"""The dendritic microcircuit against linear algebra, and against claims of its paper."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from biocircuits import CircuitNetwork
from rate_models.errors import BadOption
from rate_models.network import NetworkSpec

LEAK, BASAL, APICAL, DENDRITE, SOMA = 0.1, 1.0, 0.8, 1.0, 0.8


def network(activation: str = "tanh", sizes: tuple[int, ...] = (7, 6, 5, 4), **options: Any) -> Any:
    spec = NetworkSpec(sizes, activation, "mse")
    return CircuitNetwork(spec, "dendritic_microcircuit", **{"seed": 1, "lr": 0.05, **options})


def samples(n: int = 20) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    return rng.normal(size=(n, 7)), rng.normal(size=(n, 4))


def settled(net: Any, x: np.ndarray, y: np.ndarray | None) -> dict[str, np.ndarray]:
    """All potentials of the linear circuit by one linear solve of its equations as written."""
    p, n = net.parameters(), net.spec.sizes
    names = {"u1": n[1], "u2": n[2], "u3": n[3], "i1": n[2], "i2": n[3]}
    at = dict(zip(names, np.cumsum([0, *list(names.values())[:-1]]), strict=True))
    part = {k: slice(at[k], at[k] + names[k]) for k in names}
    total = sum(names.values())
    A, rhs = np.zeros((total, total)), np.zeros(total)
    (W1, W2, W3), (B2, B3), (P1, P2), (V1, V2) = p["W"], p["B"], p["P"], p["V"]

    def put(to: str, source: str, matrix: Any) -> None:
        A[part[to], part[source]] += matrix

    for name in names:  # every term of 0 = -g_L u + Σ g (v - u)
        nudged = SOMA if name != "u3" or y is not None else 0.0
        conductance = {"u1": BASAL + APICAL, "u2": BASAL + APICAL, "u3": BASAL + nudged}
        put(name, name, -np.eye(names[name]) * (LEAK + conductance.get(name, DENDRITE + SOMA)))
    rhs[part["u1"]] = -BASAL * W1 @ x
    put("u2", "u1", BASAL * W2)
    put("u3", "u2", BASAL * W3)
    put("u1", "u2", APICAL * B2.T)
    put("u1", "i1", APICAL * V1)
    put("u2", "u3", APICAL * B3.T)
    put("u2", "i2", APICAL * V2)
    put("i1", "u1", DENDRITE * P1)
    put("i1", "u2", SOMA * np.eye(n[2]))
    put("i2", "u2", DENDRITE * P2)
    put("i2", "u3", SOMA * np.eye(n[3]))
    if y is not None:
        rhs[part["u3"]] = -SOMA * y
    solved = np.linalg.solve(A, rhs)
    return {name: solved[part[name]] for name in names}


COMPARTMENTS = {"u1": "hidden_1.soma", "u2": "hidden_2.soma", "u3": "output.soma",
          "i1": "interneuron_1.soma", "i2": "interneuron_2.soma"}  # fmt: skip


@pytest.mark.parametrize("asymmetry", [0.0, 0.3])
def test_steady_states_and_changes_are_those_of_linear_algebra(asymmetry: float) -> None:
    net = network("identity", asymmetry=asymmetry)
    x, y = (a[0] for a in samples())
    before = net.parameters()
    free, nudged_state = settled(net, x, None), settled(net, x, y)
    outcome = net.learn(x[None], targets=y[None])
    np.testing.assert_allclose(outcome.outputs[0], free["u3"], atol=1e-12)
    for name, compartment in COMPARTMENTS.items():
        np.testing.assert_allclose(net.simulator.read(compartment), nudged_state[name], atol=1e-12)
    after = net.parameters()
    rates = [x, nudged_state["u1"], nudged_state["u2"]]
    for k, (rate, soma) in enumerate(zip(rates, ("u1", "u2", "u3"), strict=True)):
        g = LEAK + BASAL + (APICAL if k < 2 else 0)
        predicted = BASAL / g * before["W"][k] @ rate
        want = 0.05 * np.outer(nudged_state[soma] - predicted, rate)
        np.testing.assert_allclose(after["W"][k] - before["W"][k], want, atol=1e-12)
    for k, (me, above, between) in enumerate([("u1", "u2", "i1"), ("u2", "u3", "i2")]):
        apical = before["B"][k].T @ free[above] + before["V"][k] @ free[between]
        want = -0.05 * np.outer(apical, free[between])
        np.testing.assert_allclose(after["V"][k] - before["V"][k], want, atol=1e-12)
        guess = DENDRITE / (LEAK + DENDRITE) * before["P"][k] @ free[me]
        want = 0.05 * np.outer(free[between] - guess, free[me])
        np.testing.assert_allclose(after["P"][k] - before["P"][k], want, atol=1e-12)
        np.testing.assert_array_equal(after["B"][k], before["B"][k])


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
def test_the_self_predicting_state_keeps_apical_dendrites_at_rest(activation: str) -> None:
    """Without a target; with one, the apical potential is its effect on the layer above."""
    net = network(activation)
    simulator, (X, Y) = net.simulator, samples()
    for x, y in zip(X, Y, strict=True):
        simulator.present({"x": x, "y": y}, until="free")
        for k in (1, 2):
            above = simulator.read(f"{['hidden_2', 'output'][k - 1]}.soma")
            np.testing.assert_allclose(simulator.read(f"interneuron_{k}.soma"), above, atol=1e-12)
            assert np.abs(simulator.read(f"hidden_{k}.apical")).max() < 1e-12
        simulator.present({"x": x, "y": y})
        assert np.abs(simulator.read("hidden_2.apical")).max() > 1e-3
    broken = network(activation, asymmetry=0.3)
    broken.simulator.present({"x": X[0], "y": Y[0]}, until="free")
    assert np.abs(broken.simulator.read("hidden_2.apical")).max() > 1e-3


def test_lateral_plasticity_finds_the_self_predicting_state() -> None:
    """From random lateral weights, without a target, apical potentials vanish, also for new
    patterns."""
    net, rng = network(lr=0.05, asymmetry=0.5), np.random.default_rng(0)

    def apical() -> float:
        total, twin = 0.0, network()
        twin.load_parameters(net.parameters())
        for x in np.random.default_rng(9).normal(size=(30, 7)):
            twin.simulator.present({"x": x, "y": np.zeros(4)}, until="free")
            total += sum(np.abs(twin.simulator.read(f"hidden_{k}.apical")).sum() for k in (1, 2))
        return total

    before = apical()
    for _ in range(1000):
        x = rng.normal(size=(1, 7))
        net.learn(x, targets=net.predict(x))  # a target equal to the prediction has no effect
    assert apical() < 0.05 * before


def test_one_hidden_layer_descends_as_feedback_alignment() -> None:
    """For a small nudge the change of W_1 points where feedback alignment through B points."""
    net = network("tanh", (7, 6, 4), g_soma=1e-3)
    x, y = (a[:1] for a in samples())
    before = net.parameters()
    share = BASAL / (LEAK + BASAL + APICAL)
    u = share * before["W"][0] @ x[0]
    out = BASAL / (LEAK + BASAL) * before["W"][1] @ np.tanh(u)
    delta = (before["B"][0].T @ (y[0] - out)) * (1 - np.tanh(u) ** 2)
    net.learn(x, targets=y)
    change = net.parameters()["W"][0] - before["W"][0]
    want = np.outer(delta, x[0])
    cosine = np.vdot(change, want) / np.linalg.norm(change) / np.linalg.norm(want)
    assert cosine > 0.9999


def test_in_time_it_converges_to_the_steady_state() -> None:
    X, Y = samples(3)
    steady, timed = network(), network(mode="continuous", phase=400.0)
    for net in (steady, timed):
        net.learn(X, targets=Y)
    for name in ("W", "P", "V"):
        for a, b in zip(steady.parameters()[name], timed.parameters()[name], strict=True):
            np.testing.assert_allclose(b, a, atol=1e-8)


def test_unsupported_networks_are_refused() -> None:
    for wrong in ({"bias": True}, {"output": "sigmoid"}, {"loss": "cross_entropy"}):
        spec = NetworkSpec((7, 6, 4), **{"loss": "mse", **wrong})
        with pytest.raises(BadOption, match="dendritic_microcircuit: got"):
            CircuitNetwork(spec, "dendritic_microcircuit")
