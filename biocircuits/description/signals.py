"""What a neuron or a synapse computes, written as functions of the numbers it can see.

Output, intrinsic current and plasticity are plain Python functions. Each is called once, when its
circuit is built, with stand-ins (`Signal`) for the numbers at that place: the function's result is
a formula, which the simulator evaluates, and which says exactly what was read (`locality`). A
function cannot get at anything else: an array from elsewhere, in a formula, is an error.

A neuron's formula is made of finite numbers, the signals that it is given, ``+ - * /``, powers
``** 1`` to ``** 16``, ``abs``, comparisons with ``< <= > >=`` (1 where true, else 0) and the
functions below. A plasticity (`Change`) is a sum of products

    Δw_ij = Σ_k f_k(post_i) g_k(pre_j) h_k(w_ij)

each factor such a formula of one side of the synapse: of the postsynaptic neuron, of the
presynaptic rate, or of the weight. There is no ``if``, ``and``, ``or``, ``not`` or ``==``: they
would ask for a value before there is one.

>>> n = Local("neuron", {"soma": Signal.read("soma"), "dendrite": Signal.read("dendrite")})
>>> sorted((n.soma - relu(n.dendrite)).reads())
['dendrite', 'soma']
>>> n.nucleus
Traceback (most recent call last):
rate_models.errors.BadOption: neuron: got 'nucleus'; expected one of dendrite, soma
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from biocircuits.description.formulas import (
    GRAMMAR,
    POST,
    PRE,
    SYNAPSE,
    SYNAPSE_NEEDS,
    WEIGHT,
    Change,
    Signal,
    function,
)
from rate_models.errors import BadOption

__all__ = [
    "GRAMMAR", "POST", "PRE", "SYNAPSE", "SYNAPSE_NEEDS", "WEIGHT", "Change", "Local", "Signal",
    "activation", "exp", "log", "positive", "relu", "slope", "sqrt",
]  # fmt: skip


def activation(name: str, x: Any) -> Signal:
    """s(x), an activation of `rate_models.model.activations`; softmax is over the population."""
    return function("activation", x, name)


def slope(name: str, x: Any) -> Signal:
    """s'(x) of an elementwise activation."""
    return function("slope", x, name)


relu: Callable[[Any], Signal] = partial(activation, "relu")


def positive(x: Any) -> Signal:
    """1 where x > 0, else 0."""
    return function("positive", x)


def log(x: Any) -> Signal:
    """The natural logarithm."""
    return function("log", x)


def exp(x: Any) -> Signal:
    """The exponential function."""
    return function("exp", x)


def sqrt(x: Any) -> Signal:
    """The square root."""
    return function("sqrt", x)


class Local:
    """The numbers at one place by name; asking for another is an error that lists them."""

    def __init__(self, where: str, signals: Mapping[str, Signal]) -> None:
        object.__setattr__(self, "_where", where)
        object.__setattr__(self, "_signals", dict(signals))

    def __getattr__(self, name: str) -> Signal:
        if name.startswith("__"):
            raise AttributeError(name)
        return self[name]

    def __getitem__(self, name: str) -> Signal:
        signals: dict[str, Signal] = self.__dict__["_signals"]
        if name not in signals:
            expected = f"one of {', '.join(sorted(signals))}"
            raise BadOption(self.__dict__["_where"], got=repr(name), expected=expected)
        return signals[name]

    def __setattr__(self, name: str, value: object) -> None:
        raise BadOption(self.__dict__["_where"], got=f"{name} = ...", expected="nothing assigned")
