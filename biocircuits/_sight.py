"""That a formula sees nothing but its own place: what a Python function holds is looked through.

An array in a formula is refused by `signals`. One that a function holds and turns into a number
would slip through: so a function may hold numbers, text and other such functions, and no more.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from functools import partial
from types import CodeType, FunctionType
from typing import Any

import numpy as np

from biocircuits import signals
from rate_models.errors import BadOption

PLAIN = (int, float, str, bytes, type(None), type, np.number, np.bool_)
TRUSTED = ("biocircuits.signals", "builtins", "math")


def check(where: str, function: Any) -> None:
    """BadOption, naming what it is, where ``function`` holds what no synapse could see."""
    for name, value in _held(function, set()):
        raise BadOption(
            f"{where}: {name}",
            got=f"a {type(value).__name__}",
            expected=signals.SYNAPSE_NEEDS,
            remedy="let it arrive as a rate, by a projection",
        )


def _held(value: Any, seen: set[int], name: str = "function") -> Iterator[tuple[str, Any]]:
    """(name, value) of all that may not be held."""
    if id(value) in seen or isinstance(value, PLAIN) or value is math:
        return
    seen.add(id(value))
    if getattr(value, "__module__", None) in TRUSTED and callable(value):
        return
    if isinstance(value, partial):
        inner: Mapping[str, Any] = {
            "function": value.func,
            "arguments": value.args,
        } | value.keywords
    elif isinstance(value, FunctionType):
        inner = _names(value)
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


def _names(function: FunctionType) -> dict[str, Any]:
    """What a function holds: closure, defaults, and the globals that it names."""
    closure = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    held = {name: cell.cell_contents for name, cell in closure}
    held |= {f"default {i}": value for i, value in enumerate(function.__defaults__ or ())}
    held |= function.__kwdefaults__ or {}
    said = set(_said(function.__code__))
    return {k: v for k, v in function.__globals__.items() if k in said} | held


def _said(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _said(constant)
