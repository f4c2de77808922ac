"""Machine code that several kernels call: a shared stage, found by its symbol.

What a kernel calls is otherwise compiled once more with each kernel, and the first layer or the
update of a layer take several times as long as a rule's own part.
"""

# mypy: disable-error-code="attr-defined,misc,no-untyped-call"

from __future__ import annotations

import copy
import ctypes
import inspect
from types import FunctionType
from typing import Any

import llvmlite.binding as llvm
from numba import _dynfunc
from numba.core import typing
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompileResult
from numba.core.funcdesc import FunctionDescriptor
from numba.core.lowering import Environment

PREFIX = "dendrostream."  # of symbols; the name of the stage's file follows

# Where numba keeps a function for Python to call: sets a TypeError, returns NULL.
REFUSE = ctypes.cast(ctypes.pythonapi.PyErr_BadArgument, ctypes.c_void_p).value

_known: dict[str, tuple[CompileResult, Any]] = {}  # by symbol; the library keeps code in memory


class Text(JITCodeLibrary):
    """The LLVM IR of a function and of those it calls, for callers to link."""

    def _optimize_final_module(self) -> None:
        """Not optimised here: the kernel optimises it."""

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        """0: a module of LLVM IR has no address of a function."""
        self._ensure_finalized()
        return 0


class _Elsewhere(Text):
    """For the callers of a symbol: nothing to link."""

    def _get_module_for_linking(self) -> Any:
        return self._final_module


def known(symbol: str) -> CompileResult | None:
    """The stage of a symbol, as dispatchers keep it; None where none was added."""
    return _known[symbol][0] if symbol in _known else None


def add(
    symbol: str, target: Any, library: Any, fndesc: Any, env: Any, signature: Any
) -> CompileResult:
    """Let kernels call the function of this descriptor in a library of machine code."""
    llvm.add_symbol(symbol, library.get_pointer_to_function(fndesc.llvm_func_name))
    named = copy.copy(fndesc)
    named.mangled_name = symbol
    _known[symbol] = _result(symbol, target, named, env, signature), library
    return _known[symbol][0]


def declare(
    symbol: str, target: Any, function: FunctionType, args: tuple[Any, ...], returns: Any
) -> CompileResult:
    """The stage of a symbol that is to be added before anything that calls it runs."""
    names = list(inspect.signature(function).parameters)
    fndesc = FunctionDescriptor(
        native=True, modname=function.__module__, qualname=function.__qualname__,
        unique_name=symbol, doc="", typemap=None, restype=returns, calltypes=None, args=names,
        kws=(), mangler=lambda *_, **__: symbol, argtypes=args,
    )  # fmt: skip
    env = Environment(function.__globals__)
    return _result(symbol, target, fndesc, env, typing.signature(returns, *args))


def _result(symbol: str, target: Any, fndesc: Any, env: Any, signature: Any) -> CompileResult:
    """A stage as dispatchers keep it, with nothing for callers to link."""
    elsewhere = _Elsewhere(target.codegen(), symbol)
    elsewhere.finalize()
    entry = _dynfunc.make_function(
        fndesc.lookup_module(), fndesc.qualname, "", REFUSE, env, (elsewhere,)
    )
    given = {
        "target_context": target, "typing_context": target.typing_context, "fndesc": fndesc,
        "library": elsewhere, "entry_point": entry, "environment": env, "signature": signature,
        "objectmode": False, "lifted": (), "reload_init": (), "referenced_envs": (),
    }  # fmt: skip
    return CompileResult(**{**dict.fromkeys(CompileResult._fields), **given})


def called(library: Any) -> list[str]:
    """The symbols that compiled code calls."""
    functions = library._final_module.functions
    return [f.name for f in functions if f.is_declaration and f.name.startswith(PREFIX)]
