"""What the tests of learners share: a shape, samples, and all of the state as bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
from networks import suited_network

from rate_models import rules
from rate_models.network import NetworkSpec
from streaming.learner.learner import OnlineLearner

SIZES = (12, 9, 7, 3)


def samples(n: int = 200, sparse: bool = True) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    X = rng.normal(size=(n, 12)) + 1
    return X * (rng.random(X.shape) < 0.4) if sparse else X, rng.integers(0, 3, n)


def suited(
    rule: str, activation: str = "relu", bias: bool = False, **options: Any
) -> dict[str, Any]:
    """Arguments of a learner of three classes, for the nearest network that the rule can learn."""
    definition = rules.get(rule)
    spec = suited_network(rule, NetworkSpec(SIZES, activation, definition.loss, bias))
    network = {"sizes": spec.sizes, "activation": spec.activation, "bias": spec.bias}
    return {"rule": rule, "classes": (0, 1, 2), **network, **options}


def bits(learner: OnlineLearner) -> dict[str, bytes]:
    """All of the state, and the parameters as they are read."""
    net, scaler = learner._network.state(), learner._scaler.state()
    arrays = {**{f"n.{k}": a for k, a in net.items()}, **{f"s.{k}": a for k, a in scaler.items()}}
    for name, value in learner.parameters().items():
        several = value if isinstance(value, list) else [value]
        arrays |= {f"p.{name}.{i}": a for i, a in enumerate(several)}
    numbers = repr((learner.skipped, learner.samples_seen, learner._entry.features))
    return {name: a.tobytes() for name, a in arrays.items()} | {"": numbers.encode()}
