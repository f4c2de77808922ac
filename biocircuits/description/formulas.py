"""The algebra of `signals`: formulas of one side of a synapse, and sums of their products."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn

import numpy as np

from biocircuits.description.grammar import (
    HIGHEST_POWER,
    LONGEST,
    MOST_TERMS,
    POST,
    PRE,
    SYNAPSE,
    SYNAPSE_NEEDS,
    refused,
    text_of,
)
from rate_models.model import activations


class _Arithmetic:
    """Operators that signals and changes share, and a clear error for all other operators."""

    __array_ufunc__ = None  # so that array * signal calls __rmul__, which refuses it
    __hash__ = object.__hash__

    def __add__(self, other: Any) -> Any:
        return _joined("add", self, other)

    def __radd__(self, other: Any) -> Any:
        return _joined("add", other, self)

    def __sub__(self, other: Any) -> Any:
        return _joined("subtract", self, other)

    def __rsub__(self, other: Any) -> Any:
        return _joined("subtract", other, self)

    def __mul__(self, other: Any) -> Any:
        return _joined("multiply", self, other)

    def __rmul__(self, other: Any) -> Any:
        return _joined("multiply", other, self)

    def __truediv__(self, other: Any) -> Any:
        return _joined("divide", self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return _joined("divide", other, self)

    def __neg__(self) -> Any:
        return _joined("multiply", -1.0, self)

    def __pos__(self) -> Any:
        return self

    def __pow__(self, power: Any) -> Any:
        power = power.item() if isinstance(power, np.generic) else power
        if isinstance(power, float) and power.is_integer():
            power = int(power)
        if type(power) is not int or not 1 <= power <= HIGHEST_POWER:
            got = f"** {text_of(power)}"
            raise refused(got, f"a whole power from 1 to {HIGHEST_POWER}", "or sqrt, exp, log")
        result = self
        for _ in range(power - 1):
            result = result * self
        return result

    def __gt__(self, other: Any) -> Any:
        return function("positive", self - other)

    def __lt__(self, other: Any) -> Any:
        return function("positive", other - self)

    def __ge__(self, other: Any) -> Any:
        return 1.0 - function("positive", other - self)

    def __le__(self, other: Any) -> Any:
        return 1.0 - function("positive", self - other)

    def __eq__(self, other: object) -> NoReturn:
        raise refused("== or !=", "< or >, which are 1 or 0")

    __ne__ = __eq__

    def __bool__(self) -> bool:
        got = "a truth value: if, and, or, not, min, max or a < b < c"
        raise refused(got, "one formula for all cases", "multiply by (a < b), or use relu")

    def __float__(self) -> float:
        raise refused("a number: float, int, round or a function of math or numpy", "signals")

    __int__ = __index__ = __round__ = __float__


@dataclass(frozen=True, eq=False, repr=False)
class Signal(_Arithmetic):
    """A formula with one value per neuron or, for a formula of the weight, per synapse.

    op: read | number | add | subtract | multiply | divide | activation | slope | positive | log |
    absolute | exp | sqrt. name: the variable of a read, or the name of an activation. side: the
    side of the synapse, post or pre; synapse for a formula of the weight; empty for numbers.
    Raises BadOption where the formula is too long.
    """

    op: str
    args: tuple[Signal, ...] = ()
    name: str = ""
    value: float = 0.0
    side: str = POST
    depth: int = field(init=False, default=0)
    names: frozenset[str] = field(init=False, default=frozenset())

    def __post_init__(self) -> None:
        depth = 1 + max((arg.depth for arg in self.args), default=0)
        if depth > LONGEST:
            raise refused(f"{depth} operations inside each other", f"at most {LONGEST}")
        names = frozenset({self.name} if self.op == "read" else ()).union(
            *(arg.names for arg in self.args)
        )
        object.__setattr__(self, "depth", depth)
        object.__setattr__(self, "names", names)

    def __repr__(self) -> str:
        return f"Signal({self.op}{f' {self.name}' if self.name else ''})"

    @staticmethod
    def read(name: str, side: str = POST) -> Signal:
        """The symbol of a variable."""
        return Signal("read", name=name, side=side)

    def reads(self) -> set[str]:
        """The names of all variables in the formula."""
        return set(self.names)

    def __abs__(self) -> Signal:
        return Signal("absolute", (self,), side=self.side)


class Term(NamedTuple):
    """One product f(post) g(pre) h(weight).

    The factors are signals of n neurons, of m neurons and of (n, m) synapses. weight: None for a
    factor of 1.
    """

    post: Signal
    pre: Signal
    weight: Signal | None = None

    def times(self, other: Term) -> Term:
        """The product of two terms, factor by factor."""
        weight = self.weight if other.weight is None else other.weight
        if self.weight is not None and other.weight is not None:
            weight = self.weight * other.weight
        return Term(_times(self.post, other.post), _times(self.pre, other.pre), weight)


@dataclass(frozen=True, eq=False, repr=False)
class Change(_Arithmetic):
    """The weight change of a plasticity: Δw_ij = η (Σ post_i pre_j h(w_ij) − decay w_ij)."""

    terms: tuple[Term, ...] = ()
    decay: float = 0.0

    def __post_init__(self) -> None:
        if len(self.terms) > MOST_TERMS:
            raise refused(f"{len(self.terms)} products", f"at most {MOST_TERMS}")

    def __repr__(self) -> str:
        return f"Change({len(self.terms)} products, decay {self.decay:g})"

    @staticmethod
    def of(value: Any) -> Change:
        """A number or signal as a change; the other factors of its product are 1."""
        if isinstance(value, Change):
            return value
        signal = signal_of(value)
        if signal.side == PRE:
            return Change((Term(ONE, signal),))
        if signal.side == SYNAPSE:
            slope = _linear(signal)
            return Change((Term(ONE, ONE, signal),)) if slope is None else Change(decay=-slope)
        return Change((Term(signal, ONE),))

    def reads(self) -> set[str]:
        """The names of all variables in the change: of the neuron, ``pre`` and ``weight``."""
        names = {"weight"} if self.decay else set()
        return names.union(
            *(part.names for term in self.terms for part in term if part is not None)
        )

    def expanded(self) -> tuple[Term, ...]:
        """All products, including the decay."""
        if not self.decay:
            return self.terms
        return (*self.terms, Term(ONE, ONE, WEIGHT if self.decay == -1 else WEIGHT * -self.decay))

    def scaled(self, factor: float) -> Change:
        """The change times a number."""
        number = signal_of(factor)
        terms = tuple(t._replace(post=_times(number, t.post)) for t in self.terms)
        return Change(terms, self.decay * number.value)

    def __abs__(self) -> Change:
        terms = self.expanded()
        if len(terms) != 1:
            raise refused("abs of a sum across the synapse", "abs of each factor")
        post, pre, weight = terms[0]
        return Change((Term(abs(post), abs(pre), None if weight is None else abs(weight)),))


def signal_of(value: Any) -> Signal:
    """The value itself if it is a signal; a finite number as a constant signal."""
    if isinstance(value, Signal):
        return value
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, int | float):
        if abs(value) < 1e300:  # also False for nan
            return Signal("number", value=float(value), side="")
        raise refused(text_of(value), "finite numbers")
    if isinstance(value, Change):
        got = "a function of a product or sum across the synapse"
        raise refused(got, "a function of one side, of each factor")
    raise refused(f"{'an' if type(value).__name__[0] in 'aeiou' else 'a'} {type(value).__name__}",
                   SYNAPSE_NEEDS)  # fmt: skip


def _joined(op: str, a: Any, b: Any) -> Any:
    """a + b, a - b, a * b or a / b: a signal if one side of the synapse, else a change."""
    if not isinstance(a, Change) and not isinstance(b, Change):
        a, b = signal_of(a), signal_of(b)
        sides = {a.side, b.side} - {""}
        if len(sides) < 2:
            return Signal(op, (a, b), side=sides.pop() if sides else "")
    if op == "divide":
        if isinstance(b, Change):
            raise refused("division by a sum or product across the synapse", "by one side")
        return _joined("multiply", a, _joined("divide", 1.0, b))
    if op == "multiply":
        return _multiplied(a, b)
    first, second = Change.of(a), Change.of(b)
    second = second.scaled(-1.0) if op == "subtract" else second
    return Change(first.terms + second.terms, first.decay + second.decay)


def _multiplied(a: Any, b: Any) -> Change:
    for number, change in ((a, b), (b, a)):
        number = number if isinstance(number, Change) else signal_of(number)
        if isinstance(change, Change) and isinstance(number, Signal) and number.op == "number":
            return change.scaled(number.value)
    first, second = Change.of(a).expanded(), Change.of(b).expanded()
    if len(first) * len(second) > MOST_TERMS:
        raise refused(f"{len(first) * len(second)} products", f"at most {MOST_TERMS}")
    return Change(tuple(s.times(t) for s in first for t in second))


def _times(a: Signal, b: Signal) -> Signal:
    if a is ONE:
        return b
    product: Signal = a if b is ONE else a * b
    return product


def _linear(signal: Signal) -> float | None:
    """k where the signal is k times the weight, else None."""
    if signal.op == "read":
        return 1.0
    if signal.op == "multiply":
        for number, rest in (signal.args, signal.args[::-1]):
            if number.op == "number" and (slope := _linear(rest)) is not None:
                return number.value * slope
    return None


ONE = Signal("number", value=1.0, side="")
WEIGHT = Signal.read("weight", SYNAPSE)


def function(op: str, x: Any, name: str = "") -> Signal:
    """The signal op(x). name: the name of the activation, for ``activation`` and ``slope``."""
    x = signal_of(x)
    if name:
        if not isinstance(name, str):
            raise refused(f"{text_of(name)} for the name of an activation", "the name, then x")
        code = activations.code(name)
        if code == activations.SOFTMAX and (op == "slope" or x.side == SYNAPSE):
            raise refused(f"softmax in {op} of {x.side or 'a number'}", "an elementwise function")
    return Signal(op, (x,), name, side=x.side)
