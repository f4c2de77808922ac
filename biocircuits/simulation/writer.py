"""Gathering the operations that `_kernel` runs, and places for what they compute."""

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
Place = tuple[int, int]  # where a vector begins, and 1, or 0 where one number stands for all


class Room:
    """The flat state as it is given out: ``size`` so far; constants by their value."""

    def __init__(self) -> None:
        self.size = 0
        self.constants: dict[float, int] = {}

    def take(self, n: int) -> int:
        """The beginning of n fresh places."""
        self.size += n
        return self.size - n

    def constant(self, value: float) -> int:
        """The place of a number that never changes."""
        if value not in self.constants:
            self.constants[value] = self.take(1)
        return self.constants[value]


class Writer:
    """Gathers the operations of one program."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._rows: list[list[int]] = []
        self._numbers: list[list[float]] = []

    def add(
        self, code: int, to: int, a: int = 0, sa: int = 1, b: int = 0, sb: int = 1, *,
        n: int = 0, m: int = 0, w: int = 0, c: float = 1.0, d: float = 0.0,
    ) -> None:  # fmt: skip
        self._rows.append([code, to, a, sa, b, sb, n, m, w])
        self._numbers.append([c, d])

    def program(self) -> k.Program:
        table = np.array(self._rows, np.int64).reshape(-1, 9)
        return k.Program(table, np.array(self._numbers, float).reshape(-1, 2))

    def formula(
        self,
        signal: Signal,
        find: Callable[[str], Place],
        n: int,
        done: dict[int, Place] | None = None,
    ) -> Place:
        """Operations that compute ``signal``; where its value will lie.

        done: what is computed already, since a part may occur more than once in a formula.
        """
        room = self._room
        done = {} if done is None else done
        if signal.op == "read":
            return find(signal.name)
        if signal.op == "number":
            return room.constant(signal.value), 0
        if id(signal) in done:
            return done[id(signal)]
        places = [self.formula(arg, find, n, done) for arg in signal.args]
        single = all(step == 0 for _, step in places) and signal.op in ELEMENTWISE
        width = 1 if single else n
        to = room.take(width)
        (a, sa), (b, sb) = places[0], places[-1]
        if signal.op in ELEMENTWISE:
            self.add(ELEMENTWISE[signal.op], to, a, sa, b, sb, n=width)
        else:
            a = self.spread((a, sa), n)
            code = k.ACTIVATION if signal.op == "activation" else k.SLOPE
            self.add(code, to, a, 1, activations.code(signal.name), n=n)
        done[id(signal)] = to, 0 if single else 1
        return done[id(signal)]

    def spread(self, place: Place, n: int) -> int:
        """Where n numbers lie that ``place`` has, or stands for."""
        at, step = place
        if step:
            return at
        several = self._room.take(n)
        self.add(k.COPY, several, at, 0, n=n)
        return several
