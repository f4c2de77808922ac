"""Writing the operations that `machine` executes, and allocating memory for their results."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from biocircuits.description.signals import Signal
from biocircuits.simulation import machine as k
from rate_models.model import activations

ELEMENTWISE = {
    "add": k.ADD, "subtract": k.SUBTRACT, "multiply": k.MULTIPLY, "divide": k.DIVIDE,
    "positive": k.POSITIVE, "log": k.LOG, "absolute": k.ABSOLUTE, "exp": k.EXP, "sqrt": k.SQRT,
}  # fmt: skip
Vector = tuple[int, int]  # (offset, step); a step of 0 repeats a single number


class Allocator:
    """Allocates the flat state. size: numbers allocated so far. constants: {value: offset}."""

    def __init__(self) -> None:
        self.size = 0
        self.constants: dict[float, int] = {}

    def allocate(self, n: int) -> int:
        """The offset of n new numbers."""
        self.size += n
        return self.size - n

    def constant(self, value: float) -> int:
        """The offset of a constant."""
        if value not in self.constants:
            self.constants[value] = self.allocate(1)
        return self.constants[value]


class Writer:
    """Collects the operations of one program."""

    def __init__(self, memory: Allocator) -> None:
        self._memory = memory
        self._rows: list[list[int]] = []
        self._numbers: list[list[float]] = []

    def add(
        self, code: int, to: int, a: int = 0, sa: int = 1, b: int = 0, sb: int = 1, *,
        n: int = 0, m: int = 0, w: int = 0, c: float = 1.0, d: float = 0.0,
    ) -> None:  # fmt: skip
        """Append an operation, with the columns of `Program.table` and two constants, c and d."""
        self._rows.append([code, to, a, sa, b, sb, n, m, w])
        self._numbers.append([c, d])

    def program(self) -> k.Program:
        """All operations so far."""
        table = np.array(self._rows, np.int64).reshape(-1, 9)
        return k.Program(table, np.array(self._numbers, float).reshape(-1, 2))

    def formula(
        self,
        signal: Signal,
        find: Callable[[str], Vector],
        n: int,
        done: dict[int, Vector] | None = None,
    ) -> Vector:
        """Write the operations that compute ``signal``; returns the offset and step of its value.

        find: the offset and step of a variable by name. n: the number of values. done: the parts
        that are computed already, since a part may occur more than once in a formula.
        """
        memory = self._memory
        done = {} if done is None else done
        if signal.op == "read":
            return find(signal.name)
        if signal.op == "number":
            return memory.constant(signal.value), 0
        if id(signal) in done:
            return done[id(signal)]
        arguments = [self.formula(arg, find, n, done) for arg in signal.args]
        single = all(step == 0 for _, step in arguments) and signal.op in ELEMENTWISE
        width = 1 if single else n
        to = memory.allocate(width)
        (a, sa), (b, sb) = arguments[0], arguments[-1]
        if signal.op in ELEMENTWISE:
            self.add(ELEMENTWISE[signal.op], to, a, sa, b, sb, n=width)
        else:
            a = self.repeated((a, sa), n)
            code = k.ACTIVATION if signal.op == "activation" else k.SLOPE
            self.add(code, to, a, 1, activations.code(signal.name), n=n)
        done[id(signal)] = to, 0 if single else 1
        return done[id(signal)]

    def repeated(self, vector: Vector, n: int) -> int:
        """The offset of n numbers; a single number is copied n times."""
        at, step = vector
        if step:
            return at
        copies = self._memory.allocate(n)
        self.add(k.COPY, copies, at, 0, n=n)
        return copies
