"""The compiled loop of one worker: it executes its rows of a program.

Workers wait for each other through atomic counters in shared memory, see `compiler.atomics`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rate_models.compiler.atomics import (
    CELL,
    SPINS,
    load_acquire,
    nanoseconds,
    store_release,
    yield_core,
)
from rate_models.compiler.kernel import Array, specialise, stage
from rate_models.compiler.records import Record, kind_of, opened
from rate_models.kernels import input_passes, minibatches
from rate_models.kernels.input_synapses import BLOCK
from rate_models.model.optimizers import Step, step_at
from rate_models.online import kernel as online_kernel
from rate_models.online.kernel import end_of_step, judge
from rate_models.rules import Rule

Ints = NDArray[np.int64]
S, E, M = range(3)  # kinds of a program's tasks
# Indices of the cells of `Board.control`
LOSS, ENDED, ASKED, FAILED = range(4)
GO, SKIP, LEAVE = range(3)  # what a worker does with its next row


class Rows(NamedTuple):
    """The arrays of `streaming.schedule.program.Program`, and the turn of each row.

    turn: the sample whose arrival makes the row due. No row waits for one of a later turn.
    """

    kind: Ints
    layer: Ints
    begin: Ints
    task: Ints
    sample: Ints
    turn: Ints
    wait: Ints
    on: Ints
    value: Ints


class Board(NamedTuple):
    """Memory that all workers share. Every counter is a cell of `compiler.atomics.cells`.

    counters: one for each task. rounds: one for each worker, the rounds that it has finished.
    control: one for each of

    LOSS    the first turn whose loss is not finite; no row of that turn or later is executed
    ENDED   the first turn that is left out because the stream was asked to stop
    ASKED   1: no further sample is to be started
    FAILED  1: a worker has failed, and all others leave

    at: one for each worker, the row that it executes, counted through all rounds.
    span (rounds, rows, 2): start and end of each row in ns, 0 for a row that was not executed.
    """

    counters: Ints
    rounds: Ints
    control: Ints
    at: Ints
    span: Ints


class Stream(NamedTuple):
    """Samples to learn from, in ``rounds`` repetitions of the same program.

    size: new samples per round. The program's sample t is sample first + t of the network in the
    first round, first + size + t in the second, and so on.
    lead: samples from earlier calls that still wait for M. Row t of X, labels and Y belongs to the
    program's sample lead + t; row t of masks and noise to its sample t.
    delay: in samples. batch: samples per update.
    """

    rounds: int
    size: int
    first: int
    lead: int
    delay: int
    batch: int
    X: Array
    labels: Ints
    Y: Array
    masks: Array
    noise: Array


def _walk(  # type: ignore[no-untyped-def]
    worker, program, board, stream, slots, kept, options, predicted, losses, out
):
    """Execute the rows of a worker, round after round, each as soon as its waits are over.

    slots (2, R): addresses of records of `Parts`, for each slot of a sample one for S and E and one
    for M, which with a delay uses older weights. kept: see `minibatches.keep`. options: the address
    of a record of `Options`.
    """
    by = opened(options, OPTIONS)  # type: ignore[name-defined]  # noqa: F821
    begin = program.begin[worker]
    many = program.begin[worker + 1] - begin
    if many == 0:
        store_release(board.rounds, worker * CELL, stream.rounds)
    for at in range(many * stream.rounds):
        row, round_ = begin + at % many, at // many
        past = round_ * stream.size  # samples of earlier rounds
        action = GO
        if row == begin and round_ > 0:
            action = _barrier(worker, round_, board)
        if action == GO:
            action = _await(program, row, past, board)
        if action == LEAVE:
            return
        if action == SKIP:
            continue
        store_release(board.at, worker * CELL, at)
        board.span[round_, row, 0] = nanoseconds()
        task, t = program.task[row], program.sample[row] + past
        kind, layer, number = program.kind[task], program.layer[task], stream.first + t
        new, mask, done = t - stream.lead, stream.masks[t], True
        address = slots[1 if kind == M else 0, number % slots.shape[1]]
        of = opened(address, PARTS)  # type: ignore[name-defined]  # noqa: F821
        net, syn, params, work = of.net, of.syn, of.params, of.work
        if kind == S:
            standard(  # type: ignore[name-defined]  # noqa: F821
                layer,
                net,
                syn,
                params,
                work,
                stream.X[new : new + BLOCK - number % BLOCK],
                stream.labels[new],
                stream.Y[new],
                mask,
            )
            if layer == 1:
                input_passes.snapshot(syn)
        elif kind == E:
            done = judge(net, work, mask.size > 0, new, predicted, losses, out)
        else:
            step = step_at(by.rates, number - number % stream.batch, net.W)
            share = Step(step.eta / net.W.dtype.type(stream.batch), step.mu, step.lam)
            before = net.changes[1]
            teach(  # type: ignore[name-defined]  # noqa: F821
                layer, net, syn, params, by.hyper, share, work, mask, stream.noise[t]
            )
            if stream.batch > 1:
                if layer == 1 and net.changes[1] > before:
                    minibatches.keep(net, syn, kept)
                if (number + 1) % stream.batch == 0:
                    minibatches.apply(net, syn, kept, layer, step)
            if layer == 1:
                end_of_step(syn, number + 1, stream.batch)
        board.span[round_, row, 1] = nanoseconds()
        if done:
            store_release(board.counters, task * CELL, t + 1)
        else:
            store_release(board.control, LOSS * CELL, program.turn[row] + past)


@stage
def _barrier(worker: int, rounds: int, board: Board) -> int:
    """Wait until all workers have finished this many rounds; returns GO or LEAVE."""
    store_release(board.rounds, worker * CELL, rounds)
    for other in range(0, len(board.rounds), CELL):
        reads = 0
        while load_acquire(board.rounds, other) < rounds:
            reads += 1
            if reads > SPINS:
                if load_acquire(board.control, FAILED * CELL) > 0:
                    return LEAVE
                yield_core()
    return GO


@stage
def _await(program: Rows, row: int, past: int, board: Board) -> int:
    """Wait until a row can be executed.

    past: samples of earlier rounds. Returns GO, SKIP for a row that must not be executed any more,
    or LEAVE.
    """
    turn = program.turn[row] + past
    for k in range(program.wait[row], program.wait[row + 1]):
        reads, on, value = 0, program.on[k] * CELL, program.value[k] + past
        while load_acquire(board.counters, on) < value:
            reads += 1
            if reads > SPINS:
                if load_acquire(board.control, FAILED * CELL) > 0:
                    return LEAVE
                if _cancelled(turn, board):
                    return SKIP
                yield_core()
    task = program.task[row]
    if program.kind[task] == S and program.layer[task] == 1:  # a sample begins here, in order
        asked = load_acquire(board.control, ASKED * CELL) > 0
        if asked and turn < load_acquire(board.control, ENDED * CELL):
            store_release(board.control, ENDED * CELL, turn)
    return SKIP if _cancelled(turn, board) else GO


@stage
def _cancelled(turn: int, board: Board) -> bool:
    """Whether the rows of this turn must not be executed any more."""
    lost = load_acquire(board.control, LOSS * CELL)
    return bool(turn >= lost or turn >= load_acquire(board.control, ENDED * CELL))


_compiled: dict[Any, Any] = {}


def walker(rule: Rule, parts: Record, options: Record) -> Any:
    """The compiled worker loop of a rule, for records of these types."""
    kinds = kind_of(parts.values), kind_of(options.values)
    key = rule, *kinds
    if key not in _compiled:
        name = f"{rule.name}_{parts.values.work.a.dtype}"
        bound = {"PARTS": kinds[0], "OPTIONS": kinds[1], **online_kernel.stages(rule)}
        _compiled[key] = specialise(_walk, name, **bound)
    return _compiled[key]
