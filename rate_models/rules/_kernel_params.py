"""A rule's own arrays as kernels take them, ``params.F``: a named tuple made from their names.

Kernels that are kept on disk name the class of their arguments, so another process must find the
same class by its name: ``Params__F__phase`` has the fields F and phase.
"""

from __future__ import annotations

import sys
from collections import namedtuple
from collections.abc import Sequence
from functools import cache
from typing import Any

PREFIX = "Params"


def of(names: Sequence[str]) -> type[Any]:
    """The class with these fields; with none of them it has `none`, as tuples may not be empty.

    >>> of(("F", "phase"))._fields
    ('F', 'phase')
    >>> of(("F", "phase")) is of(("F", "phase"))
    True
    """
    kind: type[Any] = getattr(sys.modules[__name__], "__".join((PREFIX, *(names or ("none",)))))
    return kind


@cache
def __getattr__(name: str) -> type[Any]:
    prefix, *fields = name.split("__")
    if prefix != PREFIX or not fields:
        raise AttributeError(name)
    return namedtuple(name, fields, module=__name__)
