"""Formulas of neurons and synapses, written as Python functions of their local signals.

Outputs, intrinsic currents and plasticity are plain Python functions. Each is called once, when the
circuit is built, with symbols (`Signal`) in place of numbers. The function returns a formula, which
the simulator evaluates, and which states exactly which signals it reads (see `locality`). A
function cannot use any other value: an array in a formula is an error.

The formula of a neuron consists of finite numbers, the signals of the neuron, ``+ - * /``, powers
``** 1`` to ``** 16``, ``abs``, comparisons with ``< <= > >=`` (1 where true, else 0) and the
functions below. A plasticity (`Change`) is a sum of products

    Δw_ij = Σ_k f_k(post_i) g_k(pre_j) h_k(w_ij)

where each factor is such a formula of one side of the synapse: of the postsynaptic neuron, of the
presynaptic rate, or of the weight. There is no ``if``, ``and``, ``or``, ``not`` or ``==``, because
they would need a value before one is known.

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

from biocircuits.description.formulas import WEIGHT, Change, Signal, function
from biocircuits.description.grammar import GRAMMAR, POST, PRE, SYNAPSE, SYNAPSE_NEEDS
from rate_models.errors import BadOption

__all__ = [
    "GRAMMAR", "POST", "PRE", "SYNAPSE", "SYNAPSE_NEEDS", "WEIGHT", "Change", "Local", "Signal",
    "activation", "exp", "log", "positive", "relu", "slope", "sqrt",
]  # fmt: skip


def activation(name: str, x: Any) -> Signal:
    """s(x), an activation of `rate_models.model.activations`; softmax runs over the population."""
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
    """The local signals of a neuron or synapse by name; another name raises an error with all."""

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
