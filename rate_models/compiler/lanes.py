"""Elementwise work on vectors, many elements at a time, with nothing to check beforehand.

Where a loop reads and writes several arrays, LLVM compiles it twice, for many elements at a time
and for one, and asks at every call whether the arrays overlap: for rows of a small network that
takes longer than the row. A `lanewise` function promises that they do not. It is written in the
terms of NumPy:

    @lanewise
    def axpy(y, alpha, x):
        y[...] = y[...] + alpha * x[...]

Compiled, it runs once on `LANES` bytes of each array, again on the next, and so on; each element
goes through the same operations in the same order whatever the width, so no bit depends on it.
A product that is added or subtracted is not rounded before that (fused multiply-add). So a term
with a factor of zero changes nothing, and a sum may leave it out.
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
    return cast(Function, _stage(function, 0))


def tilewise(function: Callable[..., None]) -> Callable[..., None]:
    """The same, with two arguments more before the others: the elements to begin and to end at."""
    return cast(Callable[..., None], _stage(function, 2))


def _stage(function: Any, ends: int) -> Any:
    """ends: how many whole numbers come before the arguments of the function, 0 or 2."""

    def stage(typing, *given):
        kinds = given[ends:]
        of = {kind.dtype if isinstance(kind, types.Array) else kind for kind in kinds}
        if len(of) > 1 or any(isinstance(k, types.Array) and k.layout != "C" for k in kinds):
            raise TypingError(f"{function.__name__}: vectors and numbers of one dtype, not {kinds}")

        def lower(context, builder, signature, given):
            _loops(context, builder, function, kinds, given[ends:], given[:ends])
            return context.get_dummy_value()

        return types.void(*[types.int64] * ends, *kinds), lower

    if config.DISABLE_JIT:
        return _plain(function, ends)
    before = [*inspect.signature(_typed).parameters.values()][: 1 + ends]
    own = [*before, *inspect.signature(function).parameters.values()]
    stage.__signature__ = inspect.Signature(own)  # numba looks for each argument's name
    stage.__name__ = stage.__qualname__ = function.__name__
    stage.__wrapped__ = function  # where `foreign` looks for the code
    return intrinsic(stage)


def _typed(typing, begin, end):
    """For the names of its arguments."""


def _plain(function: Any, ends: int) -> Any:
    """The function on arrays of NumPy, of which all are cut to the length of the first."""

    def stage(*given: Any) -> None:
        begin, end = given[:ends] or (0, given[0].size)
        cut = (one[begin:end] if isinstance(one, np.ndarray) else one for one in given[ends:])
        function(*cut)

    return stage


def _loops(context, builder, function, kinds, given, ends):
    """All elements: as many at a time as there are lanes, then few, then one."""
    arrays: list[Any] = [
        context.make_array(k)(context, builder, v) if isinstance(k, types.Array) else None
        for k, v in zip(kinds, given, strict=True)
    ]
    many = LANES // context.get_abi_sizeof(context.get_value_type(kinds[0].dtype))
    start, size = ir.Constant(WORD, 0), arrays[0].nitems
    if ends:
        start, size = ends[0], builder.sub(ends[1], ends[0])
    for width, most in ((many, None), (FEW, many), (1, FEW)):
        turns = builder.udiv(size, ir.Constant(WORD, width))
        if most is not None:  # of what is left, which tells the compiler how little it is
            turns = builder.urem(turns, ir.Constant(WORD, most // width))
        with cgutils.for_range(builder, turns) as loop:
            at = builder.add(start, builder.mul(loop.index, ir.Constant(WORD, width)))
            function(*(
                Number(builder, value, width) if array is None
                else Vector(builder, builder.gep(array.data, [at]), width)
                for array, value in zip(arrays, given, strict=True)
            ))  # fmt: skip
        start = builder.add(start, builder.mul(turns, ir.Constant(WORD, width)))


class Lanes:
    """Several elements at a time, while a function is compiled; one where ``width`` is 1."""

    def __init__(self, builder: Any, value: Any) -> None:
        self.builder, self.value = builder, value

    def __add__(self, other: Any) -> Lanes:
        if isinstance(other, Product):
            return other.plus(self.value)
        return Lanes(self.builder, self.builder.fadd(self.value, other.value))

    def __sub__(self, other: Any) -> Lanes:
        if isinstance(other, Product):
            return other.negative().plus(self.value)
        return Lanes(self.builder, self.builder.fsub(self.value, other.value))

    def __mul__(self, other: Any) -> Lanes:
        return Product(self.builder, self.value, other.value)


class Product(Lanes):
    """left × right, which is rounded only where it is not a term of a sum."""

    def __init__(self, builder: Any, left: Any, right: Any) -> None:
        self.builder, self._left, self._right = builder, left, right

    @property
    def value(self) -> Any:
        return self.builder.fmul(self._left, self._right)

    def negative(self) -> Product:
        return Product(self.builder, self.builder.fneg(self._left), self._right)

    def plus(self, addend: Any) -> Lanes:
        """left × right + addend, rounded once."""
        of = addend.type
        vector = isinstance(of, ir.VectorType)
        element = of.element if vector else of
        name = "f32" if isinstance(element, ir.FloatType) else "f64"
        name = f"llvm.fma.v{of.count}{name}" if vector else f"llvm.fma.{name}"
        kind = ir.FunctionType(of, [of] * 3)
        fma = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return Lanes(self.builder, self.builder.call(fma, [self._left, self._right, addend]))

    def __add__(self, other: Any) -> Lanes:
        if isinstance(other, Product):
            return other.plus(self.value)
        return self.plus(other.value)

    def __sub__(self, other: Any) -> Lanes:
        if isinstance(other, Product):
            return other.negative().plus(self.value)
        return self.plus(self.builder.fneg(other.value))


class Number(Lanes):
    """A number, the same for all elements."""

    def __init__(self, builder: Any, value: Any, width: int) -> None:
        if width > 1:
            one = ir.Constant(ir.VectorType(value.type, width), ir.Undefined)
            one = builder.insert_element(one, value, ir.Constant(ir.IntType(32), 0))
            nought = ir.Constant(ir.VectorType(ir.IntType(32), width), None)
            value = builder.shuffle_vector(one, one, nought)
        super().__init__(builder, value)


class Vector:
    """The elements of an array at one turn of a loop."""

    def __init__(self, builder: Any, pointer: Any, width: int) -> None:
        of = pointer.type.pointee
        self._align = 4 if isinstance(of, ir.FloatType) else 8
        if width > 1:
            pointer = builder.bitcast(pointer, ir.VectorType(of, width).as_pointer())
        self._builder, self._pointer = builder, pointer

    def __getitem__(self, _: Any) -> Lanes:
        return Lanes(self._builder, self._builder.load(self._pointer, align=self._align))

    def __setitem__(self, _: Any, lanes: Lanes) -> None:
        self._builder.store(lanes.value, self._pointer, align=self._align)
