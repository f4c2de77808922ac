"""The initial parameters of a network and rule."""

from __future__ import annotations

from typing import Any

import numpy as np

from rate_models import network
from rate_models.network import NetworkSpec, Parameters
from rate_models.rules._contract import Description


def start(rule: Description, spec: NetworkSpec, hyper: Any, seed: int) -> Parameters:
    """The initial parameters of a network and rule. A seed gives the same in all implementations.

    W is drawn by the rule's hyperparameter ``init``, he_uniform where it has none; b = 0. Then
    `Description.init` is called, and the own arrays that it does not return are drawn.
    """
    drawn_by = hyper._asdict().get("init", "he_uniform")
    params = network.initial_weights(spec, seed, drawn_by)
    rng = np.random.default_rng([seed, network.FEEDBACK])
    if rule.init is not None:
        params |= rule.init(spec, hyper, rng)
    for own in rule.own:
        if own.name not in params:
            value = own.start(spec, hyper, params, rng)
            params |= {} if value is None else {own.name: value}
    return params
