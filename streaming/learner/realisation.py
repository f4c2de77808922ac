"""What learns inside a learner: the online network, or a circuit."""

from __future__ import annotations

from typing import Any

from biocircuits import catalogue
from biocircuits.network import CircuitNetwork
from biocircuits.network import rule_of as rule_of_circuit
from rate_models import rules
from rate_models.errors import BadOption, quoted
from rate_models.model.hyperparameters import unknown
from rate_models.model.optimizers import Optimizer
from rate_models.network import NetworkSpec, check_whole
from rate_models.online.network import OnlineNetwork
from rate_models.rules import Description
from streaming.schedule.items import Schedule
from streaming.threads.network import ScheduledNetwork

Network = OnlineNetwork | CircuitNetwork
DEFAULT = "pepita"


def rule_of(rule: str | None, circuit: str | None) -> tuple[str, Description]:
    """The name of the rule, and what it states: losses, hyperparameters and the rest.

    rule: None takes the circuit's own, or pepita. A circuit that follows no rule is its own.
    Raises UnknownName, and BadOption for a rule that is not the circuit's.

    >>> rule_of(None, "bmvr")[0]
    'bmvr'
    """
    if circuit is None:
        rule = DEFAULT if rule is None else rule
        return rule, rules.get(rule)
    made = catalogue.load(circuit)
    own = rule_of_circuit(made)
    if rule not in (None, own.name):
        expected = f"{own.name!r} or none"
        raise BadOption(f"rule of circuit {circuit}", got=quoted(rule), expected=expected)
    return own.name, own


def circuit_of(network: Network) -> str | None:
    """The name of the circuit that a network is; None for one that is none."""
    return network.circuit.name if isinstance(network, CircuitNetwork) else None


def build(
    rule: str,
    spec: NetworkSpec,
    circuit: str | None,
    seed: int,
    dtype: str,
    options: dict[str, Any],
    schedule: str = "sequential",
    workers: int = 1,
    batch: int = 1,
) -> Network:
    """The network that learns by ``rule``, as the online kernel or as a circuit.

    options: fields of the optimiser and of the rule; for a circuit also of its own settings and of
    the simulation. schedule, workers, batch: see `streaming.threads.network`.
    Raises UnknownName, listing all options, and BadOption.
    """
    check_whole("workers", workers)
    check_whole("batch", batch)
    how = Schedule.parse(schedule, batch)
    alone = how.kind == "sequential" and workers == 1 and batch == 1
    if circuit is not None and not alone:
        expected = "sequential, 1 and 1: circuits have no other"
        got = f"{how}, {workers}, {batch}"
        raise BadOption("schedule, workers, batch", got=got, expected=expected)
    if circuit is not None:
        if dtype != CircuitNetwork.dtype:
            remedy = "circuits have no other precision"
            at = f"dtype of circuit {circuit}"
            raise BadOption(at, got=dtype, expected=CircuitNetwork.dtype, remedy=remedy)
        for name in ("spec", "circuit", "seed", "optimizer"):  # no options, but arguments
            if name in options:
                raise unknown(name, list(Optimizer._fields))
        return CircuitNetwork(spec, circuit, seed=seed, **options)
    own = rules.get(rule).hyperparameters._fields
    if odd := [name for name in options if name not in (*Optimizer._fields, *own)]:
        raise unknown(odd[0], [*Optimizer._fields, *own])
    optimizer = Optimizer(**{k: v for k, v in options.items() if k in Optimizer._fields})
    hyper = {k: v for k, v in options.items() if k in own}
    common: dict[str, Any] = {"seed": seed, "dtype": dtype, "optimizer": optimizer, **hyper}
    if alone:
        return OnlineNetwork(spec, rule, **common)
    return ScheduledNetwork(spec, rule, schedule=how, workers=workers, **common)
