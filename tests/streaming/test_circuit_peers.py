"""The loops with which circuits are compared follow the same equations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from biocircuits import CircuitNetwork
from rate_models.network import NetworkSpec
from streaming.benchmarks import circuits

IN_TIME = {"mode": "continuous", "window": float(circuits.WINDOW)}


@pytest.mark.parametrize("in_time", [True, False])
def test_the_loop_in_jax_is_the_circuit(in_time: bool) -> None:
    pytest.importorskip("jax")
    spec = NetworkSpec((64, 20, 12, 10))
    X, labels = circuits.data(60)
    options: dict[str, Any] = IN_TIME if in_time else {}
    net = CircuitNetwork(spec, "pepita", lr=circuits.LR, **options)
    loop = circuits.JaxLoop(spec, in_time=in_time)
    before = net.parameters()["W"]
    for part in (slice(0, 53), slice(53, 60)):  # of which no chunk is full
        net.learn(X[part], labels=labels[part])
        loop(X[part], labels[part])
    for ours, theirs, start in zip(net.parameters()["W"], loop.weights, before, strict=True):
        step = np.abs(ours - start).max()
        assert step > 0 and np.abs(ours - np.asarray(theirs)).max() < 1e-4 * step
