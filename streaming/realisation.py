"""What learns inside a learner: the online network, or, in later versions, a circuit."""

from __future__ import annotations

from typing import Any

from rate_models import lookup
from rate_models.errors import BadOption
from rate_models.hyperparameters import unknown
from rate_models.network import NetworkSpec
from rate_models.online import RULES, OnlineNetwork
from rate_models.optimizers import Optimizer


def build(
    rule: str,
    spec: NetworkSpec,
    circuit: str | None,
    seed: int,
    dtype: str,
    options: dict[str, Any],
) -> OnlineNetwork:
    """The network that learns by ``rule``; options: fields of the optimiser and of the rule.

    Raises UnknownName, listing all options, and BadOption.
    """
    if circuit is not None:
        raise BadOption(
            "circuit", got=repr(circuit), remedy="circuits are not part of this version yet"
        )
    own = lookup.get(RULES, rule).Hyperparameters._fields
    if odd := [name for name in options if name not in (*Optimizer._fields, *own)]:
        raise unknown(odd[0], [*Optimizer._fields, *own])
    optimizer = Optimizer(**{k: v for k, v in options.items() if k in Optimizer._fields})
    hyper = {k: v for k, v in options.items() if k in own}
    return OnlineNetwork(spec, rule, seed=seed, dtype=dtype, optimizer=optimizer, **hyper)
