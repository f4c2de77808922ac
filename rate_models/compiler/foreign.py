"""A digest of the code outside our packages that a kernel calls, such as a user's own rule.

The folder of cached kernels is named after our own sources. Code of other files is found by
following the names in the code of a kernel, so that an edited file, or an edited module that it
imports, is compiled again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np
from numba.core.dispatcher import Dispatcher
from numba.core.errors import NumbaError
from numba.core.extending import _Intrinsic

OURS = ("rate_models", "biocircuits", "streaming")
_CONSTANTS = (bool, int, float, complex, str, tuple, np.generic, np.ndarray, type(None))


def digest(function: FunctionType) -> str:
    """Of all code outside our packages that ``function`` calls, and the numbers in it; "" if none.

    >>> digest(digest)
    ''
    """
    found, seen, todo = list[str](), set[int](), list[Any]([function])
    while todo:
        options, plain = _plain(todo.pop())
        if plain is None or id(plain) in seen:
            continue
        seen.add(id(plain))
        ours = plain.__module__.partition(".")[0] in OURS
        if not ours:
            about = plain.__module__, plain.__qualname__, options, _code(plain.__code__)
            found.append(repr(about))
        for name, value in _used(plain):
            if isinstance(value, Dispatcher | _Intrinsic):
                todo.append(value)
            elif not ours and isinstance(value, _CONSTANTS):
                found.append(f"{name}={_constant(value)}")
    return hashlib.sha256("\n".join(sorted(found)).encode()).hexdigest() if found else ""


def _plain(value: Any) -> tuple[str, FunctionType | None]:
    """The options with which a function is compiled, and the function."""
    if isinstance(value, Dispatcher):
        return repr(sorted(map(str, value.targetoptions.items()))), value.py_func
    if isinstance(value, _Intrinsic):
        return "intrinsic", getattr(value._defn, "__wrapped__", value._defn)
    return "", value if isinstance(value, FunctionType) else None


def _used(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """The values that a function's code names, and what it names of modules."""
    names = set(_names(function.__code__))
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    values = {name: function.__globals__.get(name) for name in names}
    values |= {name: cell.cell_contents for name, cell in cells}
    for name, value in values.items():
        if isinstance(value, ModuleType):
            for attribute in names & vars(value).keys():
                yield f"{name}.{attribute}", vars(value)[attribute]
        else:
            yield name, value


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _code(code: CodeType) -> tuple[Any, ...]:
    """All of a function's code that decides what it computes."""
    constants = [_code(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return code.co_code, constants, code.co_names, code.co_varnames, code.co_freevars


def _constant(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape} {hashlib.sha256(value.tobytes()).hexdigest()}"
    return repr(value)


# What numba raises of code that it cannot compile.
UNCOMPILED = (NumbaError, AttributeError, NameError, TypeError)


def explained(error: Exception) -> str:
    """Why numba cannot compile a kernel, in one line, with the line of a file outside ours."""
    text = str(error)
    frames = re.findall(r'File "([^"]+)", line (\d+)', text)
    theirs = [(path, line) for path, line in frames if not {"numba", *OURS} & {*Path(path).parts}]
    at = f"{Path(theirs[-1][0]).name}, line {theirs[-1][1]}: " if theirs else ""
    if "_ol_array_allocate" in text or "allocate" in text:
        return f"{at}it makes an array, as -a and a + b of arrays do: fill one that is there"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    reasons = [line for line in lines if not line.startswith(("Failed in", "File", "During", "-"))]
    return f"{at}{(reasons or lines)[0][:200]}"
