"""Hyperparameters as NamedTuples: checked by their annotations, and converted for kernels."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import Annotated, Any, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError

from rate_models.errors import BadOption, UnknownName, quoted
from rate_models.support.arguments import MOST

Record = TypeVar("Record", bound=NamedTuple)
FIXED = "fixed"  # annotates a field that determines the initial parameters: not to be changed later

# Ranges that many fields have.
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, lt=1)]  # a fraction below 1, for example dropout
Milliseconds = Positive  # time constants and durations


def fixed(kind: type[Any]) -> tuple[str, ...]:
    """The names of the fields that are annotated as `FIXED`.

    >>> class Example(NamedTuple):
    ...     rate: float = 0.1
    ...     size: Annotated[float, FIXED] = 1.0
    >>> fixed(Example)
    ('size',)
    """
    hints = get_type_hints(kind, include_extras=True)
    return tuple(
        name
        for name, hint in hints.items()
        if get_origin(hint) is Annotated and FIXED in hint.__metadata__
    )


@cache
def _adapters(kind: type[Any]) -> dict[str, TypeAdapter[Any]]:
    hints = get_type_hints(kind, include_extras=True)
    return {name: TypeAdapter(hint) for name, hint in hints.items()}


def checked(record: Record, /, **changes: object) -> Record:
    """``record`` with ``changes``, each checked against its field's annotation.

    Raises UnknownName for a name that is no field, BadOption for a value outside its range.

    >>> from rate_models.model.optimizers import Optimizer
    >>> checked(Optimizer(), lr=0.1).lr
    0.1
    """
    adapters = _adapters(type(record))
    clean: dict[str, Any] = {}
    for name, value in changes.items():
        if name not in adapters:
            raise unknown(name, list(adapters))
        try:
            clean[name] = adapters[name].validate_python(bounded(name, value))
        except ValidationError as error:
            problems = dict.fromkeys(e["msg"].removeprefix("Input should be ")
                                     for e in error.errors())  # fmt: skip
            expected = "; ".join(islice(problems, 3))
            raise BadOption(name, got=quoted(value), expected=expected) from None
    return record._replace(**clean)


def _few(value: range) -> bool:
    return not value[MOST:]  # the length may be more than len() can return


def bounded(name: str, value: Any) -> Any:
    """`plain` of a value.

    Raises BadOption for a value that contains itself, or with more numbers than an option may have.
    """
    many = isinstance(value, range) and not _few(value)
    many = many or (isinstance(value, np.ndarray) and value.size > MOST)
    try:
        if not many and not isinstance(value, Iterator):
            return plain(value)
    except RecursionError:
        pass
    raise BadOption(name, got=quoted(value), expected="a value, or a list of values")


def plain(value: Any) -> Any:
    """NumPy numbers, strings and arrays as Python objects, also within tuples and lists.

    >>> plain(np.float32(0.5)), plain((np.int64(3), np.array([1, 2])))
    (0.5, (3, [1, 2]))
    """
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if type(value) in (tuple, list):
        return type(value)(plain(one) for one in value)
    return value


def unknown(name: str, valid: list[str]) -> UnknownName:
    """The error for an unknown option."""
    return UnknownName("option", got=quoted(name), expected=f"one of {', '.join(valid)}",
                       remedy=closest(name, valid))  # fmt: skip


def closest(name: str, valid: list[str]) -> str:
    """A question that names the most similar valid name; empty if none is similar.

    >>> closest("momentun", ["lr", "momentum"])
    "did you mean 'momentum'?"
    """
    near = difflib.get_close_matches(name, valid, n=1) if isinstance(name, str) else []
    return f"did you mean {near[0]!r}?" if near else ""


def numeric(record: Record, dtype: str) -> Record:
    """``record`` for kernels: every field a number of ``dtype``.

    A choice of words (Literal) becomes the index of its word among the choices.
    """
    choices, number = _choices(type(record)), np.dtype(dtype).type
    values = [c.index(v) if c else v for c, v in zip(choices, record, strict=True)]
    return type(record)(*map(number, values))


@cache
def _choices(kind: type[Any]) -> list[tuple[Any, ...]]:
    """The allowed words of each field, in order; empty for a field that is a number."""
    options = [get_args(hint) for hint in get_type_hints(kind).values()]
    return [words if words and isinstance(words[0], str) else () for words in options]
