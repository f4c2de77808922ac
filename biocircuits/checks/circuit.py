"""Tests of the contract of a circuit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from biocircuits import catalogue, locality, parity
from biocircuits.network import CircuitNetwork
from rate_models.checks.parity import TOLERANCE, cases_of, deviations_of
from rate_models.checks.report import Line, Report, carried_out
from rate_models.network import NetworkSpec
from rate_models.rules import Rule, nearest
from rate_models.support import lookup, own_files

SAMPLES = 20
SPEC = NetworkSpec((6, 5, 4, 3))


class Subject(NamedTuple):
    """A circuit by its name or file, and how often it is shown a sample."""

    name: str
    samples: int


def check_circuit(
    name: str, *, samples: int = SAMPLES, only: Sequence[str] | None = None
) -> Report:
    """Test the contract of a circuit. name: of a circuit, or the path of a file.

    Raises what `biocircuits.catalogue.load` raises.
    """
    catalogue.load(name)
    lines = carried_out(CHECKS, Subject(name, samples), only)
    return Report("circuit", own_files.shown(name), lines)


def _description(on: Subject) -> Iterator[Line]:
    if "Source:" in lookup.document(lookup.module(catalogue.CIRCUITS, on.name)):
        yield Line("description", True)
    else:
        yield Line("description", False, "no paragraph `Source:` in the docstring of the file")


def _needs(on: Subject) -> Iterator[Line]:
    """The properties that the rule declares are those of the circuit."""
    declared = catalogue.load(on.name).definition.properties
    needed = locality.needs(locality.example(on.name))
    odd = [f"{field}: the circuit has {has}, the rule declares {states}"
           for field, has, states in zip(needed._fields, needed, declared, strict=True)
           if has != states]  # fmt: skip
    yield Line("properties", not odd, "; ".join(odd))


def _steady(on: Subject) -> Iterator[Line]:
    """In the steady state the circuit is the textbook of its rule, after every sample."""
    what, rule = "steady state = textbook", catalogue.load(on.name).definition
    if not isinstance(rule, Rule):
        yield Line(what, None, "it follows no rule: there is no textbook")
        return
    worst, compared, limit = 0.0, 0, TOLERANCE["float64"]
    for case in cases_of(rule):
        case = case._replace(optimizer=case.optimizer._replace(momentum=0.0, weight_decay=0.0))
        twin = parity.twin_of(on.name, case, 0)
        if twin is None:
            continue
        for sample, deviations in enumerate(
            deviations_of(case, {("circuit", "float64"): twin}, on.samples, 0), start=1
        ):
            (*_, array), deviation = max(deviations.items(), key=lambda one: one[1])
            if not deviation <= limit:
                text = f"{array} is {deviation:.2g} off after sample {sample}"
                yield Line(what, False, f"{text}; {limit:g} is allowed")
                return
            worst, compared = max(worst, deviation), compared + 1
    measured = f"{worst:.1e} off at most, {compared} samples; {limit:g} is allowed"
    yield Line(
        what, bool(compared), measured if compared else "it takes none of the rule's networks"
    )


def _network(on: Subject) -> CircuitNetwork:
    rule = catalogue.load(on.name).definition
    near = nearest(rule, NetworkSpec(SPEC.sizes, loss=rule.loss)) or SPEC
    return CircuitNetwork(near, on.name, seed=0)


def _samples(on: Subject, net: CircuitNetwork) -> tuple[Any, Any]:
    rng, sizes = np.random.default_rng(0), net.spec.sizes
    return rng.random((on.samples, sizes[0])), rng.integers(0, sizes[-1], on.samples)


def _differing(net: CircuitNetwork, whole: CircuitNetwork) -> str:
    mine, theirs = net.state(), whole.state()
    return ", ".join(k for k, a in theirs.items() if mine[k].tobytes() != a.tobytes())


def _resume(on: Subject) -> Iterator[Line]:
    """A network that takes over the state of another goes on bit for bit."""
    whole, first, second = _network(on), _network(on), _network(on)
    (x, labels), half = _samples(on, whole), on.samples // 2
    whole.learn(x, labels)
    first.learn(x[:half], labels[:half])
    second.load_state(first.state())
    second.learn(x[half:], labels[half:])
    odd = _differing(second, whole)
    yield Line("resume", not odd, f"resumed after {half} samples, others: {odd}" if odd else "")


def _chunking(on: Subject) -> Iterator[Line]:
    """One call per sample and one call for all give the same bits."""
    whole, parts = _network(on), _network(on)
    x, labels = _samples(on, whole)
    whole.learn(x, labels)
    for i in range(on.samples):
        parts.learn(x[i : i + 1], labels[i : i + 1])
        parts.predict(x[:2])
    odd = _differing(parts, whole)
    yield Line("any chunking", not odd, f"learned one by one, others: {odd}" if odd else "")


def _in_time(on: Subject) -> Iterator[Line]:
    """It runs in continuous time, and nothing grows beyond bounds."""
    net = _network(on)
    x, labels = _samples(on, net)
    net.set(mode="continuous")
    net.learn(x[:2], labels[:2])
    yield Line("continuous time", net.is_finite(), "" if net.is_finite() else "it diverges")


CHECKS: dict[str, Callable[[Subject], Iterator[Line]]] = {
    "description": _description,
    "properties": _needs,
    "steady state = textbook": _steady,
    "resume": _resume,
    "any chunking": _chunking,
    "continuous time": _in_time,
}
