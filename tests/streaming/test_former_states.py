"""Networks go on from the states that release 0.1 stored, with the weights that it had itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rate_models.errors import BadOption
from rate_models.model.optimizers import Optimizer
from rate_models.network import NetworkSpec
from rate_models.online import former_states
from rate_models.online.network import OnlineNetwork
from streaming.schedule.items import Schedule
from streaming.threads.network import ScheduledNetwork

STORED = Path(__file__).parent / "states/release_0_1.npz"
CASES = {
    "plain_sgd": (Optimizer(0.05), Schedule("sequential"), True),
    "momentum": (Optimizer(0.02, momentum=0.9, weight_decay=0.01), Schedule("sequential"), True),
    "plain_form": (Optimizer(0.05), Schedule("sequential"), False),
    "delayed": (Optimizer(0.05), Schedule("delayed", 2), True),
    "batch": (Optimizer(0.05), Schedule("sequential", 0, 4), True),
}


@pytest.mark.parametrize("name", CASES)
def test_a_former_state_continues(name: str) -> None:
    optimizer, schedule, structured = CASES[name]
    spec = NetworkSpec((7, 5, 3), activation="tanh")
    net = ScheduledNetwork(
        spec, "pepita", schedule=schedule, optimizer=optimizer, structured=structured, seed=3,
        feedback_scale=1.0,
    )  # fmt: skip
    with np.load(STORED) as stored:
        own = {key: stored[key] for key in stored.files if key.startswith(f"{name}/")}
        X, y = stored["X"], stored["y"]
    state = {key.removeprefix(f"{name}/state/"): a for key, a in own.items() if "/state/" in key}
    net.load_state(state)
    assert net.samples_seen == state["clock"][0]
    net.learn(X[30:], labels=y[30:])
    for i, W in enumerate(net.parameters()["W"]):
        np.testing.assert_allclose(W, own[f"{name}/W/{i}"], rtol=1e-10, atol=1e-12)


def test_feedback_matrices_of_a_former_state_are_laid_out_as_now() -> None:
    spec, rule = NetworkSpec((7, 5, 4, 3), activation="tanh"), "direct_feedback_alignment"
    net = OnlineNetwork(spec, rule, optimizer=Optimizer(0.05), seed=8, feedback_scale=1.0)
    with np.load(STORED) as stored:
        own = {key: stored[key] for key in stored.files if key.startswith("feedback/")}
        X, y = stored["X"], stored["y"]
    state = {key.removeprefix("feedback/state/"): a for key, a in own.items() if "/state/" in key}
    with pytest.raises(BadOption, match=r"rule\.B"):
        net.load_state({**state, "rule.B": state["rule.B"][1:]})
    net.load_state(state)
    assert net.parameters()["B"][0].ravel().tolist() == state["rule.B"][:15].tolist()
    net.learn(X[30:], labels=y[30:])
    for i, W in enumerate(net.parameters()["W"]):
        np.testing.assert_allclose(W, own[f"feedback/W/{i}"], rtol=1e-10, atol=1e-12)


def test_a_state_of_this_release_is_left_as_it_is() -> None:
    net = ScheduledNetwork(NetworkSpec((7, 5, 3)), "pepita", schedule=Schedule("sequential"))
    state = net.state()
    assert former_states.upgraded(state) is state
