"""The network inside a learner: the online network, the textbook or a circuit."""

from __future__ import annotations

from typing import Any

from biocircuits import catalogue
from biocircuits.network import CircuitNetwork
from rate_models import rules
from rate_models.errors import BadOption, quoted
from rate_models.model.hyperparameters import unknown
from rate_models.model.optimizers import Optimizer
from rate_models.network import NetworkSpec, check_whole
from rate_models.online.network import OnlineNetwork
from rate_models.online.textbook import TextbookNetwork
from rate_models.rules import Description, Rule
from streaming.schedule.items import Schedule
from streaming.threads.network import ScheduledNetwork

Network = OnlineNetwork | CircuitNetwork
DEFAULT = "pepita"


def rule_of(rule: str | Description | None, circuit: str | None) -> Description:
    """The description of the learning rule: its losses, hyperparameters and defaults.

    rule: a name, the path of a file, or the rule itself. None selects the rule of the circuit, or
    pepita. A circuit that implements no rule has a description of its own. Raises UnknownName, and
    BadOption if the rule is not that of the circuit.

    >>> rule_of(None, "bmvr").name
    'bmvr'
    """
    if circuit is None:
        return rules.get(DEFAULT if rule is None else rule)
    own = catalogue.load(circuit).definition
    if not (rule is None or rule is own or (isinstance(rule, str) and rule == own.name)):
        expected = f"{own.name!r} or none"
        raise BadOption(f"rule of circuit {circuit}", got=quoted(rule), expected=expected)
    return own


def references(rule: Description, circuit: str | None) -> dict[str, str | None]:
    """References to rule and circuit that another process can load them by.

    A reference is a name or, for a file of one's own, its path and digest. Raises BadOption if
    there is none: see `rate_models.rules.Description.reference`.
    """
    if circuit is None:
        return {"rule": rule.reference, "circuit": None}
    return {"rule": rule.name, "circuit": catalogue.reference(catalogue.load(circuit))}


def circuit_of(network: Network) -> str | None:
    """The reference to the circuit of a network; None if the network is not a circuit."""
    return network.reference if isinstance(network, CircuitNetwork) else None


def build(
    rule: Description,
    spec: NetworkSpec,
    circuit: str | None,
    seed: int,
    dtype: str,
    options: dict[str, Any],
    schedule: str = "sequential",
    workers: int = 1,
    batch: int = 1,
) -> Network:
    """A new network that learns by ``rule``, as the online kernel, the textbook or a circuit.

    options: fields of the optimiser and the rule; for a circuit also its settings and those of the
    simulation. schedule, workers, batch: see `streaming.threads.network`.
    Raises UnknownName, which lists all options, and BadOption.
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
        for name in ("spec", "circuit", "seed", "dtype", "optimizer"):  # arguments, not options
            if name in options:
                raise unknown(name, list(Optimizer._fields))
        return CircuitNetwork(spec, circuit, seed=seed, dtype=dtype, **options)
    assert isinstance(rule, Rule)
    own = rule.hyperparameters._fields
    if odd := [name for name in options if name not in (*Optimizer._fields, *own)]:
        raise unknown(odd[0], [*Optimizer._fields, *own])
    optimizer = Optimizer(**{k: v for k, v in options.items() if k in Optimizer._fields})
    hyper = {k: v for k, v in options.items() if k in own}
    common: dict[str, Any] = {"seed": seed, "dtype": dtype, "optimizer": optimizer, **hyper}
    if alone:
        kind = OnlineNetwork if rule.compiled else TextbookNetwork
        return kind(spec, rule, **common)
    return ScheduledNetwork(spec, rule, schedule=how, workers=workers, **common)
