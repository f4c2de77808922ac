"""The network inside a learner: the online network, the textbook or a circuit; and its growth.

A network grows by more inputs for new features, and by more output units for new classes. A larger
network is built, and takes over every weight between units that existed before, and the sample
count. The rows and columns of new units are drawn from the seed of the network and its new sizes,
by the rule's own distributions. So a stream gives the same network every time, also after it was
interrupted and resumed. Velocities (of ``momentum``) begin at rest, as after
`OnlineNetwork.load_parameters`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biocircuits import catalogue
from biocircuits.network import CircuitNetwork
from rate_models import network, rules
from rate_models.errors import BadOption, quoted
from rate_models.model.hyperparameters import unknown
from rate_models.model.optimizers import Optimizer
from rate_models.network import NetworkSpec, Parameters, check_whole
from rate_models.online.network import OnlineNetwork
from rate_models.online.textbook import TextbookNetwork
from rate_models.rules import Description, Rule
from streaming.schedule.items import Schedule
from streaming.threads.network import ScheduledNetwork

Array = NDArray[Any]
Network = OnlineNetwork | CircuitNetwork
DEFAULT = "pepita"
GROWTH = 7_046_029  # separates the draws of new units from all others of the same seed


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


def grows(what: str, given: object) -> bool:
    """Whether an argument of the learner is "grow". Raises BadOption for another text.

    >>> grows("classes", "grow"), grows("classes", ("a", "b"))
    (True, False)
    """
    if isinstance(given, str) and given != "grow":
        expected = "grow, or nothing" if what == "features" else "labels, or grow"
        raise BadOption(what, got=quoted(given), expected=expected)
    return isinstance(given, str)


def check_growing(old: Network, schedule: str, batch: int) -> None:
    """Raise BadOption for a network that cannot grow between two samples."""
    remedy = "leave grow out"
    if isinstance(old, CircuitNetwork):
        got, expected = f"circuit {old.circuit.name}", "no circuit: its populations keep their size"
        raise BadOption("grow", got=got, expected=expected, remedy=remedy)
    if schedule.startswith("delayed") or batch > 1:
        got = f"schedule {schedule}, batch {batch}"
        expected = "sequential or pipelined, and batch 1: no update may wait while it grows"
        raise BadOption("grow", got=got, expected=expected, remedy=remedy)


def larger(
    old: Network, inputs: int, outputs: int, kept: Array, schedule: str, workers: int
) -> Network:
    """A network with more inputs or outputs than ``old``, which stays unchanged.

    inputs, outputs: the new n_0 and n_L. kept: the positions of the old inputs among the new ones;
    old outputs stay the first ones. schedule, workers: see `build`.
    Raises BadOption if the rule cannot learn the larger network, or if memory is short.
    """
    spec = replace(old.spec, sizes=(inputs, *old.spec.sizes[1:-1], outputs))
    definition, hyper = old.definition, old.hyper
    with warnings.catch_warnings():  # the constructor has warned of the shape already
        warnings.simplefilter("ignore")
        new = build(definition, spec, None, old.seed, old.dtype, old.options, schedule, workers)
        drawn = _drawn(definition, spec, hyper, old.seed, old.parameters(), kept)
    new.load_parameters(drawn)
    new.load_state({**new.state(), "clock": old.state()["clock"]})
    new.lock = old.lock  # whoever waits for the old network gets the new one
    return new


def _drawn(
    definition: Description,
    spec: NetworkSpec,
    hyper: Any,
    seed: int,
    old: Mapping[str, Any],
    kept: Array,
) -> Parameters:
    """The parameters ``old``, and new draws for the units that are new in ``spec``.

    As `rules.start`, but an own array may depend on what the earlier ones have kept.
    """
    of_growth = np.random.SeedSequence([seed, GROWTH, spec.sizes[0], spec.sizes[-1]])
    new_seed = int(of_growth.generate_state(1)[0])
    rng = np.random.default_rng([new_seed, network.FEEDBACK])
    drawn_by = hyper._asdict().get("init", "he_uniform")
    params = network.initial_weights(spec, new_seed, drawn_by)
    first = {} if definition.init is None else definition.init(spec, hyper, rng)
    params |= first
    axes: dict[str, list[tuple[int, ...]]] = {
        "W": [(n + 1, n) for n in range(spec.layers)],
        "b": [(n + 1,) for n in range(spec.layers)],
    }
    for name in axes:
        params[name] = _overlaid(params[name], old[name], axes[name], kept)
    for own in definition.own:
        value = first.get(own.name)
        if value is None:
            value = own.start(spec, hyper, params, rng)
        if value is not None:
            layers = own.axes(spec, hyper)
            params[own.name] = _overlaid(value, old[own.name], layers, kept)
    return params


def _overlaid(new: Any, old: Any, axes: Sequence[tuple[int, ...]], kept: Array) -> Any:
    """``new`` with the numbers of ``old`` in the places of the old units; also lists of arrays.

    axes: the layer of each axis, for every array.
    """
    if not isinstance(new, list):
        (one,) = axes
        return _overlaid([new], [old], [one], kept)[0]
    for array, before, layers in zip(new, old, axes, strict=False):
        places = [np.arange(n) for n in before.shape]
        for axis, layer in enumerate(layers):
            if layer == 0:
                places[axis] = kept
        array[np.ix_(*places)] = before
    return new
