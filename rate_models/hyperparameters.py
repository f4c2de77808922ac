"""Hyperparameters as NamedTuples: checked by their annotations, and turned into kernel numbers."""

from __future__ import annotations

import difflib
from functools import cache
from typing import Any, Literal, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

import numpy as np
from pydantic import TypeAdapter, ValidationError

from rate_models.errors import BadOption, UnknownName

Record = TypeVar("Record", bound=NamedTuple)


@cache
def _adapters(kind: type[Any]) -> dict[str, TypeAdapter[Any]]:
    hints = get_type_hints(kind, include_extras=True)
    return {name: TypeAdapter(hint) for name, hint in hints.items()}


def checked(record: Record, **changes: object) -> Record:
    """``record`` with ``changes``, each checked against its field's annotation.

    Raises UnknownName for a name that is no field, BadOption for a value outside its range.

    >>> from rate_models.optimizers import Optimizer
    >>> checked(Optimizer(), lr=0.1).lr
    0.1
    """
    adapters = _adapters(type(record))
    clean: dict[str, Any] = {}
    for name, value in changes.items():
        if name not in adapters:
            raise unknown(name, list(adapters))
        try:
            clean[name] = adapters[name].validate_python(value)
        except ValidationError as error:
            expected = "; ".join(e["msg"].removeprefix("Input should be ") for e in error.errors())
            raise BadOption(name, got=repr(value), expected=expected) from None
    return record._replace(**clean)


def unknown(name: str, valid: list[str]) -> UnknownName:
    """The error for an option that no one knows."""
    near = difflib.get_close_matches(name, valid, n=1)
    remedy = f"did you mean {near[0]!r}?" if near else ""
    return UnknownName("option", got=repr(name), expected=f"one of {', '.join(valid)}",
                       remedy=remedy)  # fmt: skip


def numeric(record: Record, dtype: str) -> Record:
    """``record`` as kernels take it: every field a number of ``dtype``.

    A choice of words (Literal) becomes the place of its word in the list of choices.
    """
    hints = get_type_hints(type(record))
    values = []
    for name, value in zip(record._fields, record, strict=True):
        if get_origin(hints[name]) is Literal and isinstance(value, str):
            value = get_args(hints[name]).index(value)
        values.append(np.dtype(dtype).type(value))
    return type(record)(*values)
