"""Elementwise work on vectors, many elements at a time, with nothing to check beforehand.

Where a loop reads and writes several arrays, LLVM compiles it twice, for many elements at a time
and for one, and asks at every call whether the arrays overlap: for rows of a small network that
takes longer than the row. A function that is `lanewise` says that they do not, in NumPy's words:

    @lanewise
    def axpy(y, alpha, x):
        y[...] = y[...] + alpha * x[...]

Compiled, it runs once on `LANES` bytes of each array, again on the next, and so on; each element
goes through the same operations in the same order whatever the width, so no bit depends on it.
"""

# mypy: disable-error-code="attr-defined,misc,no-untyped-call,untyped-decorator,no-untyped-def"

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from llvmlite import ir
from numba.core import cgutils, config, types
from numba.core.errors import TypingError

from rate_models.compiler.kernel import intrinsic

WORD = ir.IntType(64)
LANES = 64  # bytes: the widest vectors that processors have; others take several instructions
FEW = 4  # elements at a time of what is left
Function = TypeVar("Function", bound=Callable[..., None])


def lanewise(function: Function) -> Function:
    """A stage from a function of vectors and numbers of one dtype, with elementwise +, − and ×.

    The first argument is a vector; the other vectors are at least as long. ``x[...]`` is a vector's
    elements, ``x[...] = value`` writes them. What is written overlaps nothing but itself.
    """

    def stage(typing, *kinds):
        of = {kind.dtype if isinstance(kind, types.Array) else kind for kind in kinds}
        if len(of) > 1 or any(isinstance(k, types.Array) and k.layout != "C" for k in kinds):
            raise TypingError(f"{function.__name__}: vectors and numbers of one dtype, not {kinds}")

        def lower(context, builder, signature, given):
            _loops(context, builder, function, kinds, given)
            return context.get_dummy_value()

        return types.void(*kinds), lower

    if config.DISABLE_JIT:
        return cast(Function, _plain(function))
    own = [*inspect.signature(stage).parameters.values()][:1]
    own += inspect.signature(function).parameters.values()
    stage.__signature__ = inspect.Signature(own)  # numba looks for each argument's name
    stage.__name__ = stage.__qualname__ = function.__name__
    stage.__wrapped__ = function  # where `foreign` looks for the code
    return cast(Function, intrinsic(stage))


def _plain(function: Any) -> Any:
    """The function on arrays of NumPy, of which all are cut to the length of the first."""

    def stage(first: Any, *rest: Any) -> None:
        cut = (one[: first.size] if isinstance(one, np.ndarray) else one for one in rest)
        function(first, *cut)

    return stage


def _loops(context, builder, function, kinds, given):
    """All elements: as many at a time as there are lanes, then few, then one."""
    arrays: list[Any] = [
        context.make_array(k)(context, builder, v) if isinstance(k, types.Array) else None
        for k, v in zip(kinds, given, strict=True)
    ]
    many = LANES // context.get_abi_sizeof(context.get_value_type(kinds[0].dtype))
    size, start = arrays[0].nitems, ir.Constant(WORD, 0)
    for width, most in ((many, None), (FEW, many), (1, FEW)):
        turns = builder.udiv(size, ir.Constant(WORD, width))
        if most is not None:  # of what is left, which tells the compiler how little it is
            turns = builder.urem(turns, ir.Constant(WORD, most // width))
        with cgutils.for_range(builder, turns) as loop:
            at = builder.add(start, builder.mul(loop.index, ir.Constant(WORD, width)))
            function(*(
                _Number(builder, value, width) if array is None
                else _Vector(builder, builder.gep(array.data, [at]), width)
                for array, value in zip(arrays, given, strict=True)
            ))  # fmt: skip
        start = builder.add(start, builder.mul(turns, ir.Constant(WORD, width)))


class _Lanes:
    """Several elements at a time, while a function is compiled; one where ``width`` is 1."""

    def __init__(self, builder: Any, value: Any) -> None:
        self.builder, self.value = builder, value

    def __add__(self, other: Any) -> _Lanes:
        return _Lanes(self.builder, self.builder.fadd(self.value, other.value))

    def __sub__(self, other: Any) -> _Lanes:
        return _Lanes(self.builder, self.builder.fsub(self.value, other.value))

    def __mul__(self, other: Any) -> _Lanes:
        return _Lanes(self.builder, self.builder.fmul(self.value, other.value))


class _Number(_Lanes):
    """A number, the same for all elements."""

    def __init__(self, builder: Any, value: Any, width: int) -> None:
        if width > 1:
            one = ir.Constant(ir.VectorType(value.type, width), ir.Undefined)
            one = builder.insert_element(one, value, ir.Constant(ir.IntType(32), 0))
            nought = ir.Constant(ir.VectorType(ir.IntType(32), width), None)
            value = builder.shuffle_vector(one, one, nought)
        super().__init__(builder, value)


class _Vector:
    """The elements of an array at one turn of a loop."""

    def __init__(self, builder: Any, pointer: Any, width: int) -> None:
        of = pointer.type.pointee
        self._align = 4 if isinstance(of, ir.FloatType) else 8
        if width > 1:
            pointer = builder.bitcast(pointer, ir.VectorType(of, width).as_pointer())
        self._builder, self._pointer = builder, pointer

    def __getitem__(self, _: Any) -> _Lanes:
        return _Lanes(self._builder, self._builder.load(self._pointer, align=self._align))

    def __setitem__(self, _: Any, lanes: _Lanes) -> None:
        self._builder.store(lanes.value, self._pointer, align=self._align)
