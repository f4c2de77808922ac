"""Atomic counters and a clock for threads that run inside kernels.

`store_release` publishes a value: a thread that reads it by `load_acquire` also sees everything
that the writer wrote before. Counters of different writers lie a cache line apart (`cells`), so
that threads do not share a cache line.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from llvmlite import ir
from numpy.typing import NDArray

from rate_models.compiler.kernel import CACHE_LINE, aligned, int64, intrinsic

Ints = NDArray[np.int64]
SPINS = 200  # reads of a counter before the core is offered to other threads
CELL = CACHE_LINE // 8  # int64 numbers from one counter to the next
_WORD = ir.IntType(64)
_MONOTONIC = getattr(time, "CLOCK_MONOTONIC", 1)


def cells(n: int) -> Ints:
    """An array of n counters at zero; counter i has the index i * `CELL`."""
    return aligned(np.zeros(n * CELL), np.dtype(np.int64))


def _pointer(context: Any, builder: Any, kind: Any, array: Any, at: Any) -> Any:
    return builder.gep(context.make_array(kind)(context, builder, array).data, [at])


@intrinsic
def load_acquire(typing: Any, array: Any, at: Any) -> Any:
    """Read array[at] (int64); everything that its writer wrote before it is then visible."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _pointer(context, builder, signature.args[0], *arguments)
        return builder.load_atomic(pointer, "acquire", 8)

    return int64(array, int64), code


@intrinsic
def store_release(typing: Any, array: Any, at: Any, value: Any) -> Any:
    """Write array[at] = value (int64) after all earlier writes of this thread; returns value."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, at, value = arguments
        pointer = _pointer(context, builder, signature.args[0], array, at)
        builder.store_atomic(value, pointer, "release", 8)
        return value

    return int64(array, int64, int64), code


@intrinsic
def yield_core(typing: Any) -> Any:
    """Offer this core to other threads; returns 0."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        function = _function(builder, "sched_yield", [])
        return builder.sext(builder.call(function, []), _WORD)

    return int64(), code


@intrinsic
def nanoseconds(typing: Any) -> Any:
    """The time in nanoseconds of a monotonic clock, the same for all threads."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        with builder.goto_entry_block():
            spec = builder.alloca(_WORD, size=ir.Constant(ir.IntType(32), 2))
        clock = ir.IntType(32)
        function = _function(builder, "clock_gettime", [clock, spec.type])
        builder.call(function, [ir.Constant(clock, _MONOTONIC), spec])
        seconds = builder.load(spec)
        rest = builder.load(builder.gep(spec, [ir.Constant(ir.IntType(32), 1)]))
        billion = ir.Constant(_WORD, 1_000_000_000)
        return builder.add(builder.mul(seconds, billion), rest)

    return int64(), code


def _function(builder: Any, name: str, arguments: list[Any]) -> Any:
    """The declaration of a function of the C library, int name(arguments)."""
    module = builder.module
    if name in module.globals:
        return module.globals[name]
    return ir.Function(module, ir.FunctionType(ir.IntType(32), arguments), name)
