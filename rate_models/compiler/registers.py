"""Sums of products of small matrices, with reused values kept in registers.

`lanewise` stages read and write a vector once for each few terms of its sum. If a matrix fits into
the first or second cache, that takes longer than the multiply-adds. Here a strip of columns is
worked on in all rows, then the next: the running sums, or the vectors that every row takes, stay in
registers.

A sum adds its terms to each element one after another in the order of their numbers, each product
unrounded, as sums over rows do everywhere in kernels.
"""

# mypy: disable-error-code="attr-defined,misc,no-untyped-call,untyped-decorator,no-untyped-def"

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba.core import cgutils, config, types
from numba.core.errors import TypingError

from rate_models.compiler.kernel import Array, intrinsic
from rate_models.compiler.lanes import FEW, LANES, WORD, Lanes, Number, Vector

# Strips of columns, as (vectors, share of `LANES` in each): what eight samples have in one fills
# half of the 32 registers of AVX-512, or of the 16 smaller ones of other processors.
_FEATURES = config.CPU_FEATURES or llvmlite.binding.get_host_cpu_features().flatten()
STRIPS = ((2, 1), (1, 1)) if "+avx512f" in _FEATURES else ((1, 2),)
TOGETHER = 8  # rows of `alpha` and `post` in `add_outers`, and of `out` and `x` in `add_products`


class _Matrix:
    """A matrix of a function that is being compiled, of which a strip of columns is worked on."""

    def __init__(self, context: Any, builder: Any, kind: Any, value: Any) -> None:
        array = context.make_array(kind)(context, builder, value)
        self._builder, self._data = builder, array.data
        self.rows, self.columns = cgutils.unpack_tuple(builder, array.shape, 2)
        self.lanes = LANES // context.get_abi_sizeof(context.get_value_type(kind.dtype))

    def number(self, row: Any, column: Any, width: int) -> Number:
        """An element, in every lane."""
        return Number(self._builder, self._builder.load(self._at(row, column)), width)

    def vectors(self, row: Any, column: Any, many: int, width: int) -> list[Vector]:
        """Neighbouring vectors of a row, from a column on."""
        steps = (ir.Constant(WORD, n * width) for n in range(many))
        at = (self._at(row, self._builder.add(column, step)) for step in steps)
        return [Vector(self._builder, pointer, width) for pointer in at]

    def _at(self, row: Any, column: Any) -> Any:
        flat = self._builder.add(self._builder.mul(row, self.columns), column)
        return self._builder.gep(self._data, [flat])


def _stage(name: str, strip: Callable[..., None]) -> Any:
    """An intrinsic of three matrices from what it does with a strip of columns of the first."""

    def stage(typing, y, factors, x):
        kinds = y, factors, x
        if any(not isinstance(k, types.Array) or (k.ndim, k.layout) != (2, "C") for k in kinds):
            raise TypingError(f"{name}: contiguous matrices, not {kinds}")
        if len({kind.dtype for kind in kinds}) > 1:
            raise TypingError(f"{name}: matrices of one dtype, not {kinds}")

        def lower(context, builder, signature, given):
            of = [_Matrix(context, builder, *one) for one in zip(kinds, given, strict=True)]
            start = ir.Constant(WORD, 0)
            strips = [(many, of[0].lanes // share) for many, share in STRIPS]
            for many, width in (*strips, (1, FEW), (1, 1)):
                step = ir.Constant(WORD, many * width)
                turns = builder.udiv(builder.sub(of[0].columns, start), step)
                with cgutils.for_range(builder, turns) as loop:
                    column = builder.add(start, builder.mul(loop.index, step))
                    strip(builder, *of, column, many, width)
                start = builder.add(start, builder.mul(turns, step))
            return context.get_dummy_value()

        return types.void(*kinds), lower

    stage.__name__ = stage.__qualname__ = name
    return intrinsic(stage)


class _Sum:
    """A running sum, of every lane its own, which the compiler keeps in a register."""

    def __init__(self, builder: Any, vector: Vector) -> None:
        start = vector[...].value
        self._builder, self._slot = builder, cgutils.alloca_once(builder, start.type)
        builder.store(start, self._slot)

    def get(self) -> Lanes:
        return Lanes(self._builder, self._builder.load(self._slot))

    def add(self, term: Lanes) -> None:
        self._builder.store((self.get() + term).value, self._slot)


def _outers(builder, w, alpha, post, column, many, width):
    """Some columns of `add_outers`."""
    numbers = [ir.Constant(WORD, n) for n in range(TOGETHER)]
    taken = [[v[...] for v in post.vectors(n, column, many, width)] for n in numbers]
    with cgutils.for_range(builder, w.rows) as loop:
        row = w.vectors(loop.index, column, many, width)
        sums = [vector[...] for vector in row]
        for n, terms in zip(numbers, taken, strict=True):
            factor = alpha.number(n, loop.index, width)
            sums = [total + factor * term for total, term in zip(sums, terms, strict=True)]
        for vector, total in zip(row, sums, strict=True):
            vector[...] = total


def _products(samples: int) -> Callable[..., None]:
    """Some columns of `add_products` for a number of samples."""

    def strip(builder, out, x, w, column, many, width):
        numbers = [ir.Constant(WORD, t) for t in range(samples)]
        targets = [out.vectors(t, column, many, width) for t in numbers]
        sums = [[_Sum(builder, vector) for vector in row] for row in targets]
        with cgutils.for_range(builder, w.rows) as loop:
            terms = [vector[...] for vector in w.vectors(loop.index, column, many, width)]
            for t, row in zip(numbers, sums, strict=True):
                factor = x.number(t, loop.index, width)
                for total, term in zip(row, terms, strict=True):
                    total.add(factor * term)
        for vectors, row in zip(targets, sums, strict=True):
            for vector, total in zip(vectors, row, strict=True):
                vector[...] = total.get()

    return strip


# (w, alpha, post): w_j += Σ_n alpha_nj post_n for the rows of w (n, m); alpha (8, n), post (8, m)
add_outers: Any = _stage("add_outers", _outers)
# (out, x, w): out_t += Σ_j x_tj w_j; out (8, m), x (8, n), w (n, m)
add_products: Any = _stage("add_products", _products(TOGETHER))
# (out, x, w): the same for one sample, out (1, m), x (1, n)
add_products_of_one: Any = _stage("add_products_of_one", _products(1))
if config.DISABLE_JIT:

    def add_outers(w: Array, alpha: Array, post: Array) -> None:
        for n in range(TOGETHER):
            w += alpha[n, : len(w), None] * post[n]

    def add_products(out: Array, x: Array, w: Array) -> None:
        for j in range(len(w)):
            out += x[:, j, None] * w[j]

    add_products_of_one = add_products
