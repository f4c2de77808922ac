"""What the parts of a description may be: names, numbers, and one thing where several may be."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from rate_models.errors import BadOption

NAME = re.compile(r"\w+")
RESERVED = ("pre", "weight", "broadcast")  # what a synapse calls what is not its neuron's


def name(where: str, value: Any) -> str:
    """A name of letters, digits and _, which options and probes can say."""
    if not isinstance(value, str) or not NAME.fullmatch(value):
        got = repr(value) if isinstance(value, str) else f"a {type(value).__name__}"
        raise BadOption(where, got=got, expected="a name of letters, digits and _")
    return str(value)


def part(where: str, value: Any) -> str:
    """The name of a compartment or an output, which formulas read as an attribute."""
    value = str(name(where, value))
    if not value.isidentifier() or value in RESERVED or value.startswith("_"):
        expected = f"a name as variables have, none of {', '.join(RESERVED)}"
        raise BadOption(where, got=repr(value), expected=expected)
    return str(value)


def several(where: str, value: Any, kind: type[Any]) -> tuple[Any, ...]:
    """``value`` as a tuple of ``kind``; one alone is a tuple of one.

    >>> several("phases", "free", str)
    ('free',)
    """
    found = (value,) if isinstance(value, kind) else value
    what = "names" if kind is str else f"{kind.__name__}s"
    if not isinstance(found, Iterable) or isinstance(found, str | Mapping):
        raise BadOption(where, got=f"a {type(value).__name__}", expected=f"a tuple of {what}")
    found = tuple(found)
    for one in found:
        if not isinstance(one, kind):
            got = f"a {type(one).__name__} among them"
            raise BadOption(where, got=got, expected=f"a tuple of {what}")
    return found


def phases(where: str, value: Any) -> tuple[str, ...] | None:
    """Names of phases, or None for all."""
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
    """Set fields of a frozen record, while it is being made."""
    for field, value in fields.items():
        object.__setattr__(record, field, value)
