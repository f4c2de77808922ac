"""Writing the operations that `machine` executes, and allocating memory for their results."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from biocircuits.description.signals import Signal
from biocircuits.simulation import operations as k
from rate_models.compiler.kernel import CACHE_LINE
from rate_models.model import activations

ELEMENTWISE = {
    "add": k.ADD, "subtract": k.SUBTRACT, "multiply": k.MULTIPLY, "divide": k.DIVIDE,
    "positive": k.POSITIVE, "log": k.LOG, "absolute": k.ABSOLUTE, "exp": k.EXP, "sqrt": k.SQRT,
}  # fmt: skip


LINE = CACHE_LINE // 4  # numbers in float32


def on_line(size: int, n: int) -> int:
    """Where n numbers begin after ``size`` others: a long vector on a cache line."""
    return -(-size // LINE) * LINE if n >= LINE else size


class Vector(NamedTuple):
    """Numbers at an offset of the flat state.

    varies: whether they change during the phase. single: whether one number stands for many.
    """

    at: int
    varies: bool
    single: bool = False


class Allocator:
    """Allocates the flat state. size: numbers allocated so far. constants: {(value, n): offset}."""

    def __init__(self) -> None:
        self.size = 0
        self.constants: dict[tuple[float, int], int] = {}

    def allocate(self, n: int) -> int:
        """The offset of n new numbers."""
        start = on_line(self.size, n)
        self.size = start + n
        return start

    def constant(self, value: float, n: int) -> int:
        """The offset of n times the same number."""
        if (value, n) not in self.constants:
            self.constants[value, n] = self.allocate(n)
        return self.constants[value, n]


class Writer:
    """Collects the operations of one program.

    begin: the writer of what is the same at every step; None: this is it. before: a writer of
    operations that are always executed right before these. loops: whether variables may change
    between two of the operations, so that none can take over the result of another.
    """

    def __init__(
        self,
        memory: Allocator,
        begin: Writer | None = None,
        before: Writer | None = None,
        *,
        loops: bool = False,
    ) -> None:
        self._memory, self._begin, self._before = memory, begin or self, before
        self._loops = loops
        self._rows: list[list[int]] = []
        self._numbers: list[list[float]] = []
        self._values: dict[tuple[int, ...], int] = {}

    def add(
        self, code: int, to: int, a: int = 0, b: int = 0, *,
        n: int, m: int = 0, w: int = 0, z: int = 0, c: float = 1.0, d: float = 0.0,
    ) -> None:  # fmt: skip
        """Append an operation, with the columns of `Program.table` and two constants, c and d."""
        self._rows.append([code, to, a, b, n, m, w, z])
        self._numbers.append([c, d])

    def program(self) -> k.Program:
        """All operations so far."""
        table = np.array(self._rows, np.int64).reshape(-1, 8)
        return k.Program(table, np.array(self._numbers, float).reshape(-1, 2))

    def formula(
        self, signal: Signal, find: Callable[[str], Vector], n: int, to: int | None = None
    ) -> Vector:
        """Write the operations that compute n values of ``signal``, unless they are there already.

        Parts that do not vary are computed once, at the beginning of the phase. find: a variable by
        its name. to: the offset of the result, or None for any.
        """
        done: dict[int, Vector] = {}  # a part may occur more than once in a formula

        def visit(signal: Signal) -> Vector:
            if id(signal) not in done:
                done[id(signal)] = self._part(signal, [visit(a) for a in signal.args], find, n)
            return done[id(signal)]

        if to is None or signal.op in ("read", "number"):
            result = visit(signal)
        else:
            result = self._part(signal, [visit(a) for a in signal.args], find, n, to)
        if to is not None and result.at != to:
            self._writer(result).add(k.COPY, to, result.at, n=n)
        return result if to is None else result._replace(at=to)

    def _part(
        self,
        signal: Signal,
        arguments: list[Vector],
        find: Callable[[str], Vector],
        n: int,
        to: int | None = None,
    ) -> Vector:
        if signal.op == "number":
            return Vector(self._memory.constant(signal.value, n), varies=False)
        if signal.op == "read":
            found = find(signal.name)
            return self._value(k.REPEAT, [found], n, 0, to) if found.single else found
        if signal.op in ELEMENTWISE:
            code, kind = ELEMENTWISE[signal.op], 0
        else:
            code = k.ACTIVATION if signal.op == "activation" else k.SLOPE
            kind = activations.code(signal.name)
        ahead = any(name.startswith("ahead:") for name in signal.names)  # differs during a step
        return self._value(code, arguments, n, kind, to, again=ahead)

    def _writer(self, *arguments: Vector) -> Writer:
        """The writer of what depends on these."""
        return self if any(a.varies for a in arguments) else self._begin

    def _value(
        self, code: int, arguments: list[Vector], n: int, kind: int, to: int | None,
        *, again: bool = False,
    ) -> Vector:  # fmt: skip
        """The result of an operation; one with the same arguments is not computed twice."""
        writer = self._writer(*arguments)
        a, b = arguments[0], arguments[-1]
        key = (code, a.at, b.at, n, kind)
        again = again or writer._loops
        found = None if again else writer._found(key)
        if found is None:
            found = self._memory.allocate(n) if to is None else to
            writer.add(code, found, a.at, b.at, n=n, m=kind)
            if not again:
                writer._values[key] = found
        return Vector(found, varies=writer is not self._begin)

    def _found(self, key: tuple[int, ...]) -> int | None:
        found = self._values.get(key)
        return found if found is not None or self._before is None else self._before._found(key)
