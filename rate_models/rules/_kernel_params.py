"""A rule's own arrays in kernels: a named tuple with their names as fields, such as ``params.F``.

Kernels cached on disk refer to the class of their arguments by name. So another process must get
the same class from this name: ``Params__F__phase`` has the fields F and phase.
"""

from __future__ import annotations

import sys
from collections import namedtuple
from collections.abc import Sequence
from functools import cache
from typing import Any

PREFIX = "Params"


def of(names: Sequence[str]) -> type[Any]:
    """The class with these fields, or with the field `none`, as kernels take no empty tuple.

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
