"""A vector as a matrix, without the checks of `reshape`, which cost as much as a small layer."""

# mypy: disable-error-code="attr-defined,misc,no-untyped-call,no-untyped-def"

from __future__ import annotations

from typing import Any

from numba.core import cgutils, config, types
from numba.np.arrayobj import make_array

from rate_models.compiler.kernel import Array, intrinsic


def _as_matrix(typing, flat, n, m):
    def lower(context, builder, signature, given):
        array = make_array(signature.args[0])(context, builder, given[0])
        made = make_array(signature.return_type)(context, builder)
        rows, columns = given[1], given[2]
        made.data, made.itemsize = array.data, array.itemsize
        made.nitems = builder.mul(rows, columns)
        made.shape = cgutils.pack_array(builder, [rows, columns])
        strides = [builder.mul(columns, array.itemsize), array.itemsize]
        made.strides = cgutils.pack_array(builder, strides)
        made.meminfo = cgutils.get_null_value(made.meminfo.type)
        made.parent = cgutils.get_null_value(made.parent.type)
        return made._getvalue()

    if not (isinstance(flat, types.Array) and flat.ndim == 1 and flat.layout == "C"):
        return None
    return types.Array(flat.dtype, 2, "C")(flat, types.int64, types.int64), lower


as_matrix: Any = intrinsic(_as_matrix)  # (flat, n, m): a contiguous vector of n m numbers as (n, m)
if config.DISABLE_JIT:

    def as_matrix(flat: Array, n: int, m: int) -> Array:
        return flat[: n * m].reshape(n, m)
