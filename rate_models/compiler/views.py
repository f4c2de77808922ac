"""Parts of arrays as arrays, without what slices and `reshape` check, which costs as much as a
small layer. A view that would extend beyond its array is empty.
"""

# mypy: disable-error-code="attr-defined,misc,no-untyped-call,no-untyped-def,untyped-decorator"

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, config, types
from numba.np.arrayobj import make_array

from rate_models.compiler.kernel import Array, intrinsic

WORD = ir.IntType(64)


def _flat(kind: Any) -> bool:
    return isinstance(kind, types.Array) and kind.ndim == 1 and kind.layout == "C"


def _view(context, builder, kind, array, begin, shape):
    """The array of this kind and shape whose elements are those of a flat one from ``begin`` on."""
    made, size = make_array(kind)(context, builder), array.itemsize
    strides: list[Any] = []
    for length in reversed(shape):
        strides.insert(0, size)
        size = builder.mul(size, length)
    made.data = builder.gep(array.data, [begin]) if begin is not None else array.data
    made.itemsize, made.nitems = array.itemsize, shape[0]
    for length in shape[1:]:
        made.nitems = builder.mul(made.nitems, length)
    made.shape = cgutils.pack_array(builder, shape)
    made.strides = cgutils.pack_array(builder, strides)
    made.meminfo = cgutils.get_null_value(made.meminfo.type)
    made.parent = cgutils.get_null_value(made.parent.type)
    return made._getvalue()


def _whole(builder, array, begin, rows, columns=None):
    """``rows``; 0 where that many rows from ``begin`` on are not all in a flat array."""
    end = builder.add(begin, builder.mul(rows, columns) if columns is not None else rows)
    inside = builder.icmp_signed("<=", end, array.nitems)
    return builder.select(inside, rows, ir.Constant(WORD, 0))


def _as_matrix(typing, flat, n, m):
    def lower(context, builder, signature, given):
        array = make_array(signature.args[0])(context, builder, given[0])
        return _view(context, builder, signature.return_type, array, None, given[1:])

    if not _flat(flat):
        return None
    return types.Array(flat.dtype, 2, "C")(flat, types.int64, types.int64), lower


def _item(typing, flat, begins, i):
    def lower(context, builder, signature, given):
        array, at = (
            make_array(kind)(context, builder, value)
            for kind, value in zip(signature.args[:2], given[:2], strict=True)
        )
        begin, end = (
            builder.load(builder.gep(at.data, [builder.add(given[2], ir.Constant(WORD, n))]))
            for n in range(2)
        )
        size = _whole(builder, array, begin, builder.sub(end, begin))
        return _view(context, builder, flat, array, begin, [size])

    return flat(flat, begins, types.int64) if _flat(flat) else None, lower


def _fields(context, builder, kind, value, names):
    """The data of flat arrays that are fields of a record or named tuple."""
    for name in names:
        field = context.typing_context.resolve_getattr(kind, name)
        got = context.get_getattr(kind, name)(context, builder, kind, value, name)
        yield make_array(field)(context, builder, got).data


def units_of(begins: str, sizes: str) -> Any:
    """A view (of, flat, i): the of.sizes_i elements of ``flat`` from number of.begins_i on."""

    def units(typing, of, flat, i):
        def lower(context, builder, signature, given):
            array = make_array(flat)(context, builder, given[1])
            fields = _fields(context, builder, of, given[0], (begins, sizes))
            begin, size = (builder.load(builder.gep(data, [given[2]])) for data in fields)
            size = _whole(builder, array, begin, size)
            return _view(context, builder, flat, array, begin, [size])

        return flat(of, flat, types.int64) if _flat(flat) else None, lower

    return intrinsic(units)


def matrices_of(begins: str, sizes: str) -> Any:
    """A view (of, flat, i): the matrix (sizes_i, sizes_{i-1}) from number of.begins_i on."""

    def matrix(typing, of, flat, i):
        def lower(context, builder, signature, given):
            array = make_array(flat)(context, builder, given[1])
            begin_at, size_at = _fields(context, builder, of, given[0], (begins, sizes))
            below = builder.sub(given[2], ir.Constant(WORD, 1))
            begin, n, m = (
                builder.load(builder.gep(data, [at]))
                for data, at in ((begin_at, given[2]), (size_at, given[2]), (size_at, below))
            )
            n = _whole(builder, array, begin, n, m)
            return _view(context, builder, signature.return_type, array, begin, [n, m])

        matrix = types.Array(flat.dtype, 2, "C")
        return matrix(of, flat, types.int64) if _flat(flat) else None, lower

    return intrinsic(matrix)


as_matrix: Any = intrinsic(_as_matrix)  # (flat, n, m): a contiguous vector of n m numbers as (n, m)
item_of: Any = intrinsic(_item)  # (flat, begins, i): the elements from begins_i to begins_{i+1}
if config.DISABLE_JIT:

    def as_matrix(flat: Array, n: int, m: int) -> Array:
        return flat[: n * m].reshape(n, m)

    def item_of(flat: Array, begins: Array, i: int) -> Array:
        return flat[begins[i] : begins[i + 1]]

    def units_of(begins: str, sizes: str) -> Any:
        def units(of: Any, flat: Array, i: int) -> Array:
            begin = getattr(of, begins)[i]
            return flat[begin : begin + getattr(of, sizes)[i]]

        return units

    def matrices_of(begins: str, sizes: str) -> Any:
        def matrix(of: Any, flat: Array, i: int) -> Array:
            begin, n = getattr(of, begins)[i], getattr(of, sizes)
            return flat[begin : begin + n[i] * n[i - 1]].reshape(n[i], n[i - 1])

        return matrix
