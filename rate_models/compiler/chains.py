"""Multiply-adds in registers alone: the most that a processor can compute, for measurements."""

# mypy: disable-error-code="attr-defined,misc,no-untyped-call,untyped-decorator,no-untyped-def"

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

from rate_models.compiler.kernel import intrinsic

CHAINS = 12  # independent sums: more than a processor's multiply-adds under way
WORD, SINGLE = ir.IntType(64), ir.FloatType()


def chains_of(width: int) -> Any:
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
