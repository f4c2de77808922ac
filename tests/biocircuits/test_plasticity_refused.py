"""Formulas that are no plasticity are one clear error."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from biocircuits import (
    Circuit,
    Compartment,
    Coupling,
    Phase,
    Plasticity,
    Population,
    Projection,
)
from biocircuits.description.signals import activation, exp, log, relu, slope
from rate_models.errors import UserError

RATE: dict[str, Any] = {"rate": lambda n: n.soma}

DRIVE = np.array([[0.3, -0.2, 0.6], [-0.4, 0.9, 0.1]])  # fixed: the postsynaptic rate is DRIVE X


def circuit(change: Any) -> Circuit:
    """Three inputs and two neurons: DRIVE drives the soma, W learns at the apical compartment."""
    cells = (Compartment("soma"), Compartment("apical"))
    return Circuit(
        "language",
        (Population("input", 3, Compartment("soma", clamp="x"), RATE, kind="input"),
         Population("hidden", 2, cells, RATE)),
        (Projection("drive", "input", "hidden.soma", weights=DRIVE),
         Projection("W", "input", "hidden.apical", parameter=("W", None),
                    plasticity=Plasticity(change, "only"))),
        Phase("only", 20.0),
        ("hidden", "soma", "only"),
    )  # fmt: skip


def if_else(s: Any) -> Any:
    return s.pre if s.rate > 0 else s.weight


def forgotten(s: Any) -> Any:
    s.rate * s.pre


def assigned(s: Any) -> Any:
    s.weight = 1.0


def unknown(s: Any) -> Any:
    return undefined * s.pre  # type: ignore[name-defined] # noqa: F821


def long(s: Any) -> Any:
    x = s.pre
    for _ in range(5000):
        x = x + s.pre
    return x


def exploded(s: Any) -> Any:
    return (s.pre + s.rate + s.weight) ** 12


HOSTILE: dict[str, Any] = {
    "if": if_else,
    "and": lambda s: s.rate > 0 and s.pre,
    "or": lambda s: s.rate or s.pre,
    "not": lambda s: not s.rate,
    "chained": lambda s: 0 < s.rate < 1,
    "max": lambda s: max(s.rate, 0),
    "equal": lambda s: (s.rate == 0) * s.pre,
    "not equal": lambda s: (s.rate != s.pre) * s.pre,
    "half a power": lambda s: s.pre**0.5,
    "no power": lambda s: s.pre**0,
    "power of a signal": lambda s: s.pre**s.rate,
    "number to a signal": lambda s: 2**s.rate,
    "floor": lambda s: s.pre // 2,
    "remainder": lambda s: s.pre % 2,
    "matrix": lambda s: s.rate @ s.pre,
    "bits": lambda s: s.rate & s.pre,
    "invert": lambda s: ~s.rate,
    "shift": lambda s: s.rate << 1,
    "index": lambda s: s.pre[0],
    "loop": lambda s: sum(x for x in s.pre),
    "length": lambda s: len(s.pre) * s.pre,
    "call": lambda s: s.pre(1),
    "float": lambda s: float(s.pre),
    "int": lambda s: int(s.pre),
    "round": lambda s: round(s.pre),
    "math": lambda s: math.exp(s.pre),
    "text": lambda s: "weight" * s.pre,
    "text added": lambda s: s.pre + "1",
    "text alone": lambda s: "s.rate * s.pre",
    "nothing": lambda s: s.pre + None,
    "forgotten return": forgotten,
    "assigned": assigned,
    "list": lambda s: [s.pre, s.rate],
    "tuple": lambda s: (s.rate, s.pre),
    "complex": lambda s: 1j * s.pre,
    "nan": lambda s: float("nan") * s.pre,
    "infinite": lambda s: s.pre * math.inf,
    "huge": lambda s: s.pre * 10**400,
    "zero division": lambda s: s.pre * (1 / 0),
    "unknown name": unknown,
    "attribute": lambda s: s.rate.mean() * s.pre,
    "typo": lambda s: s.raet * s.pre,
    "post": lambda s: s.post * s.pre,
    "function of both": lambda s: relu(s.rate * s.pre),
    "exp of a sum": lambda s: exp(s.rate - s.weight),
    "abs of a sum": lambda s: abs(s.rate - s.pre),
    "over a sum": lambda s: s.rate / (s.pre + s.rate),
    "compared across": lambda s: s.rate > s.pre,
    "activation": lambda s: activation("rellu", s.pre),
    "activation turned": lambda s: activation(s.pre, "relu"),
    "softmax of weights": lambda s: activation("softmax", s.weight),
    "slope of softmax": lambda s: slope("softmax", s.pre),
    "log of text": lambda s: log("1"),
    "two arguments": lambda s, t: s.pre,
    "no arguments": lambda: 1,
    "no function": "s.rate * s.pre",
    "None": None,
    "a number": 3,
    "a class": int,
    "long": long,
    "exploded": exploded,
    "itself": lambda s: s,
    "generator": lambda s: (yield s.pre),
    "recursion": lambda s: HOSTILE["recursion"](s),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_an_invalid_formula_is_one_clear_error(case: str) -> None:
    with pytest.raises(UserError) as caught:
        circuit(HOSTILE[case])
    text = str(caught.value)
    assert text.count("plasticity of projection W") == 1 and "\n" not in text, text
    assert len(text) < 420, text
    assert "got" in text and "object at 0x" not in text, text
    listed = case in ("typo", "post", "assigned", "no function", "None", "a number", "a class")
    assert listed or case == "recursion" or "a plasticity is a sum of products f(post" in text, text


NEURON: dict[str, Any] = {
    "nothing": lambda n: None,
    "product": lambda n: n.weight,
    "typo": lambda n: n.smoa,
    "if": lambda n: n.soma if n.soma > 0 else 0,
    "text": lambda n: "soma",
    "math": lambda n: math.tanh(n.soma),
    "no function": 1.0,
    "power": lambda n: n.soma**-1,
}


@pytest.mark.parametrize("case", NEURON)
@pytest.mark.parametrize("what", ["output", "current", "coupling"])
def test_formulas_of_neurons_too(what: str, case: str) -> None:
    parts: dict[str, Any] = {"outputs": RATE, "couplings": ()}
    soma = Compartment("soma")
    if what == "output":
        parts["outputs"] = {"rate": NEURON[case]}
    elif what == "current":
        soma = Compartment("soma", current=NEURON[case])
    else:
        parts["couplings"] = Coupling(NEURON[case], "soma")
    with pytest.raises(UserError) as caught:
        Population("cell", 2, soma, **parts)
    text = str(caught.value)
    assert f"{what} " in text and "cell" in text and "\n" not in text, text
