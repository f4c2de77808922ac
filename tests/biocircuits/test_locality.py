"""Requirements of a circuit are those that its rule declares; non-local plasticity is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from project import ROOT

from biocircuits import (
    Circuit,
    CircuitNetwork,
    Compartment,
    Coupling,
    Phase,
    Plasticity,
    Population,
    Projection,
    locality,
)  # fmt: skip
from biocircuits.catalogue import CIRCUITS, load
from biocircuits.description.signals import positive
from rate_models.errors import BadOption
from rate_models.network import NetworkSpec
from rate_models.support import lookup

NAMES = lookup.names(CIRCUITS)
DEEP = NetworkSpec((6, 5, 4, 3))
HIDDEN = np.eye(3)  # not accessible to a synapse
NUMBER = 0.5


@pytest.mark.parametrize("name", NAMES)
def test_derived_requirements_are_those_that_the_rule_declares(name: str) -> None:
    definition = load(name).definition
    assert locality.needs(locality.example(name)) == definition.properties


def test_the_page_has_the_table() -> None:
    page = ROOT / "docs" / "circuits.md"
    assert locality.table() in page.read_text(encoding="utf-8")


def built(name: str, hyper: dict[str, Any], own: dict[str, Any]) -> Circuit:
    file = load(name)
    return file.build(DEEP, file.definition.hyperparameters(**hyper), file.settings(**own))


def test_variants() -> None:
    pepita_needs = locality.needs(built("pepita", {}, {}))
    assert locality.needs(built("pepita", {}, {"store": "interneuron"})) == pepita_needs
    assert locality.needs(built("pepita", {"form": "hebbian"}, {})) == pepita_needs
    assert locality.needs(built("pepita", {"inject": 1}, {})) == pepita_needs
    cut = built("pepita", {}, {}).without(["feedback"])
    assert locality.needs(cut).update_locking == "none"  # the error no longer reaches hidden layers
    direct = locality.needs(built("node_perturbation", {"feedback": "dfa"}, {}))
    assert direct.update_locking == "partial" and direct.frozen_activity


def test_backpropagation_as_a_circuit_has_all_four_faults() -> None:
    """Feedback through the forward weights to a compartment on which the rate does not depend."""
    circuit = built("node_perturbation", {}, {})
    shared = [
        replace(p, parameter=("W", int(p.name[2:]))) if p.name.startswith("B_") else p
        for p in circuit.projections
    ]
    needs = locality.needs(replace(circuit, projections=tuple(shared)))
    assert needs.weight_transport and needs.frozen_activity and needs.update_locking == "full"
    assert not locality.needs(circuit).weight_transport


SOMA: dict[str, Callable[[Any], Any]] = {"rate": lambda n: n.soma}


def wired(change: Callable[[Any], Any], broadcast: str | None = None) -> Circuit:
    """Three inputs, three hidden neurons with a second input that does not learn."""
    return Circuit(
        "wired",
        (
            Population("input", 3, (Compartment("soma", clamp="x"),), SOMA, kind="input"),
            Population("other", 3, (Compartment("soma"), Compartment("spine")), SOMA),
            Population("alarm", 1, (Compartment("soma", clamp="x"),), SOMA),
            Population("hidden", 3, (Compartment("soma"),), SOMA, broadcast=broadcast),
        ),
        (
            Projection("W", "input", "hidden.soma", parameter=("W", 0),
                       plasticity=(Plasticity(change, ("only",)),)),
            Projection("V", "other", "hidden.soma", parameter=("V", None)),
        ),
        (Phase("only"),),
        ("hidden", "soma", "only"),
    )  # fmt: skip


def test_honest_plasticity_is_accepted() -> None:
    rate = NUMBER
    double: Callable[[Any], Any] = lambda x: 2 * x  # noqa: E731
    for change in [
        lambda s: s.rate * s.pre - 0.1 * s.weight,
        lambda s: s.rate + s.pre,
        lambda s: s.rate,
        lambda s: NUMBER * double(s.soma) * s.pre * rate,
        partial(lambda k, s: k * s.soma * s.pre, 2.0),
        partial(lambda s, k: k * s.soma * s.pre, k=np.float64(2)),
    ]:
        assert not locality.needs(wired(change)).nonlocal_signals


def test_a_broadcast_is_not_local() -> None:
    loud = wired(lambda s: s.broadcast * s.rate * s.pre, broadcast="alarm")
    assert locality.needs(loud).nonlocal_signals
    assert not locality.needs(wired(lambda s: s.rate * s.pre, broadcast="alarm")).nonlocal_signals
    own = wired(lambda s: s.broadcast * s.rate * s.pre, broadcast="other")
    assert not locality.needs(own).nonlocal_signals  # one for each neuron


def smuggled() -> dict[str, tuple[Callable[[Any], Any], str]]:
    array, network = np.eye(3), CircuitNetwork(NetworkSpec((3, 3)))
    wire = Projection("V", "a", "b.soma", parameter=("V", None))

    def inner(s: Any) -> Any:
        return float(array[0, 0]) * s.pre

    class Peek:
        weights = array

        def change(self, s: Any) -> Any:
            return float(self.weights[0, 0]) * s.rate * s.pre

    return {
        "arithmetic": (lambda s: array * s.rate * s.pre, "array"),
        "closure": (lambda s: float(array[0, 0]) * s.rate * s.pre, "array: got a ndarray"),
        "global": (lambda s: float(HIDDEN[0, 0]) * s.rate * s.pre, "HIDDEN: got a ndarray"),
        "nested": (lambda s: (lambda: float(HIDDEN.sum()))() * s.rate * s.pre, "HIDDEN: got"),
        "default": (lambda s, w=array: float(w[0, 0]) * s.rate * s.pre, "default 0: got a ndarray"),
        "another function": (lambda s: s.rate * inner(s), "array: got a ndarray"),
        "partial": (partial(lambda s, w: float(w.sum()) * s.rate * s.pre, w=array), "ndarray"),
        "list": (lambda s, w=[array]: float(w[0].sum()) * s.rate * s.pre, "ndarray"),
        "network": (lambda s: network.seed * s.rate * s.pre, "CircuitNetwork"),
        "library": (lambda s: float(np.ones(3).sum()) * s.rate * s.pre, "np: got a module"),
        "method": (Peek().change, "a method"),
        "projection": (lambda s: wire.sign * s.rate * s.pre, "wire: got a Projection"),
        "compartment": (lambda s: s.spine * s.pre, "'spine'; expected one of pre, rate, soma"),
        "other weights": (lambda s: s.rate * s.pre - s.V, "'V'; expected one of pre, rate, soma"),
        "population": (lambda s: s.other_rate * s.pre, "'other_rate'; expected one of"),
        "a sum over both": (lambda s: positive(s.rate + s.pre), "across the synapse"),
        "no result": (lambda s: None, "products"),
    }  # fmt: skip


@pytest.mark.parametrize("case", smuggled())
def test_non_local_plasticity_is_refused(case: str) -> None:
    change, message = smuggled()[case]
    with pytest.raises(BadOption, match=r"plasticity|formula") as caught:
        wired(change)
    assert message in str(caught.value)


def test_formulas_of_neurons_are_local_too() -> None:
    soma = (Compartment("soma"),)
    array = np.eye(2)
    with pytest.raises(BadOption, match="output rate of population cell: array: got a ndarray"):
        Population("cell", 2, soma, {"rate": lambda n: n.soma * float(array[0, 0])})
    with pytest.raises(BadOption, match=r"current of cell\.soma: array"):
        current = Compartment("soma", current=lambda n: n.soma * float(array[0, 0]))
        Population("cell", 2, (current,), SOMA)
    with pytest.raises(BadOption, match=r"coupling into cell\.soma: array"):
        pull = Coupling(lambda n: n.soma * float(array[0, 0]), "soma")
        Population("cell", 2, soma, SOMA, (pull,))


def test_weight_transport_is_detected_where_a_parameter_is_shared() -> None:
    circuit = wired(lambda s: s.rate * s.pre)
    back = Projection("back", "hidden", "other.soma", parameter=("W", 0), transposed=True)
    both = replace(circuit, projections=(*circuit.projections, back))
    assert locality.needs(both).weight_transport and not locality.needs(circuit).weight_transport
    watched = replace(circuit, projections=(*circuit.projections, replace(back, observer=True)))
    assert not locality.needs(watched).weight_transport
