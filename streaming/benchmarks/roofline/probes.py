"""Kernels that do nothing but what a machine limits: read, update, multiply and add."""

# mypy: disable-error-code="attr-defined,misc,no-untyped-call,untyped-decorator,no-untyped-def"

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

from rate_models.compiler.kernel import Array, Scalar, intrinsic, kernel, reduction
from rate_models.compiler.vectors import axpy

CHAINS = 12  # independent sums: more than a processor's multiply-adds under way
WORD, SINGLE = ir.IntType(64), ir.FloatType()


@reduction
def _sum(x: Array) -> Scalar:
    total = x.dtype.type(0)
    for i in range(x.size):
        total += x[i]
    return total


@kernel
def read(x: Array, turns: int) -> None:
    """Read x (n,) from its beginning to its end, ``turns`` times."""
    for _ in range(turns):
        x[0] = _sum(x) * x.dtype.type(1e-30)  # so that no turn can be left out


@kernel
def update(x: Array, pre: Array, turns: int) -> None:
    """x (n, m) += small · pre (m,), row by row, ``turns`` times: every number read and written."""
    for _ in range(turns):
        for row in range(x.shape[0]):
            axpy(x[row], x.dtype.type(1e-30), pre)


def _chains(width: int) -> Any:
    """A stage (turns, a, b): CHAINS vectors of ``width``, each c ← a c + b in registers."""

    @intrinsic
    def chains(typing, turns, a, b):
        def lower(context, builder, signature, given):
            count, *numbers = given
            vector = ir.VectorType(SINGLE, width)
            a, b = (_spread(builder, number, vector) for number in numbers)
            kind, name = ir.FunctionType(vector, [vector] * 3), f"llvm.fma.v{width}f32"
            fma = cgutils.get_or_insert_function(builder.module, kind, name)
            places = [cgutils.alloca_once_value(builder, b) for _ in range(CHAINS)]
            with cgutils.for_range(builder, count):
                for place in places:
                    builder.store(builder.call(fma, [builder.load(place), a, b]), place)
            total = ir.Constant(SINGLE, 0)
            for place in places:
                value = builder.load(place)
                for lane in range(width):
                    one = builder.extract_element(value, ir.Constant(WORD, lane))
                    total = builder.fadd(total, one)
            return total

        return types.float32(turns, a, b), lower

    return chains


def _spread(builder: Any, number: Any, vector: Any) -> Any:
    """The number in every lane."""
    value = ir.Constant(vector, ir.Undefined)
    for lane in range(vector.count):
        value = builder.insert_element(value, number, ir.Constant(WORD, lane))
    return value


_four, _eight, _sixteen = map(_chains, (4, 8, 16))


@kernel
def multiply_adds_4(a: Scalar, b: Scalar, turns: int) -> Scalar:
    """CHAINS vectors of 4 numbers, c ← a c + b, ``turns`` times; the sum of all."""
    return _four(turns, a, b)


@kernel
def multiply_adds_8(a: Scalar, b: Scalar, turns: int) -> Scalar:
    """As `multiply_adds_4`, with vectors of 8."""
    return _eight(turns, a, b)


@kernel
def multiply_adds_16(a: Scalar, b: Scalar, turns: int) -> Scalar:
    """As `multiply_adds_4`, with vectors of 16."""
    return _sixteen(turns, a, b)


MULTIPLY_ADDS = {4: multiply_adds_4, 8: multiply_adds_8, 16: multiply_adds_16}
