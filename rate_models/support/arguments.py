"""Input validation of texts and sequences: each bad value raises one BadOption.

Values come from scripts and may be anything: objects that raise when ``len`` is called on them,
infinite sequences, lists that contain themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import numpy as np

from rate_models.errors import BadOption, quoted

MOST = 100_000  # elements of a sequence of options: more are a mistake, or the sequence is infinite


def check_text(what: str, value: object, expected: str = "a name") -> None:
    """Raise BadOption unless ``value`` is a string or None.

    >>> check_text("loss", ["mse"])
    Traceback (most recent call last):
    rate_models.errors.BadOption: loss: got ['mse']; expected a name
    """
    if value is not None and not isinstance(value, str):
        raise BadOption(what, got=quoted(value), expected=expected)


def check_choice(what: str, value: object, choices: Sequence[str | None]) -> None:
    """Raise BadOption unless ``value`` is one of ``choices``, which are names and perhaps None.

    >>> check_choice("scale", "rnge", ("none", "range"))
    Traceback (most recent call last):
    rate_models.errors.BadOption: scale: got 'rnge'; expected none or range
    """
    if not isinstance(value, str | None) or value not in choices:
        *others, last = [choice for choice in choices if choice is not None]
        raise BadOption(what, got=quoted(value), expected=f"{', '.join(others)} or {last}")


def elements(what: str, value: object, expected: str) -> tuple[Any, ...]:
    """The elements of a sequence, in order.

    Raises BadOption for a value without elements or without an order.

    >>> elements("sizes", range(3), "sizes")
    (0, 1, 2)
    >>> elements("sizes", {64, 10}, "sizes")
    Traceback (most recent call last):
    rate_models.errors.BadOption: sizes: got {64, 10}, which has no order; expected sizes
    """
    if isinstance(value, set | frozenset):
        raise BadOption(what, got=f"{quoted(value)}, which has no order", expected=expected)
    try:
        if not isinstance(value, Iterable) or isinstance(value, str | bytes | bytearray):
            raise TypeError
        if isinstance(value, Sequence | np.ndarray) and len(value) > MOST:
            got = f"{len(value):,} of them"
        else:
            result = tuple(islice(value, MOST + 1))
            if len(result) <= MOST:
                return result
            got = f"more than {MOST:,} of them"
    except Exception:  # whatever a foreign object raises when asked for its elements
        got = quoted(value)
    raise BadOption(what, got=got, expected=expected)
