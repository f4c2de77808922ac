"""The kernels that simulate a compiled circuit, one phase or many samples.

The same kernels serve all circuits, so a new circuit needs no compilation.
"""

# mypy: disable-error-code="name-defined"

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from biocircuits.simulation.operations import Program, execute, nothing
from rate_models.compiler.kernel import Array, specialise, stage
from rate_models.compiler.records import kind_of, opened
from rate_models.kernels import vectors

SWEEPS = 10_000  # of a steady state, at most
SETTLED = 45  # the change in a last sweep, in units of the relative precision


class Programs(NamedTuple):
    """The programs of a phase.

    begin: computes what is the same at every step, once. step: outputs, and compartments that have
    no dynamics; in steady state, one sweep over all that depends on itself. move: compartments with
    dynamics. learn: plasticity, in the steps in which it is active. end: adds to the eligibilities
    what `learn` has gathered. commit: changes the weights.
    """

    begin: Program
    step: Program
    move: Program
    learn: Program
    end: Program
    commit: Program


class Plan(NamedTuple):
    """The programs of a phase, and the arrays of the simulation on which they run.

    v: state. W: weights. E: eligibilities. clock (1,): steps so far. steps: of the phase; 0: the
    steady state. window: steps at the end in which plasticity is active; 0: once, after the last.
    loops: whether the steady state needs more than one sweep. old: scratch memory for it, as v.
    lasting: the length of that part of v which is no scratch memory.
    """

    programs: Programs
    v: Array
    W: Array
    E: Array
    clock: NDArray[np.int64]
    steps: int
    window: int
    loops: int
    old: Array
    lasting: int


class Samples(NamedTuple):
    """Samples, and what the circuit answers.

    given (N, width): the values of all clamps, with which the state begins. rest: the state
    with which a sample begins; empty: with that of the sample before. rates (N,): learning rates.
    phase: the number of the phase at whose end the answer is read. output, compartment: offsets of
    the answer, which goes to ``outputs`` and ``currents`` (N, n_L).
    """

    given: Array
    rest: Array
    rates: Array
    phase: int
    output: int
    compartment: int
    outputs: Array
    currents: Array


class Kernels(NamedTuple):
    """The kernels for one precision.

    phase(plan, noise, lr, probes, every, trace): runs a phase; returns the number of rows of the
    trace. In steady state: the number of sweeps, or 0 where they did not suffice.
    commit(plan, noise, lr): changes the weights at the end of a phase.
    samples(plans, samples, noise, probes, trace, failed): learns many samples; returns of how many
    the result is finite. Fills failed (1,) with the number of a phase that has no steady state.
    finite(x): whether all numbers are finite.
    """

    phase: Any
    commit: Any
    samples: Any
    finite: Any


@stage
def _in_time(p: Any, noise: Array, lr: float, probes: Array, every: int, trace: Array) -> int:
    """Simulate the steps of a phase; returns the number of rows written to the trace.

    noise: a row for every step, or one row. lr: 0: no plasticity. Formulas are evaluated before the
    states change, so currents are those at the start of a step. probes: offsets in v followed by E,
    which are recorded in the trace (n, probes) every ``every`` steps; 0: never.
    """
    v, E, clock, row, first = p.v, p.E, p.clock, 0, noise[0]
    for t in range(p.steps):
        xi = noise[min(t, noise.shape[0] - 1)]
        execute(p.programs.step, p, xi, 1.0, lr)
        if every > 0 and clock[0] % every == 0:
            for k in range(probes.size):
                at = probes[k]
                trace[row, k] = v[at] if at < v.size else E[at - v.size]
            row += 1
        if lr > 0 and t >= p.steps - p.window:
            execute(p.programs.learn, p, xi, 1.0 / p.window, lr)
        execute(p.programs.move, p, xi, 1.0, lr)
        clock[0] += 1
    execute(p.programs.step, p, first, 1.0, lr)
    if lr > 0 and p.window == 0:
        execute(p.programs.learn, p, first, 1.0, lr)
    return row


@stage
def _settle(p: Any, noise: Array, lr: float) -> int:
    """Iterate to the fixed point, then learn once.

    A sweep that moves no state by more than the tolerance, relative to the largest state, is the
    last one. Returns the number of sweeps, or 0 where they did not suffice.
    """
    v, old, count = p.v, p.old, 0
    tolerance = SETTLED * np.finfo(v.dtype).eps
    if p.loops:
        vectors.copy(old, v)
    for t in range(SWEEPS if p.loops else 1):
        execute(p.programs.step, p, noise, 1.0, lr)
        moved, size = 0.0, 0.0
        if p.loops:
            for i in range(v.size):
                moved = max(moved, abs(v[i] - old[i]))
                size = max(size, abs(v[i]))
                old[i] = v[i]
        if moved <= tolerance * size:
            count = t + 1
            break
    if lr > 0:
        execute(p.programs.learn, p, noise, 1.0, lr)
    p.clock[0] += 1
    if p.loops and nothing(v[: p.lasting]) != 0:
        return 0
    return count


@stage
def _phase(p: Any, noise: Array, lr: float, probes: Array, every: int, trace: Array) -> int:
    execute(p.programs.begin, p, noise[0], 1.0, lr)
    if p.steps > 0:
        count = _in_time(p, noise, lr, probes, every, trace)
    else:
        count = _settle(p, noise[0], lr)
    if lr > 0:
        execute(p.programs.end, p, noise[0], 1.0, lr)
    return count


def _run_phase(  # type: ignore[no-untyped-def]
    plan, noise, lr, probes, every, trace
):
    return _phase(opened(plan, PLAN), noise, lr, probes, every, trace)  # noqa: F821


def _run_commit(plan, noise, lr):  # type: ignore[no-untyped-def]
    p = opened(plan, PLAN)  # noqa: F821
    execute(p.programs.commit, p, noise[0], 1.0, lr)


def _run_samples(  # type: ignore[no-untyped-def]
    plans, samples, noise, probes, trace, failed
):
    s, one = opened(samples, SAMPLES), opened(plans[0], PLAN)  # noqa: F821
    v, W = one.v, one.W
    for t in range(s.given.shape[0]):
        lr = s.rates[t]
        if s.rest.size > 0:
            vectors.copy(v, s.rest)
        vectors.copy(v[: s.given.shape[1]], s.given[t])
        for k in range(len(plans)):
            p = opened(plans[k], PLAN)  # noqa: F821
            if _phase(p, noise, lr, probes, 0, trace) == 0 and p.steps == 0:
                failed[0] = k
                return t
            if k == s.phase:
                n = s.outputs.shape[1]
                vectors.copy(s.outputs[t], v[s.output : s.output + n])
                vectors.copy(s.currents[t], v[s.compartment : s.compartment + n])
            if lr > 0:
                execute(p.programs.commit, p, noise[0], 1.0, lr)
        if nothing(W) != 0 or nothing(v[: one.lasting]) != 0:
            return t
    return s.given.shape[0]


def _finite(x):  # type: ignore[no-untyped-def]
    return nothing(x) == 0


@cache
def kernels(dtype: str) -> Kernels:
    """The kernels for a precision."""
    none, x = Program(np.zeros((0, 8), np.int64), np.zeros((0, 2), dtype)), np.zeros(0, dtype)
    rows = np.zeros((0, 0), dtype)
    clock = np.zeros(1, np.int64)
    plan = Plan(Programs(*[none] * 6), x, x, x, clock, 0, 0, 0, x, 0)
    samples = Samples(rows, x, np.zeros(0), 0, 0, 0, rows, rows)
    kinds = {"PLAN": kind_of(plan), "SAMPLES": kind_of(samples)}
    templates = _run_phase, _run_commit, _run_samples, _finite
    return Kernels(*(specialise(one, dtype, **kinds) for one in templates))
