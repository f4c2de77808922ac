"""PEPITA's circuit in time, against the same equations in Brian 2: dt and method the same."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from biocircuits import CircuitNetwork, Probe
from rate_models.network import NetworkSpec

SIZES, TAU, TAU_MEMORY, PHASE, DT = (6, 5, 4, 3), 10.0, 2.0, 60.0, 0.5

EQUATIONS = """
    dd/dt = (-d + current) / tau : 1
    dm/dt = (r - m) / tau_memory : 1
    r = {rate} : 1
    current : 1
    tau : second (shared)
    tau_memory : second (shared)
"""
ERROR = """
    dm/dt = (prediction - target - m) / tau_memory : 1
    prediction : 1
    target : 1
    tau_memory : second (shared)
"""


def in_brian(W: list[np.ndarray], F: np.ndarray, x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Traces (time, neurons) of dendrites, somata and error over both phases."""
    with warnings.catch_warnings():  # it imports deprecated names of pyparsing
        warnings.simplefilter("ignore")
        import brian2 as b  # imported here, because it changes how doctests are collected
    ms = b.ms
    b.prefs.codegen.target = "numpy"
    b.start_scope()
    b.defaultclock.dt = DT * ms
    source = b.NeuronGroup(
        SIZES[0], "r = sensory + modulated * thalamic : 1\nsensory : 1\nthalamic : 1\n"
        "modulated : 1 (shared)", name="source",
    )  # fmt: skip
    source.sensory = x
    groups = [source]
    for layer, rate in enumerate(("tanh(d)", "tanh(d)", "d"), start=1):
        group = b.NeuronGroup(SIZES[layer], EQUATIONS.format(rate=rate),
                              method="exponential_euler", name=f"layer_{layer}")  # fmt: skip
        group.tau = TAU * ms
        groups.append(group)
    error = b.NeuronGroup(SIZES[-1], ERROR, method="exponential_euler", name="error")
    error.target = y
    synapses = []
    for layer in range(1, len(SIZES)):
        forward = b.Synapses(groups[layer - 1], groups[layer],
                             "w : 1\ncurrent_post = w * r_pre : 1 (summed)")  # fmt: skip
        forward.connect()
        forward.w = W[layer - 1].T.ravel()
        synapses.append(forward)
    prediction = b.Synapses(groups[-1], error, "prediction_post = r_pre : 1 (summed)")
    prediction.connect(j="i")
    feedback = b.Synapses(error, source, "w : 1\nthalamic_post = w * m_pre : 1 (summed)")
    feedback.connect()
    feedback.w = F.T.ravel()
    # thalamic input has no delay: its sum must be computed before that of the first layer
    feedback.summed_updaters["thalamic_post"].order = -2
    watched = {f"layer_{n}": b.StateMonitor(groups[n], ["d", "m"], record=True) for n in (1, 2, 3)}
    watched["error"] = b.StateMonitor(error, ["m"], record=True)
    net = b.Network(*groups, error, *synapses, prediction, feedback, *watched.values())
    for standard in (1, 0):
        for group in (*groups[1:], error):
            # a memory without input is one with a time constant of years
            group.tau_memory = TAU_MEMORY * ms if standard else 1e9 * b.second
        source.modulated = 1 - standard
        net.run(PHASE * ms)
    traces = {f"{n}.d": np.array(watched[n].d).T for n in watched if n != "error"}
    return traces | {f"{n}.m": np.array(watched[n].m).T for n in watched}


@pytest.mark.skipif(find_spec("brian2") is None, reason="brian2 is not installed")
def test_the_same_equations_in_brian_give_the_same_traces() -> None:
    spec = NetworkSpec(SIZES, "tanh", "mse")
    net = CircuitNetwork(
        spec, "pepita", seed=0, lr=1e-300, feedback_scale=2.0, mode="continuous", dt=DT,
        tau=TAU, tau_memory=TAU_MEMORY, phase=PHASE,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=SIZES[0]), rng.normal(size=SIZES[-1])
    pairs = {
        "hidden_1.dendrite": "layer_1.d", "hidden_2.dendrite": "layer_2.d",
        "output.dendrite": "layer_3.d", "hidden_1.soma": "layer_1.m",
        "hidden_2.soma": "layer_2.m", "error.soma": "error.m",
    }  # fmt: skip
    params = net.parameters()
    trace = net.watch(x, y, Probe(tuple(pairs), interval=DT))
    theirs = in_brian(params["W"], params["F"], x, y)
    for ours, other in pairs.items():
        a, b = trace.values[ours], theirs[other]
        assert a.shape == b.shape == (2 * PHASE / DT, a.shape[1])
        assert np.abs(a - b).max() < 1e-6 * np.abs(b).max()
    moved = theirs["layer_1.d"][-1] - theirs["layer_1.d"][int(PHASE / DT) - 1]
    assert np.abs(moved).max() > 0.01  # the modulated phase does something
