"""Records of arrays that kernels take as one address, in place of array after array.

A kernel of a network reads and writes forty arrays. Numba would unpack all of them at every call
from Python, which costs more than a small network's arithmetic, and copy them at every call of a
stage. So named tuples of arrays are laid out once, as a `Record`, and kernels get its address:

    def run(address):
        net = opened(address, KIND)  # KIND: `kind_of` the record
        net.W[0] += 1

Inside, ``net`` has the fields of the named tuple. A field is read where it is used; a stage that
takes ``net`` takes one pointer. A field that is a named tuple is a record itself.
"""

# mypy: disable-error-code="attr-defined,misc,no-untyped-call,untyped-decorator,no-untyped-def"
# mypy: disable-error-code="override"

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, config, types
from numba.core.imputils import lower_getattr_generic
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.extending import models, register_model

from rate_models.compiler.kernel import intrinsic

WORD = ir.IntType(64)


class Record:
    """A named tuple of arrays, numbers and further named tuples, at an address that stays.

    It keeps the arrays alive, so it must live as long as kernels are called with its ``address``.

    values: the named tuple. address: what kernels take; where nothing is compiled, the tuple.
    """

    def __init__(self, values: Any) -> None:
        self.values = values
        self._words = np.array([*_words(values)], np.int64)
        self.address: Any = values if config.DISABLE_JIT else self._words.ctypes.data


class Records:
    """Several named tuples as records, and their addresses (N,)."""

    def __init__(self, values: Iterable[Any]) -> None:
        self._records = [Record(one) for one in values]
        several = [one.address for one in self._records]
        self.addresses: Any = several if config.DISABLE_JIT else np.array(several, np.int64)


def kind_of(values: Any) -> Any:
    """The type of a record of these values, for kernels to be bound to."""
    return numba.typeof(values)


def _words(value: Any) -> Iterator[int]:
    """The 64-bit words of a record: of an array its data and its shape, of a number its value."""
    if isinstance(value, np.ndarray):
        if not value.flags.c_contiguous or not value.flags.writeable:
            raise TypeError("records take contiguous arrays that can be written to")
        yield value.__array_interface__["data"][0]
        yield from value.shape
    elif isinstance(value, tuple):
        for one in value:
            yield from _words(one)
    elif isinstance(value, float | np.floating):
        yield struct.unpack("q", struct.pack("d", value))[0]
    else:
        yield int(value)


def _width(of: Any) -> int:
    """How many words a value of this type has."""
    if isinstance(of, types.BaseTuple):
        return _widths(of.types)
    return 1 + of.ndim if isinstance(of, types.Array) else 1


def _widths(several: Iterable[Any]) -> int:
    return sum(_width(of) for of in several)


class Opened(types.Type):
    """The type of a record inside a kernel; of: the type of the named tuple."""

    def __init__(self, of: Any) -> None:
        self.of = of
        super().__init__(f"record of {of}")

    @property
    def key(self) -> Any:
        """Types of one key are one type; those of two named tuples may have the same name."""
        return self.of


@register_model(Opened)
class _Pointer(models.OpaqueModel):
    """The record's address."""


@infer_getattr
class _Fields(AttributeTemplate):
    key = Opened

    def generic_resolve(self, record: Opened, name: str) -> Any:
        if name not in record.of.fields:
            return None
        field = record.of.types[record.of.fields.index(name)]
        return Opened(field) if isinstance(field, types.BaseTuple) else field


@lower_getattr_generic(Opened)
def _read(context, builder, record, pointer, name):
    before = record.of.fields.index(name)
    field = record.of.types[before]
    start = builder.bitcast(pointer, WORD.as_pointer())
    at = builder.gep(start, [ir.Constant(WORD, _widths(record.of.types[:before]))])
    if isinstance(field, types.BaseTuple):
        return builder.bitcast(at, cgutils.voidptr_t)
    if isinstance(field, types.Array):
        return _array(context, builder, field, at)
    word = _word(builder, at)
    if isinstance(field, types.Float):
        number = builder.bitcast(word, ir.DoubleType())
        return context.cast(builder, number, types.float64, field)
    return context.cast(builder, word, types.int64, field)


def _word(builder, at, index=0):
    word = builder.load(builder.gep(at, [ir.Constant(WORD, index)]))
    # no kernel changes a record: what was read once holds for the whole of its run
    word.set_metadata("invariant.load", builder.module.add_metadata([]))
    return word


def _array(context, builder, of, at):
    """The array whose words begin here, as numba has arrays; contiguous, so its strides follow."""
    kind = context.get_value_type(of)
    model = context.data_model_manager[of]
    size = context.get_abi_sizeof(context.get_data_type(of.dtype))
    shape = [_word(builder, at, 1 + axis) for axis in range(of.ndim)]
    strides: list[Any] = []
    count = ir.Constant(WORD, 1)
    for length in reversed(shape):
        strides.insert(0, builder.mul(count, ir.Constant(WORD, size)))
        count = builder.mul(count, length)
    fields = {
        "data": builder.inttoptr(
            _word(builder, at), kind.elements[model.get_field_position("data")]
        ),
        "nitems": count,
        "itemsize": ir.Constant(WORD, size),
        "shape": cgutils.pack_array(builder, shape, WORD),
        "strides": cgutils.pack_array(builder, strides, WORD),
    }
    array = ir.Constant(kind, None)  # meminfo and parent: none
    for name, value in fields.items():
        array = builder.insert_value(array, value, model.get_field_position(name))
    return array


def _opened(typingctx, address, kind):
    def lower(context, builder, signature, given):
        return builder.inttoptr(given[0], cgutils.voidptr_t)

    return Opened(kind.instance_type)(types.int64, kind), lower


def _another(typingctx, record, address):
    def lower(context, builder, signature, given):
        return builder.inttoptr(given[1], cgutils.voidptr_t)

    return record(record, types.int64), lower


opened: Any = intrinsic(_opened)  # the record of a `kind_of` at an address
another: Any = intrinsic(_another)  # one like a record that is open
if config.DISABLE_JIT:  # an address is the named tuple

    def opened(address: Any, kind: Any) -> Any:
        return address
