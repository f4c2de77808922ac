"""That a formula sees nothing but its own place: what a Python function holds is looked through.

An array in a formula is refused by `signals`. One that a function holds and turns into a number
would slip through: so a function may hold numbers, text and other such functions, and no more.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

from biocircuits.description import signals
from biocircuits.description.formulas import FORMULA, signal_of
from biocircuits.description.signals import GRAMMAR, Change, Local, Signal
from rate_models.errors import BadOption, UserError

PLAIN = (int, float, str, bytes, type(None), np.number, np.bool_)
TRUSTED = (
    "biocircuits.description.signals",
    "biocircuits.description.formulas",
    "builtins",
    "math",
)


def check(where: str, function: Any) -> None:
    """BadOption, naming what it is, where ``function`` holds what no synapse could see."""
    for name, value in _held(function, set()):
        remedy = "let it arrive as a rate, by a projection"
        if isinstance(value, ModuleType):
            remedy = (
                "the functions there are, exp or log say, are in biocircuits.description.signals"
            )
        got = f"a {type(value).__name__}"
        expected = signals.SYNAPSE_NEEDS
        raise BadOption(f"{where}: {name}", got=got, expected=expected, remedy=remedy)


def neuron(where: str, function: Any, local: Local) -> Signal:
    """The formula of a neuron's output, current or coupling; BadOption where it is none."""
    found = _traced(where, function, local, FORMULA)
    if isinstance(found, Change):
        raise BadOption(f"{where}: got a product across a synapse; {FORMULA}")
    signal: Signal = found if isinstance(found, Signal) else _number(where, found, FORMULA)
    return signal


def synapse(where: str, function: Any, local: Local) -> Change:
    """The change that a plasticity asks for; BadOption where the language has none for it."""
    found = _traced(where, function, local, GRAMMAR)
    return Change.of(
        found if isinstance(found, Signal | Change) else _number(where, found, GRAMMAR)
    )


def _number(where: str, value: Any, expected: str) -> Signal:
    if isinstance(value, int | float | np.number | np.bool_):
        signal: Signal = _checked(where, lambda: signal_of(value), expected)
        return signal
    got, remedy = f"a {type(value).__name__}", ""
    if value is None:
        got, remedy = "nothing", "end the function with return"
    remedy = f"{remedy}; {expected}" if remedy else expected
    raise BadOption(f"result of {where}", got=got, remedy=remedy)


def _traced(where: str, function: Any, local: Local, expected: str) -> Any:
    if not callable(function):
        got, wanted = f"a {type(function).__name__}", "a function of what is seen there"
        raise BadOption(where, got=got, expected=wanted, remedy="for example lambda s: s.rate")
    check(where, function)
    return _checked(where, lambda: function(local), expected)


def _checked(where: str, formula: Callable[[], Any], expected: str) -> Any:
    """What a function that a person wrote returns; whatever it raises is one BadOption."""
    try:
        return formula()
    except UserError as error:
        if str(error).startswith(where):
            raise
        text = str(error).removeprefix("formula: ")
        raise BadOption(f"{where}: {text}; {expected}") from None
    except Exception as error:
        text = f"{type(error).__name__}: {error}".splitlines()[0]
        raise BadOption(f"{where}: got {text}; {expected}") from None


def _held(value: Any, seen: set[int], name: str = "function") -> Iterator[tuple[str, Any]]:
    """(name, value) of all that may not be held."""
    if id(value) in seen or isinstance(value, PLAIN) or value is math:
        return
    seen.add(id(value))
    if getattr(value, "__module__", None) in TRUSTED and callable(value):
        return
    if isinstance(value, staticmethod | classmethod):
        value = value.__func__
    if isinstance(value, partial):
        inner: Mapping[str, Any] = {
            "function": value.func,
            "arguments": value.args,
        } | value.keywords
    elif isinstance(value, FunctionType):
        inner = _names(value)
    elif isinstance(value, type):
        inner = {} if issubclass(value, np.generic) else _own(value)
    elif isinstance(value, Mapping):
        inner = {str(k): v for k, v in value.items()}
    elif isinstance(value, tuple | list | set | frozenset):
        inner = {f"{name}[{i}]": v for i, v in enumerate(value)}
    elif dataclasses.is_dataclass(value) and not type(value).__module__.startswith("biocircuits"):
        inner = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    else:
        yield name, value
        return
    for key, part in inner.items():
        yield from _held(part, seen, key)


def _own(kind: type[Any]) -> dict[str, Any]:
    """What a class holds and hands on, but for what Python itself puts there."""
    kinds = [k for k in kind.__mro__ if k.__module__ not in TRUSTED]
    return {f"{kind.__name__}.{name}": value for k in kinds for name, value in vars(k).items()
            if not name.startswith("__")}  # fmt: skip


def _names(function: FunctionType) -> dict[str, Any]:
    """What a function holds: closure, defaults, and the globals that it names."""
    closure = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    held = {name: _content(cell) for name, cell in closure}
    held |= {f"default {i}": value for i, value in enumerate(function.__defaults__ or ())}
    held |= function.__kwdefaults__ or {}
    said = set(_said(function.__code__))
    return {k: v for k, v in function.__globals__.items() if k in said} | held


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet: calling the function will say so
        return None


def _said(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _said(constant)
