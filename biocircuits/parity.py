"""Circuits as one more implementation of their rules, for `parity` and the catalogue."""

from __future__ import annotations

from biocircuits.catalogue import load
from biocircuits.network import CIRCUITS, CircuitNetwork
from rate_models.checks.parity import Array, Case, Sample, Twin
from rate_models.errors import BadOption
from rate_models.network import Parameters
from rate_models.support import lookup


def circuits_of(rule: str) -> list[str]:
    """The names of the circuits whose steady state is the rule.

    >>> circuits_of("pepita"), circuits_of("backprop")
    (['pepita'], [])
    """
    return [name for name in lookup.names(CIRCUITS) if rule == load(name).rule]


def maker(case: Case, dtype: str, seed: int) -> Twin | None:
    """The first circuit of the rule of a case, in steady state.

    Returns None where no circuit can do the same: the rule or this variant of it has no circuit,
    the precision is not float64, or the optimiser has momentum or weight decay.
    """
    names = circuits_of(case.rule.name)
    return twin_of(names[0], case, seed) if names and dtype == "float64" else None


def twin_of(circuit: str, case: Case, seed: int) -> Twin | None:
    """A circuit in steady state; None where it has not this variant of its rule."""
    try:
        net = CircuitNetwork(case.spec, circuit, seed=seed, optimizer=case.optimizer, **case.hyper)
    except BadOption:
        return None

    def learn(sample: Sample) -> tuple[Array, Parameters]:
        x, labels, masks, noise = sample
        outcome = net.learn(x, labels, masks=masks, noise=noise)
        return outcome.outputs, net.parameters()

    return learn
