"""The kernels that execute a compiled circuit: lists of operations on vectors.

The same kernels serve all circuits, so a new circuit needs no compilation. An operation is a row of
`Program.table`: (code, to, a, b, n, m, w, z). to, a and b are offsets in the flat state, w in the
flat weights or eligibilities, and z in the noise of a step.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rate_models.compiler.kernel import Array, Scalar, inlined, kernel, reduction, stage
from rate_models.compiler.lanes import lanewise
from rate_models.compiler.records import kind_of, opened
from rate_models.kernels import rows
from rate_models.model import activations

(COPY, ADD, SUBTRACT, MULTIPLY, DIVIDE, POSITIVE, LOG, ABSOLUTE, EXP, SQRT, ACTIVATION, SLOPE,
 REPEAT, WEIGHTS, TRANSFER, CONDUCT, RELEASE, RELAX, SET, NOISE, DELAY, GATHER, LEARN,
 LEARN_BY_WEIGHT, DECAY, CLEAR) = range(26)  # fmt: skip


class Program(NamedTuple):
    """n operations: table (n, 8), and numbers (n, 2), their constants c and d."""

    table: NDArray[np.int64]
    numbers: Array


class Plan(NamedTuple):
    """The programs of a phase, and the arrays of the simulation on which they run.

    begin: computes what is the same at every step, once. step: outputs, and compartments that have
    no dynamics; in steady state, one sweep over all that depends on itself. move: compartments with
    dynamics. learn: plasticity, in the steps in which it is active. end: adds to the eligibilities
    what `learn` has gathered. v: state. W: weights. E: eligibilities. clock (1,): steps so far.
    """

    begin: Program
    step: Program
    move: Program
    learn: Program
    end: Program
    v: Array
    W: Array
    E: Array
    clock: NDArray[np.int64]


_NONE = Program(np.zeros((0, 8), np.int64), np.zeros((0, 2)))
PLAN = kind_of(Plan(*[_NONE] * 5, *[np.zeros(0)] * 3, np.zeros(1, np.int64)))


@lanewise
def _sum(y: Array, a: Array, b: Array) -> None:
    y[...] = a[...] + b[...]


@lanewise
def _difference(y: Array, a: Array, b: Array) -> None:
    y[...] = a[...] - b[...]


@lanewise
def _product(y: Array, a: Array, b: Array) -> None:
    y[...] = a[...] * b[...]


@lanewise
def _transfer(y: Array, b: Array, c: Scalar, a: Array) -> None:
    """y = b + c a"""
    y[...] = b[...] + c * a[...]


@lanewise
def _relax(y: Array, alpha: Scalar, d: Scalar, current: Array) -> None:
    """y += α (d I − y)"""
    y[...] = y[...] + alpha * (d * current[...] - y[...])


@lanewise
def _set(y: Array, c: Scalar, a: Array) -> None:
    """y = c a"""
    y[...] = c * a[...]


@stage
def _function(code: int, x: Array, y: Array) -> None:
    """y = f(x), element by element."""
    for i in range(x.size):
        if code == POSITIVE:
            y[i] = 1.0 if x[i] > 0 else 0.0
        elif code == LOG:
            y[i] = math.log(x[i])
        elif code == ABSOLUTE:
            y[i] = abs(x[i])
        elif code == EXP:
            y[i] = math.exp(x[i])
        else:
            y[i] = math.sqrt(x[i])


@stage
def _elementwise(code: int, op: Array, v: Array) -> None:
    n = op[4]
    y, a, b = v[op[1] : op[1] + n], v[op[2] : op[2] + n], v[op[3] : op[3] + n]
    if code == COPY:
        rows.copy(y, a)
    elif code == ADD:
        _sum(y, a, b)
    elif code == SUBTRACT:
        _difference(y, a, b)
    elif code == MULTIPLY:
        _product(y, a, b)
    elif code == DIVIDE:
        for i in range(n):
            y[i] = a[i] / b[i]
    else:
        _function(code, a, y)


@stage
def _activate(code: int, op: Array, v: Array) -> None:
    to, a, n = op[1], op[2], op[4]
    if code == ACTIVATION:
        activations.activate(op[5], v[a : a + n], v[to : to + n])
    else:
        v[to : to + n] = 1.0
        activations.gate(op[5], v[a : a + n], v[to : to + n])


@stage
def _current(code: int, op: Array, c: Array, v: Array, W: Array, noise: Array) -> None:
    """Synaptic currents: v[to] = v[b] + c W v[a]; with release noise, also + c d √Σ(w r)² ξ."""
    to, a, b, n, m, w = op[1], op[2], op[3], op[4], op[5], op[6]
    r = v[a : a + m]
    for i in range(n):
        row = W[w + i * m : w + i * m + m]
        v[to + i] = v[b + i] + c[0] * rows.dot(row, r)
        if code == RELEASE:
            power = 0.0
            for j in range(m):
                power += (row[j] * r[j]) ** 2
            v[to + i] += c[0] * c[1] * math.sqrt(power) * noise[op[7] + i]


@stage
def _delay(op: Array, v: Array, clock: int) -> None:
    """v[to] is v[a] as it was m steps ago; b: a ring buffer of m vectors."""
    to, a, n = op[1], op[2], op[4]
    slot = op[3] + (clock % op[5]) * n
    for i in range(n):
        v[to + i], v[slot + i] = v[slot + i], v[a + i]


@stage
def _learn(
    code: int, op: Array, c: Array, v: Array, W: Array, E: Array, share: float, gain: float
) -> None:
    """Of a share of c, or of c times the learning rate where d is 0:

    v[to] += c v[a], E += c v[a] v[b]ᵀ, E += c v[a] v[b]ᵀ ∘ v[to], E −= c v[a] W with one v[a].
    """
    to, a, b, n, m, at = op[1], op[2], op[3], op[4], op[5], op[6]
    c0 = share * c[0]
    if c[1] == 0:
        c0 *= gain
    if code == GATHER:
        rows.axpy(v[to : to + n], c0, v[a : a + n])
        return
    if code == DECAY:
        rows.axpy(E[at : at + n * m], -c0 * v[a], W[b : b + n * m])
        return
    for i in range(n):
        e, factor = E[at + i * m : at + i * m + m], c0 * v[a + i]
        if code == LEARN:
            rows.axpy(e, factor, v[b : b + m])
        else:
            for j in range(m):
                e[j] += factor * v[b + j] * v[to + i * m + j]


@inlined
def _one(
    code: int, op: Array, c: Array, v: Array, W: Array, E: Array, noise: Array, clock: int,
    share: float, gain: float,
) -> None:  # fmt: skip
    """Execute one operation."""
    to, a, n = op[1], op[2], op[4]
    if code <= SQRT:
        _elementwise(code, op, v)
    elif code <= SLOPE:
        _activate(code, op, v)
    elif code == REPEAT:
        v[to : to + n] = v[a]
    elif code == WEIGHTS:
        rows.copy(v[to : to + n], W[op[6] : op[6] + n])
    elif code == TRANSFER:
        _transfer(v[to : to + n], v[op[3] : op[3] + n], c[0], v[a : a + n])
    elif code <= RELEASE:
        _current(code, op, c, v, W, noise)
    elif code == RELAX:
        _relax(v[to : to + n], c[0], c[1], v[a : a + n])
    elif code == SET:
        _set(v[to : to + n], c[0], v[a : a + n])
    elif code == NOISE:
        rows.axpy(v[to : to + n], c[0], noise[op[7] : op[7] + n])
    elif code == DELAY:
        _delay(op, v, clock)
    elif code == CLEAR:
        v[to : to + n] = 0.0
    else:
        _learn(code, op, c, v, W, E, share, gain)


@stage
def execute(program: Program, plan: Plan, noise: Array, share: float, gain: float) -> None:
    """Execute all operations of a program once.

    share: of a weight change. gain: factor of weight changes that the learning rate scales.
    """
    table, numbers, v, W, E = program.table, program.numbers, plan.v, plan.W, plan.E
    for k in range(table.shape[0]):
        op = table[k]
        _one(op[0], op, numbers[k], v, W, E, noise, plan.clock[0], share, gain)


@kernel
def run_phase(
    plan: Any, noise: Array, steps: int, window: int, learning: bool, gain: float,
    probes: NDArray[np.int64], every: int, trace: Array,
) -> int:  # fmt: skip
    """Simulate ``steps`` steps of a phase, with plasticity in the last ``window`` of them.

    plan: the address of a record of a `Plan`. noise: a row for every step, or one row. If
    ``window`` is 0, plasticity acts once, at the end. Formulas are evaluated before the states
    change, so currents are those at the start of a step. gain: factor of weight changes; 1 where E
    accumulates them, the learning rate where E is W itself. trace (n, probes): receives the probed
    values every ``every`` steps; 0 records nothing. probes: offsets in v followed by E. Returns
    the number of rows written to the trace.
    """
    p = opened(plan, PLAN)
    v, E, clock, row = p.v, p.E, p.clock, 0
    execute(p.begin, p, noise[0], 1.0, 1.0)
    for t in range(steps):
        xi = noise[min(t, noise.shape[0] - 1)]
        execute(p.step, p, xi, 1.0, 1.0)
        if every > 0 and clock[0] % every == 0:
            for k in range(probes.size):
                at = probes[k]
                trace[row, k] = v[at] if at < v.size else E[at - v.size]
            row += 1
        if learning and t >= steps - window:
            execute(p.learn, p, xi, 1.0 / window, gain)
        execute(p.move, p, xi, 1.0, 1.0)
        clock[0] += 1
    execute(p.step, p, noise[0], 1.0, 1.0)
    if learning and window == 0:
        execute(p.learn, p, noise[0], 1.0, gain)
    if learning:
        execute(p.end, p, noise[0], 1.0, 1.0)
    return row


@kernel
def settle(
    plan: Any, noise: Array, sweeps: int, tolerance: float, learning: bool, old: Array
) -> int:
    """Iterate to the fixed point, then learn once.

    plan: the address of a record of a `Plan`. sweeps: the largest number of sweeps; 1 suffices for
    a circuit without loops. A sweep that moves no state by more than ``tolerance``, relative to the
    largest state, is the last one. old: scratch memory of the size of v. Returns the number of
    sweeps, or 0 where they did not suffice.
    """
    p = opened(plan, PLAN)
    v, count = p.v, 0
    execute(p.begin, p, noise, 1.0, 1.0)
    if sweeps > 1:
        rows.copy(old, v)
    for t in range(sweeps):
        execute(p.step, p, noise, 1.0, 1.0)
        if sweeps == 1:
            count = 1
            break
        moved, size = 0.0, 0.0
        for i in range(v.size):
            moved = max(moved, abs(v[i] - old[i]))
            size = max(size, abs(v[i]))
            old[i] = v[i]
        if moved <= tolerance * size:
            count = t + 1
            break
    if learning:
        execute(p.learn, p, noise, 1.0, 1.0)
        execute(p.end, p, noise, 1.0, 1.0)
    return count


@kernel
def commit(W: Array, rate: float, E: Array) -> None:
    """W += rate E"""
    rows.axpy(W, rate, E)


@reduction
def _nothing(x: Array) -> float:
    """0, or NaN where x has a number that is not finite."""
    total = 0.0
    for i in range(x.size):
        total += x[i] * 0.0
    return total


@kernel
def finite(x: Array) -> bool:
    """Whether all numbers are finite."""
    return _nothing(x) == 0.0
