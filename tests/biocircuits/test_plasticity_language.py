"""Formulas of plasticity: valid ones have the right values, invalid ones raise one clear error."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biocircuits import (
    Circuit,
    Compartment,
    Coupling,
    Phase,
    Plasticity,
    Population,
    Projection,
    Settings,
    Simulator,
    locality,
)
from biocircuits.description.signals import activation, exp, log, positive, relu, slope, sqrt
from rate_models.errors import BadOption, UserError
from rate_models.model import activations

Change = Callable[[Any, Any], Any]
RATE: dict[str, Any] = {"rate": lambda n: n.soma}
X = np.array([0.5, -1.5, 2.0])
DRIVE = np.array([[0.3, -0.2, 0.6], [-0.4, 0.9, 0.1]])  # fixed: the postsynaptic rate is DRIVE X
W = np.array([[0.5, -0.8, 0.0], [1.2, -0.1, 2.5]])


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


def learned(change: Any, **options: Any) -> np.ndarray:
    """Δw per unit of learning rate, by the simulator."""
    simulator = Simulator(circuit(change), {"W": W}, Settings(**options))
    simulator.present({"x": X}, lr=1.0)
    return simulator.weights("W") - W


class Language:
    """The functions of signals that a plasticity may use."""

    exp, log, sqrt, positive = map(staticmethod, (exp, log, sqrt, positive))
    relu, activation, slope = map(staticmethod, (relu, activation, slope))
    single, double, whole = np.float32, np.float64, np.int64


class Numbers(np.ndarray):
    """An array whose comparisons are 1 and 0, as those of signals are."""

    def __lt__(self, other: Any) -> Any:
        return np.less(self, other) * 1.0

    def __gt__(self, other: Any) -> Any:
        return np.greater(self, other) * 1.0

    def __le__(self, other: Any) -> Any:
        return np.less_equal(self, other) * 1.0

    def __ge__(self, other: Any) -> Any:
        return np.greater_equal(self, other) * 1.0


class Arrays:
    """The same functions of arrays."""

    log, sqrt = map(staticmethod, (np.log, np.sqrt))
    activation, slope = map(staticmethod, (activations.apply, activations.slope))
    single, double, whole = np.float32, np.float64, np.int64

    @staticmethod
    def exp(x: Any) -> Any:
        return np.asarray(np.exp(x)).view(Numbers)

    @staticmethod
    def positive(x: Any) -> Any:
        return np.where(np.asarray(x) > 0, 1.0, 0.0).view(Numbers)

    @staticmethod
    def relu(x: Any) -> Any:
        return np.asarray(np.maximum(x, 0.0)).view(Numbers)


def of_synapse(change: Change) -> Callable[[Any], Any]:
    """A function of a synapse alone."""
    return lambda s: change(s, Language)


def truth(change: Change) -> np.ndarray:
    """The same function of arrays (n, m), by NumPy."""
    soma, apical = (DRIVE @ X)[:, None] * np.ones(3), (W @ X)[:, None] * np.ones(3)
    arrays = {"pre": np.ones((2, 1)) * X, "weight": W, "soma": soma, "apical": apical, "rate": soma}
    signals = SimpleNamespace(**{name: array.view(Numbers) for name, array in arrays.items()})
    return np.asarray(change(signals, Arrays)) * np.ones((2, 3))


RIGHT: dict[str, Change] = {
    "hebbian": lambda s, f: s.rate * s.pre,
    "decay": lambda s, f: s.rate * s.pre - 0.3 * s.weight,
    "abs of the weight": lambda s, f: abs(s.weight),
    "one less the weight": lambda s, f: 1 - s.weight,
    "positive weight": lambda s, f: f.positive(s.weight),
    "abs of rates": lambda s, f: abs(s.rate) * abs(s.pre),
    "abs of a product": lambda s, f: abs(s.rate * s.pre),
    "soft bounds": lambda s, f: s.rate * s.pre * (1 - s.weight) * f.positive(s.rate),
    "oja": lambda s, f: s.rate * s.pre - s.rate**2 * s.weight,
    "oja, in brackets": lambda s, f: s.rate * (s.pre - s.rate * s.weight),
    "bcm": lambda s, f: s.rate * (s.rate - 0.2) * s.pre,
    "covariance": lambda s, f: (s.rate - 0.1) * (s.pre - 0.5),
    "one side": lambda s, f: -0.1 * s.rate,
    "other side": lambda s, f: s.pre / 2,
    "sum of sides": lambda s, f: s.rate + s.pre - s.weight + 1,
    "constant": lambda s, f: 0.25,
    "whole number": lambda s, f: 0,
    "numpy numbers": lambda s, f: f.single(0.5) * s.rate * s.pre * f.whole(2) + f.double(1.5),
    "ratio": lambda s, f: s.rate / s.pre,
    "one over": lambda s, f: 1 / s.pre * s.apical,
    "powers": lambda s, f: s.pre**3 * s.weight**2,
    "comparison": lambda s, f: (s.pre > 0) * (s.rate < s.apical) * (s.weight >= 0),
    "at most": lambda s, f: (s.weight <= 0) * s.pre,
    "functions": lambda s, f: f.exp(s.rate) * f.sqrt(abs(s.pre)) * f.log(s.weight**2 + 1),
    "decayed by both": lambda s, f: -(s.weight * s.pre) * s.rate / 4,
    "product of sums": lambda s, f: (s.rate + s.pre) * (1 - s.weight),
    "plus": lambda s, f: +s.rate * +s.pre,
    "sum of a list": lambda s, f: sum([s.rate * s.pre, s.weight]),
    "multiplicative decay": lambda s, f: -0.5 * (s.weight * 2) + s.weight * 0,
    "relu": lambda s, f: f.relu(s.weight - s.weight**2) * f.relu(s.pre),
}  # fmt: skip


@pytest.mark.parametrize("case", RIGHT)
def test_a_plasticity_changes_weights_by_its_formula(case: str) -> None:
    np.testing.assert_allclose(
        learned(of_synapse(RIGHT[case])), truth(RIGHT[case]), rtol=1e-12, atol=1e-14
    )


@pytest.mark.parametrize("name", [n for n in activations.NAMES if n != "softmax"])
def test_activations_of_every_side(name: str) -> None:
    def change(s: Any, f: Any) -> Any:
        sides = f.activation(name, s.weight) * f.slope(name, s.pre) * f.activation(name, s.rate)
        return sides + f.slope(name, s.weight)

    np.testing.assert_allclose(learned(of_synapse(change)), truth(change), rtol=1e-12)


def test_in_time_a_formula_reads_the_weight_of_the_present_step() -> None:
    """w' = r x (1 − w) by steps of its own: the weight goes to 1 as (1 − c)^k."""
    options = Settings("continuous", window=5.0, commit="step")
    simulator = Simulator(circuit(lambda s: s.pre**2 * (1 - s.weight)), {"W": W}, options)
    simulator.present({"x": X}, lr=0.1)
    w = W
    for _ in range(5):
        w = w + 0.1 / 5 * X**2 * (1 - w)
    np.testing.assert_allclose(simulator.weights("W"), w, rtol=1e-12)


def test_a_formula_of_the_weight_lists_what_it_reads_and_is_local() -> None:
    described = circuit(lambda s: s.rate * (1 - s.weight))
    (change,) = described.projection("W").changes
    assert change.reads() == {"out:rate", "weight"}
    needs = locality.needs(described)
    assert not needs.weight_transport and not needs.nonlocal_signals


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


def doubled(s: Any) -> Any:
    x = s.pre
    for _ in range(40):
        x = x * x + x
    return x + s.rate


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


def test_a_formula_that_uses_its_parts_often_is_computed_once() -> None:
    """2^40 paths, forty operations."""
    simulator = Simulator(circuit(doubled), {"W": W}, Settings())
    assert simulator.v.size < 500


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


def test_numbers_are_formulas() -> None:
    cell = Population("cell", 2, (Compartment("soma", current=lambda n: 2),), {"rate": lambda n: 3})
    answer = ("cell", "soma", "only")
    numbers = Circuit("numbers", cell, (), Phase("only"), answer)
    simulator = Simulator(numbers, {}, Settings())
    simulator.present({})
    np.testing.assert_array_equal(simulator.read("cell.rate"), [3, 3])
    np.testing.assert_array_equal(simulator.read("cell.soma"), [2, 2])


# -- fuzz: any expression gives what NumPy gives for it, or one BadOption

LEAVES = st.sampled_from(["s.pre", "s.weight", "s.rate", "s.soma", "s.apical", "1", "-0.5", "2.0"])
FUNCTIONS = ["abs({})", "-{}", "+{}", "f.relu({})", "f.positive({})", "f.exp({})", "{} ** 2"]


def grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    one = st.builds(lambda f, a: f"({f.format(a)})", st.sampled_from(FUNCTIONS), inner)
    two = st.builds(lambda a, o, b: f"({a} {o} {b})", inner,
                    st.sampled_from(["+", "-", "*", "*", "/", "<", ">="]), inner)  # fmt: skip
    return one | two


EXPRESSIONS = st.recursive(LEAVES, grown, max_leaves=8)


def attacked(text: str) -> None:
    """Truth: the very same Python expression, of arrays."""
    change: Change = eval(f"lambda s, f: {text}")
    try:
        with np.errstate(all="ignore"):
            want = truth(change)
    except ZeroDivisionError:  # of two numbers
        with pytest.raises(BadOption, match="ZeroDivisionError"):
            circuit(of_synapse(change))
        return
    try:
        got = learned(of_synapse(change))
    except BadOption as error:
        assert "a plasticity is" in str(error), error
        return
    sharp = any(sign in text for sign in ("<", ">", "positive"))  # rounding may cross its threshold
    if not sharp and np.isfinite(want).all() and np.abs(want).max() < 1e9:
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(EXPRESSIONS)
def test_any_expression_is_right_or_refused(text: str) -> None:
    attacked(text)


@pytest.mark.slow
@settings(max_examples=5000, deadline=None)
@given(EXPRESSIONS)
def test_any_expression_is_right_or_refused_at_length(text: str) -> None:
    attacked(text)
