"""Validation of the fields of a description: names, numbers and tuples."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from rate_models.errors import BadOption

NAME = re.compile(r"\w+")
RESERVED = ("pre", "weight", "broadcast")  # signals of a synapse that are not parts of a neuron


def name(where: str, value: Any) -> str:
    """A name of letters, digits and _, so that options and probes can refer to it."""
    if not isinstance(value, str) or not NAME.fullmatch(value):
        got = repr(value) if isinstance(value, str) else f"a {type(value).__name__}"
        raise BadOption(where, got=got, expected="a name of letters, digits and _")
    return str(value)


def part(where: str, value: Any) -> str:
    """The name of a compartment or output, which formulas read as an attribute."""
    value = str(name(where, value))
    if not value.isidentifier() or value in RESERVED or value.startswith("_"):
        expected = f"a Python identifier, none of {', '.join(RESERVED)}"
        raise BadOption(where, got=repr(value), expected=expected)
    return str(value)


def several(where: str, value: Any, kind: type[Any]) -> tuple[Any, ...]:
    """``value`` as a tuple of ``kind``; a single instance becomes a tuple of length one.

    >>> several("phases", "free", str)
    ('free',)
    """
    items = (value,) if isinstance(value, kind) else value
    what = "names" if kind is str else f"{kind.__name__}s"
    if not isinstance(items, Iterable) or isinstance(items, str | Mapping):
        raise BadOption(where, got=f"a {type(value).__name__}", expected=f"a tuple of {what}")
    items = tuple(items)
    for item in items:
        if not isinstance(item, kind):
            got = f"a {type(item).__name__} among them"
            raise BadOption(where, got=got, expected=f"a tuple of {what}")
    return items


def phases(where: str, value: Any) -> tuple[str, ...] | None:
    """Names of phases as a tuple; None stands for all phases."""
    return None if value is None else several(f"phases of {where}", value, str)


def number(where: str, value: Any, least: float = -np.inf) -> float:
    """A finite number, ``least`` or more."""
    plain = value.item() if isinstance(value, np.generic) else value
    if type(plain) not in (int, float) or not least <= plain < np.inf or plain == -np.inf:
        expected = "a finite number" + ("" if least == -np.inf else f", {least:g} or more")
        raise BadOption(where, got=value, expected=expected)
    return float(plain)


def whole(where: str, value: Any, least: int, what: str = "a whole number") -> int:
    """A whole number, ``least`` or more."""
    plain = value.item() if isinstance(value, np.generic) else value
    if type(plain) is not int or plain < least:
        raise BadOption(where, got=value, expected=f"{what}, {least} or more")
    return int(plain)


def put(record: Any, **fields: Any) -> None:
    """Set fields of a frozen dataclass in its ``__post_init__``."""
    for field, value in fields.items():
        object.__setattr__(record, field, value)
