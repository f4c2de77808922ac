"""What a neuron or a synapse computes, written as functions of the numbers it can see.

Output, intrinsic current and plasticity are plain Python functions. Each is called once, when its
circuit is built, with stand-ins (`Signal`) for the numbers at that place: the function's result is
a formula, which the simulator evaluates, and which says exactly what was read (`locality`). A
function cannot get at anything else: an array from elsewhere, in a formula, is an error.

>>> n = Local("neuron", {"soma": Signal.read("soma"), "dendrite": Signal.read("dendrite")})
>>> sorted((n.soma - relu(n.dendrite)).reads())
['dendrite', 'soma']
>>> n.nucleus
Traceback (most recent call last):
rate_models.errors.BadOption: neuron: got 'nucleus'; expected one of dendrite, soma
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from rate_models import activations
from rate_models.errors import BadOption

POST, PRE = "post", "pre"
SYNAPSE_NEEDS = "numbers and what the function was given: a synapse sees its own place only"


@dataclass(frozen=True, eq=False)
class Signal:
    """A formula over one number per neuron.

    op: read | number | add | subtract | multiply | divide | activation | slope | positive | log.
    name: what a read reads, or the name of an activation. side: of the synapse, post or pre.
    """

    op: str
    args: tuple[Signal, ...] = ()
    name: str = ""
    value: float = 0.0
    side: str = POST
    __array_ufunc__ = None  # an array on the left hands over to `_of`, which refuses it

    @staticmethod
    def read(name: str, side: str = POST) -> Signal:
        """The stand-in for a named number."""
        return Signal("read", name=name, side=side)

    def reads(self) -> set[str]:
        """The names of all that the formula reads."""
        if self.op == "read":
            return {self.name}
        return {name for arg in self.args for name in arg.reads()}

    def __add__(self, other: Any) -> Any:
        return _joined("add", self, other)

    def __radd__(self, other: Any) -> Any:
        return _joined("add", _of(other), self)

    def __sub__(self, other: Any) -> Any:
        return _joined("subtract", self, other)

    def __rsub__(self, other: Any) -> Any:
        return _joined("subtract", _of(other), self)

    def __mul__(self, other: Any) -> Any:
        return _joined("multiply", self, other)

    def __rmul__(self, other: Any) -> Any:
        return _joined("multiply", _of(other), self)

    def __truediv__(self, other: Any) -> Any:
        return _joined("divide", self, other)

    def __neg__(self) -> Signal:
        return Signal("multiply", (_of(-1.0), self), side=self.side)


@dataclass(frozen=True, eq=False)
class Change:
    """What a plasticity asks for, per unit of rate: Δw_ij = Σ post_i pre_j − decay w_ij."""

    terms: tuple[tuple[Signal, Signal], ...] = ()
    decay: float = 0.0
    __array_ufunc__ = None

    def reads(self) -> set[str]:
        """The names of all that the change reads: post, pre and, where it decays, weight."""
        names = {name for post, pre in self.terms for name in post.reads() | pre.reads()}
        return names | ({"weight"} if self.decay else set())

    def __add__(self, other: Any) -> Change:
        if not isinstance(other, Change):
            raise BadOption("plasticity", got=f"a sum with {other!r}", expected="products")
        return Change(self.terms + other.terms, self.decay + other.decay)

    def __sub__(self, other: Any) -> Change:
        opposite: Change = -other
        return self + opposite

    def __mul__(self, factor: Any) -> Change:
        if isinstance(factor, Change):
            expected = "sums of (postsynaptic × presynaptic), and the weight times a number"
            raise BadOption("plasticity", got="a product of products", expected=expected)
        if isinstance(factor, Signal):
            if self.decay:
                raise BadOption("plasticity", got="weight × signal", expected="weight × number")
            return Change(tuple(_scaled(term, factor) for term in self.terms))
        number = _of(factor)
        terms = tuple((number * post, pre) for post, pre in self.terms)
        return Change(terms, self.decay * number.value)

    __rmul__ = __mul__

    def __neg__(self) -> Change:
        return self * -1.0


WEIGHT = Change(decay=-1.0)


def _scaled(term: tuple[Signal, Signal], factor: Signal) -> tuple[Signal, Signal]:
    post, pre = term
    return (post, pre * factor) if factor.side == PRE else (post * factor, pre)


def _of(value: Any) -> Signal:
    if isinstance(value, Signal):
        return value
    if isinstance(value, int | float):
        return Signal("number", value=float(value), side="")
    raise BadOption("formula", got=type(value).__name__, expected=SYNAPSE_NEEDS)


def _joined(op: str, a: Signal, b: Any) -> Any:
    if isinstance(b, Change):
        return b * a if op == "multiply" else Change() + a
    b = _of(b)
    sides = {a.side, b.side} - {""}
    if len(sides) < 2:
        return Signal(op, (a, b), side=sides.pop() if sides else "")
    if op != "multiply":
        expected = "(postsynaptic) × (presynaptic)"
        raise BadOption("plasticity", got=f"{op} across the synapse", expected=expected)
    return Change(((a, b) if a.side == POST else (b, a),))


def activation(name: str, x: Signal) -> Signal:
    """s(x), an activation of `rate_models.activations`; softmax is over the population."""
    activations.code(name)
    return Signal("activation", (x,), name, side=x.side)


def slope(name: str, x: Signal) -> Signal:
    """s'(x) of an elementwise activation."""
    activations.code(name)
    return Signal("slope", (x,), name, side=x.side)


relu: Callable[[Signal], Signal] = partial(activation, "relu")


def positive(x: Signal) -> Signal:
    """1 where x > 0, else 0."""
    return Signal("positive", (x,), side=x.side)


def log(x: Signal) -> Signal:
    """The natural logarithm."""
    return Signal("log", (x,), side=x.side)


class Local:
    """The numbers at one place by name; asking for another is an error that lists them."""

    def __init__(self, where: str, signals: Mapping[str, Signal]) -> None:
        self._where, self._signals = where, dict(signals)

    def __getattr__(self, name: str) -> Signal:
        if name.startswith("__"):
            raise AttributeError(name)
        if name not in self._signals:
            expected = f"one of {', '.join(sorted(self._signals))}"
            raise BadOption(self._where, got=repr(name), expected=expected)
        return self._signals[name]
