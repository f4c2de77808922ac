"""The kernels that execute a compiled circuit: lists of operations on vectors.

The same kernels serve all circuits, so a new circuit needs no compilation. An operation is a row of
`Program.table`: (code, to, a, step of a, b, step of b, n, m, w). to, a and b are offsets in the
flat state; a step of 0 repeats a single number; w is an offset in the flat weights or
eligibilities.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rate_models.compiler.kernel import Array, kernel, stage
from rate_models.kernels import vectors
from rate_models.model import activations

(ZERO, COPY, ADD, SUBTRACT, MULTIPLY, DIVIDE, POSITIVE, LOG, ABSOLUTE, EXP, SQRT, ACTIVATION, SLOPE,
 CONDUCT, RELEASE, TRANSFER, RELAX, HOLD, NOISE, LEARN, LEARN_BY_WEIGHT, DECAY, WEIGHTS,
 DELAY) = range(24)  # fmt: skip


class Program(NamedTuple):
    """n operations: table (n, 9), and numbers (n, 2), their constants."""

    table: NDArray[np.int64]
    numbers: Array


@stage
def _elementwise(code: int, op: Array, v: Array) -> None:
    to, a, sa, b, sb = op[1], op[2], op[3], op[4], op[5]
    for i in range(op[6]):
        x, y = v[a + i * sa], v[b + i * sb]
        if code == ADD:
            v[to + i] = x + y
        elif code == SUBTRACT:
            v[to + i] = x - y
        elif code == MULTIPLY:
            v[to + i] = x * y
        elif code == DIVIDE:
            v[to + i] = x / y
        elif code == POSITIVE:
            v[to + i] = 1.0 if x > 0 else 0.0
        elif code == LOG:
            v[to + i] = math.log(x)
        elif code == ABSOLUTE:
            v[to + i] = abs(x)
        elif code == EXP:
            v[to + i] = math.exp(x)
        elif code == SQRT:
            v[to + i] = math.sqrt(x)
        else:
            v[to + i] = x


@stage
def _activate(code: int, op: Array, v: Array) -> None:
    to, a, n = op[1], op[2], op[6]
    if code == ACTIVATION:
        activations.activate(op[4], v[a : a + n], v[to : to + n])
    else:
        v[to : to + n] = 1.0
        activations.gate(op[4], v[a : a + n], v[to : to + n])


@stage
def _current(code: int, op: Array, c: Array, v: Array, W: Array, noise: Array) -> None:
    """Synaptic currents: v[to] += c W v[a]; with release noise, also += c σ √Σ(w r)² ξ."""
    to, a, n, m, w = op[1], op[2], op[6], op[7], op[8]
    r = v[a : a + m]
    for i in range(n):
        row = W[w + i * m : w + i * m + m]
        v[to + i] += c[0] * vectors.dot(row, r)
        if code == RELEASE:
            power = 0.0
            for j in range(m):
                power += (row[j] * r[j]) ** 2
            v[to + i] += c[0] * c[1] * math.sqrt(power) * noise[op[4] + i]


@stage
def _state(code: int, op: Array, c: Array, v: Array, noise: Array, clock: int) -> None:
    to, a, n = op[1], op[2], op[6]
    if code == RELAX:  # v += α (I / g − v)
        for i in range(n):
            goal = v[a + i] * c[1]
            if c[0] == 1:  # exact: a rounded sum could be below 0, where a logarithm fails
                v[to + i] = goal
            else:
                v[to + i] += c[0] * (goal - v[to + i])
    elif code == HOLD:  # no conductance: v += dt / τ I
        for i in range(n):
            v[to + i] += c[0] * v[a + i]
    elif code == NOISE:
        for i in range(n):
            v[to + i] += c[0] * noise[op[4] + i]
    else:  # DELAY: a ring buffer of m vectors at b
        slot = op[4] + (clock % op[7]) * n
        for i in range(n):
            v[to + i], v[slot + i] = v[slot + i], v[a + i]


@stage
def _learn(
    code: int, op: Array, c: Array, v: Array, W: Array, E: Array, share: float, gain: float
) -> None:
    """Eligibility: E += share c post preᵀ ∘ h, h (n, m) at `to`; or E −= share c W."""
    n, m, at = op[6], op[7], op[8]
    if c[1] == 0:  # scaled by the learning rate
        share *= gain
    for i in range(n):
        e = E[at + i * m : at + i * m + m]
        if code == LEARN:
            vectors.axpy(e, share * c[0] * v[op[2] + i * op[3]], v[op[4] : op[4] + m])
        elif code == LEARN_BY_WEIGHT:
            factor, h = share * c[0] * v[op[2] + i * op[3]], op[1] + i * m
            for j in range(m):
                e[j] += factor * v[op[4] + j] * v[h + j]
        else:
            w = op[4] + i * m
            vectors.axpy(e, -share * c[0], W[w : w + m])


@stage
def execute(
    program: Program,
    v: Array,
    W: Array,
    E: Array,
    noise: Array,
    clock: int,
    share: float,
    gain: float,
) -> None:
    """Execute all operations of a program once."""
    for k in range(program.table.shape[0]):
        op, c = program.table[k], program.numbers[k]
        code = op[0]
        if code == ZERO:
            v[op[1] : op[1] + op[6]] = 0.0
        elif code <= SQRT:
            _elementwise(code, op, v)
        elif code <= SLOPE:
            _activate(code, op, v)
        elif code <= RELEASE:
            _current(code, op, c, v, W, noise)
        elif code == TRANSFER:
            vectors.axpy(v[op[1] : op[1] + op[6]], c[0], v[op[2] : op[2] + op[6]])
        elif code == WEIGHTS:
            vectors.copy(v[op[1] : op[1] + op[6]], W[op[8] : op[8] + op[6]])
        elif code in (LEARN, LEARN_BY_WEIGHT, DECAY):
            _learn(code, op, c, v, W, E, share, gain)
        else:
            _state(code, op, c, v, noise, clock)


@kernel
def run_phase(
    evaluate: Program,
    move: Program,
    learn: Program,
    v: Array,
    W: Array,
    E: Array,
    noise: Array,
    steps: int,
    window: int,
    gain: float,
    clock: Array,
    probes: Array,
    every: int,
    trace: Array,
) -> int:
    """Simulate ``steps`` steps of a phase, with plasticity in the last ``window`` of them.

    If ``window`` is 0, plasticity acts once, at the end. Formulas are evaluated before the states
    change, so currents are those at the start of a step. gain: factor of weight changes; 1 where E
    accumulates them, the learning rate where E is W itself. trace (n, probes): receives the probed
    values every ``every`` steps; 0 records nothing. probes: offsets in v followed by E. Returns
    the number of rows written to the trace.
    """
    row = 0
    for t in range(steps):
        execute(evaluate, v, W, E, noise[t], clock[0], 0.0, 0.0)
        if every > 0 and clock[0] % every == 0:
            for k in range(probes.size):
                at = probes[k]
                trace[row, k] = v[at] if at < v.size else E[at - v.size]
            row += 1
        if t >= steps - window:
            execute(learn, v, W, E, noise[t], clock[0], 1.0 / window, gain)
        execute(move, v, W, E, noise[t], clock[0], 0.0, 0.0)
        clock[0] += 1
    execute(evaluate, v, W, E, noise[0], clock[0], 0.0, 0.0)
    if window == 0:
        execute(learn, v, W, E, noise[0], clock[0], 1.0, gain)
    return row


@kernel
def settle(
    solve: Program,
    evaluate: Program,
    learn: Program,
    v: Array,
    W: Array,
    E: Array,
    noise: Array,
    sweeps: int,
    tolerance: float,
    old: Array,
) -> int:
    """Iterate to the fixed point, then learn once.

    sweeps: the largest number of sweeps; 1 suffices for a circuit without loops. A sweep that moves
    no state by more than ``tolerance``, relative to the largest state, is the last one. old:
    scratch memory of the size of v. Returns the number of sweeps, or 0 where they did not suffice.
    """
    vectors.copy(old, v)
    count = 0
    for t in range(sweeps):
        execute(solve, v, W, E, noise, 0, 0.0, 0.0)
        moved, size = 0.0, 0.0
        for i in range(v.size):
            moved = max(moved, abs(v[i] - old[i]))
            size = max(size, abs(v[i]))
            old[i] = v[i]
        if sweeps == 1 or moved <= tolerance * size:
            count = t + 1
            break
    execute(evaluate, v, W, E, noise, 0, 0.0, 0.0)
    execute(learn, v, W, E, noise, 0, 1.0, 1.0)
    return count
