"""The operations of which a compiled circuit consists, on vectors in one flat state.

An operation is a row of `Program.table`: (code, to, a, b, n, m, w, z). to, a and b are offsets in
the flat state, w in the flat weights or eligibilities, and z in the noise of a step.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rate_models.compiler.kernel import Array, Scalar, inlined, reduction, stage
from rate_models.compiler.lanes import lanewise
from rate_models.compiler.views import as_matrix
from rate_models.kernels import vectors
from rate_models.model import activations

(COPY, ADD, SUBTRACT, MULTIPLY, DIVIDE, POSITIVE, LOG, ABSOLUTE, EXP, SQRT, ACTIVATION, SLOPE,
 REPEAT, WEIGHTS, DOT, TURN, TRANSFER, COLUMNS, CONDUCT, RELEASE, RELAX, SET, NOISE, DELAY, CLEAR,
 GATHER, LEARN, LEARN_BY_WEIGHT, DECAY, COMMIT, CHANGE, TAKE, TRANSPOSE) = range(33)  # fmt: skip


class Program(NamedTuple):
    """n operations: table (n, 8), and numbers (n, 2), their constants c and d."""

    table: NDArray[np.int64]
    numbers: Array


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
    zero = x.dtype.type(0)
    one = zero + x.dtype.type(1)
    for i in range(x.size):
        if code == POSITIVE:
            y[i] = one if x[i] > zero else zero
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
        vectors.copy(y, a)
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
        v[to : to + n] = v.dtype.type(1)
        activations.gate(op[5], v[a : a + n], v[to : to + n])


@stage
def _conduct(op: Array, c: Scalar, v: Array, W: Array) -> None:
    """Synaptic currents: v[to] = v[b] + c W v[a]."""
    a, n, m, at = op[2], op[4], op[5], op[6]
    y, x, r = v[op[1] : op[1] + n], v[op[3] : op[3] + n], v[a : a + m]
    w = as_matrix(W[at : at + n * m], n, m)
    for i in range(n):
        y[i] = x[i] + c * vectors.dot(w[i], r)


@stage
def _release(op: Array, c: Array, v: Array, W: Array, noise: Array) -> None:
    """v[to] = v[b] + c (W v[a] + d √Σ(w r)² ξ), currents with release noise."""
    to, a, b, n, m, w = op[1], op[2], op[3], op[4], op[5], op[6]
    r = v[a : a + m]
    for i in range(n):
        row = W[w + i * m : w + i * m + m]
        released = c[1] * math.sqrt(_power(row, r)) * noise[op[7] + i]
        v[to + i] = v[b + i] + c[0] * (vectors.dot(row, r) + released)


@reduction
def _power(w: Array, r: Array) -> Scalar:
    """Σ (w r)²"""
    total = w.dtype.type(0)
    for i in range(r.size):
        total += (w[i] * r[i]) * (w[i] * r[i])
    return total


@stage
def _columns(op: Array, c: Scalar, v: Array) -> None:
    """Synaptic currents v[to] = v[b] + c W v[a], with the transpose of W at z in the state."""
    to, b, n, m, z = op[1], op[3], op[4], op[5], op[7]
    y, r = v[to : to + n], v[op[2] : op[2] + m]
    if to != b:
        vectors.copy(y, v[b : b + n])
    fours = m - m % 4
    for j in range(0, fours, 4):
        a0, a1, a2, a3 = c * r[j], c * r[j + 1], c * r[j + 2], c * r[j + 3]
        w0, w1, w2, w3 = z + j * n, z + (j + 1) * n, z + (j + 2) * n, z + (j + 3) * n
        vectors.axpy_four(
            y, a0, a1, a2, a3, v[w0 : w0 + n], v[w1 : w1 + n], v[w2 : w2 + n], v[w3 : w3 + n]
        )
    for j in range(fours, m):
        vectors.axpy(y, c * r[j], v[z + j * n : z + (j + 1) * n])


@stage
def _turn(op: Array, v: Array, W: Array) -> None:
    """v[to] is the transpose of the weights (n, m) at w."""
    to, n, m, w = op[1], op[4], op[5], op[6]
    for i in range(n):
        for j in range(m):
            v[to + j * n + i] = W[w + i * m + j]


@stage
def _delay(op: Array, v: Array, clock: int) -> None:
    """v[to] is v[a] as it was m steps ago; b: a ring buffer of m vectors."""
    to, a, n = op[1], op[2], op[4]
    slot = op[3] + (clock % op[5]) * n
    for i in range(n):
        v[to + i], v[slot + i] = v[slot + i], v[a + i]


@stage
def _learn(code: int, op: Array, c: Scalar, v: Array, W: Array, E: Array) -> None:
    """A weight change.

    GATHER: v[to] += c v[b] v[a], with one v[b]. LEARN: E += c v[a] v[b]ᵀ. LEARN_BY_WEIGHT: the same
    times v[to], element by element. DECAY: E −= c v[a] W, with one v[a]. COMMIT: W += c E, E = 0.
    CHANGE: W += c v[a] v[b]ᵀ.
    """
    to, a, b, n, m, at = op[1], op[2], op[3], op[4], op[5], op[6]
    if code == GATHER:
        vectors.axpy(v[to : to + n], c * v[b], v[a : a + n])
    elif code == DECAY:
        vectors.axpy(E[at : at + n * m], -c * v[a], W[b : b + n * m])
    elif code == COMMIT:
        _commit(W[b : b + n * m], c, E[at : at + n * m], c - c)
    elif code == LEARN_BY_WEIGHT:
        for i in range(n):
            row, factor = at + i * m, c * v[a + i]
            for j in range(m):
                E[row + j] += factor * v[b + j] * v[to + i * m + j]
    else:
        changed = W if code == CHANGE else E
        w, pre = as_matrix(changed[at : at + n * m], n, m), v[b : b + m]
        for i in range(n):
            vectors.axpy(w[i], c * v[a + i], pre)


@lanewise
def _commit(w: Array, c: Scalar, e: Array, zero: Scalar) -> None:
    """w += c e, and e = 0."""
    w[...] = w[...] + c * e[...]
    e[...] = zero


@stage
def _take(code: int, op: Array, W: Array) -> None:
    """Weights (n, m) at w are those at a, or, for TRANSPOSE, their transpose."""
    a, n, m, w = op[2], op[4], op[5], op[6]
    if code == TAKE:
        vectors.copy(W[w : w + n * m], W[a : a + n * m])
        return
    for i in range(n):
        for j in range(m):
            W[w + i * m + j] = W[a + j * n + i]


@inlined
def _one(op: Array, c: Array, plan: Any, noise: Array, share: float, gain: float) -> None:
    """Execute one operation."""
    v, W, E = plan.v, plan.W, plan.E
    code, to, a, n = op[0], op[1], op[2], op[4]
    if code <= SQRT:
        _elementwise(code, op, v)
    elif code <= SLOPE:
        _activate(code, op, v)
    elif code == REPEAT:
        v[to : to + n] = v[a]
    elif code == WEIGHTS:
        vectors.copy(v[to : to + n], W[op[6] : op[6] + n])
    elif code == DOT:
        v[to] = c[0] * vectors.dot(v[a : a + n], v[op[3] : op[3] + n])
    elif code == TURN:
        _turn(op, v, W)
    elif code == TRANSFER:
        _transfer(v[to : to + n], v[op[3] : op[3] + n], c[0], v[a : a + n])
    elif code == COLUMNS:
        _columns(op, c[0], v)
    elif code == CONDUCT:
        _conduct(op, c[0], v, W)
    elif code == RELEASE:
        _release(op, c, v, W, noise)
    elif code == RELAX:
        _relax(v[to : to + n], c[0], c[1], v[a : a + n])
    elif code == SET:
        _set(v[to : to + n], c[0], v[a : a + n])
    elif code == NOISE:
        vectors.axpy(v[to : to + n], c[0], noise[op[7] : op[7] + n])
    elif code == DELAY:
        _delay(op, v, plan.clock[0])
    elif code == CLEAR:
        v[to : to + n] = v.dtype.type(0)
    elif code <= CHANGE:
        factor = share * c[0] if c[1] else share * gain * c[0]
        _learn(code, op, v.dtype.type(factor), v, W, E)
    else:
        _take(code, op, W)


@stage
def execute(program: Program, plan: Any, noise: Array, share: float, gain: float) -> None:
    """Execute all operations of a program once.

    plan: an open record of a `machine.Plan`. noise: random numbers of the step. share: of a weight
    change. gain: the learning rate, a factor of weight changes where d is 0.
    """
    table, numbers = program.table, program.numbers
    for k in range(table.shape[0]):
        _one(table[k], numbers[k], plan, noise, share, gain)


@reduction
def nothing(x: Array) -> Scalar:
    """0, or NaN where x has a number that is not finite."""
    zero = x.dtype.type(0)
    total = zero
    for i in range(x.size):
        total += x[i] * zero
    return total
