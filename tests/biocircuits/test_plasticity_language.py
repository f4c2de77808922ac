"""Formulas of plasticity: valid ones have the right values, invalid ones raise one clear error."""

from __future__ import annotations

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
    Phase,
    Plasticity,
    Population,
    Projection,
    Settings,
    Simulator,
    locality,
)
from biocircuits.description.signals import activation, exp, log, positive, relu, slope, sqrt
from rate_models.errors import BadOption
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


def doubled(s: Any) -> Any:
    x = s.pre
    for _ in range(40):
        x = x * x + x
    return x + s.rate


def test_a_formula_that_uses_its_parts_often_is_computed_once() -> None:
    """2^40 paths, forty operations."""
    simulator = Simulator(circuit(doubled), {"W": W}, Settings())
    assert simulator.v.size < 500


def test_numbers_are_formulas() -> None:
    cell = Population("cell", 2, (Compartment("soma", current=lambda n: 2),), {"rate": lambda n: 3})
    answer = ("cell", "soma", "only")
    numbers = Circuit("numbers", cell, (), Phase("only"), answer)
    simulator = Simulator(numbers, {}, Settings())
    simulator.present({})
    np.testing.assert_array_equal(simulator.read("cell.rate"), [3, 3])
    np.testing.assert_array_equal(simulator.read("cell.soma"), [2, 2])


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
