"""Locality of formulas: which values a Python function can reach.

A formula may read the signals of its own neuron or synapse, and nothing else. `signals` refuses an
array inside a formula. A function could still convert an array of its closure to a number, so the
closure, defaults and globals of a function may hold numbers, text and other such functions only.
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
from biocircuits.description.formulas import signal_of
from biocircuits.description.grammar import FORMULA, GRAMMAR
from biocircuits.description.signals import Change, Local, Signal
from rate_models.errors import BadOption, UserError

PLAIN = (int, float, str, bytes, type(None), np.number, np.bool_)
TRUSTED = (
    "biocircuits.description.signals",
    "biocircuits.description.formulas",
    "builtins",
    "math",
)


def check(where: str, function: Any) -> None:
    """Raise BadOption, with the name of the value, where ``function`` holds non-local data."""
    for name, value in _non_local(function, set()):
        remedy = "transmit it as a rate, by a projection"
        if isinstance(value, ModuleType):
            remedy = "take exp, log and other functions from biocircuits.description.signals"
        got = f"a {type(value).__name__}"
        expected = signals.SYNAPSE_NEEDS
        raise BadOption(f"{where}: {name}", got=got, expected=expected, remedy=remedy)


def neuron(where: str, function: Any, local: Local) -> Signal:
    """The formula of an output, current or coupling of a neuron.

    Raises BadOption where the function returns no formula of one neuron.
    """
    result = _evaluated(where, function, local, FORMULA)
    if isinstance(result, Change):
        raise BadOption(f"{where}: got a product across a synapse; {FORMULA}")
    signal: Signal = result if isinstance(result, Signal) else _number(where, result, FORMULA)
    return signal


def synapse(where: str, function: Any, local: Local) -> Change:
    """The weight change of a plasticity; BadOption where the function returns none."""
    result = _evaluated(where, function, local, GRAMMAR)
    return Change.of(
        result if isinstance(result, Signal | Change) else _number(where, result, GRAMMAR)
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


def _evaluated(where: str, function: Any, local: Local, expected: str) -> Any:
    if not callable(function):
        got, expected = f"a {type(function).__name__}", "a function of the local signals"
        raise BadOption(where, got=got, expected=expected, remedy="for example lambda s: s.rate")
    check(where, function)
    return _checked(where, lambda: function(local), expected)


def _checked(where: str, formula: Callable[[], Any], expected: str) -> Any:
    """The result of a function that the user wrote; any exception becomes one BadOption."""
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


def _non_local(value: Any, visited: set[int], name: str = "function") -> Iterator[tuple[str, Any]]:
    """(name, value) of all values that ``value`` reaches and a formula may not use."""
    if id(value) in visited or isinstance(value, PLAIN) or value is math:
        return
    visited.add(id(value))
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
        inner = _reachable(value)
    elif isinstance(value, type):
        inner = {} if issubclass(value, np.generic) else _attributes(value)
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
        yield from _non_local(part, visited, key)


def _attributes(kind: type[Any]) -> dict[str, Any]:
    """The attributes of a class and its bases, except those of Python itself."""
    kinds = [k for k in kind.__mro__ if k.__module__ not in TRUSTED]
    return {f"{kind.__name__}.{name}": value for k in kinds for name, value in vars(k).items()
            if not name.startswith("__")}  # fmt: skip


def _reachable(function: FunctionType) -> dict[str, Any]:
    """The values that a function reaches: closure, defaults, and the globals that it names."""
    closure = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    values = {name: _content(cell) for name, cell in closure}
    values |= {f"default {i}": value for i, value in enumerate(function.__defaults__ or ())}
    values |= function.__kwdefaults__ or {}
    names = set(_names_in(function.__code__))
    return {k: v for k, v in function.__globals__.items() if k in names} | values


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet: calling the function raises the error
        return None


def _names_in(code: CodeType) -> Iterator[str]:
    """All names in the code of a function and of the functions within it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)
