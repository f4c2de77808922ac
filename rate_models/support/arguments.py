"""What a person hands in as a text or a sequence, taken as such, or one BadOption.

Values come from scripts and may be anything: objects that raise when they are asked for their
length, sequences without end, lists that contain themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import numpy as np

from rate_models.errors import BadOption, quoted

MOST = 100_000  # elements of a sequence that stands for options: more are a slip, or have no end


def check_text(what: str, value: object, expected: str = "a name") -> None:
    """BadOption unless ``value`` is a text or None.

    >>> check_text("loss", ["mse"])
    Traceback (most recent call last):
    rate_models.errors.BadOption: loss: got ['mse']; expected a name
    """
    if value is not None and not isinstance(value, str):
        raise BadOption(what, got=quoted(value), expected=expected)


def elements(what: str, value: object, expected: str) -> tuple[Any, ...]:
    """The elements of a sequence, in its order; BadOption for what has none or no order.

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
            found = tuple(islice(value, MOST + 1))
            if len(found) <= MOST:
                return found
            got = f"more than {MOST:,} of them"
    except Exception:  # whatever a foreign object raises when asked for its elements
        got = quoted(value)
    raise BadOption(what, got=got, expected=expected)
