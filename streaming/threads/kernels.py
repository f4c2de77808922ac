"""One worker of a runner: walks its rows of a program, waits and tells through counters."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rate_models.compiler.kernel import Array, specialise, stage
from rate_models.compiler.records import Record, kind_of, opened
from rate_models.kernels import gathering, input_synapses, rows
from rate_models.kernels.input_synapses import InputSynapses
from rate_models.model.optimizers import Step, step_at
from rate_models.online import kernel as online_kernel
from rate_models.online.kernel import FOLD_EVERY, judge
from rate_models.rules import Rule
from streaming.threads.atomics import CELL, give_way, load_acquire, nanoseconds, store_release

Ints = NDArray[np.int64]
S, E, M = range(3)  # kinds of a program's tasks
SPINS = 200  # looks at a counter before the core is offered to others
# Places in `Board.control`, of cells
LOSS, ENDED, ASKED, FAILED = range(4)
GO, SKIP, LEAVE = range(3)


class Rows(NamedTuple):
    """`streaming.schedule.program.Program`, and for each row its turn: the sample whose arrival
    makes it due. Nothing waits for a row of a later turn.
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
    """What the workers share: counters (a cell for each task), how many rounds each has behind it
    (a cell for each worker), and a cell for each of

    LOSS    the first turn whose loss is not finite: none of that turn or later is done
    ENDED   the same, after the stream was asked to end
    ASKED   1: the next sample is not to be begun
    FAILED  1: a worker has failed, all others leave

    at: the row at which each worker is, counted through all rounds, in cells. span (rounds, rows,
    2): start and end of each, in ns, 0 where it was not done.
    """

    counters: Ints
    rounds: Ints
    control: Ints
    at: Ints
    span: Ints


class Stream(NamedTuple):
    """Samples to learn from, in ``rounds`` of the same program.

    size: samples that each round takes in; the program's sample t is sample first + t of the
    network in the first round, first + size + t in the next.
    lead: how many of them were there before and wait to be learned from: row t of X, labels and Y
    is the program's sample lead + t; row t of masks and noise its sample t. delay: in samples;
    stash: whether M goes through the weights of S, else through the current ones.
    batch: samples per update.
    """

    rounds: int
    size: int
    first: int
    lead: int
    delay: int
    batch: int
    stash: bool
    X: Array
    labels: Ints
    Y: Array
    masks: Array
    noise: Array


def _walk(  # type: ignore[no-untyped-def]
    me, program, board, stream, places, kept, options, predicted, losses, out
):
    """Do the rows of worker ``me`` round after round, each when what it waits for is done.

    places (2, R): addresses of `Parts`, for each place of a sample one for S and E and one for M,
    which with a delay sees older weights. kept: see `gathering.keep`. options: of `Options`.
    """
    by = opened(options, OPTIONS)  # type: ignore[name-defined]  # noqa: F821
    begin = program.begin[me]
    many = program.begin[me + 1] - begin
    if many == 0:
        store_release(board.rounds, me * CELL, stream.rounds)
    for at in range(many * stream.rounds):
        row, round_ = begin + at % many, at // many
        past = round_ * stream.size  # samples of earlier rounds
        what = GO
        if row == begin and round_ > 0:
            what = _met(me, round_, board)
        if what == GO:
            what = _ready(program, row, past, board)
        if what == LEAVE:
            return
        if what == SKIP:
            continue
        store_release(board.at, me * CELL, at)
        board.span[round_, row, 0] = nanoseconds()
        task, t = program.task[row], program.sample[row] + past
        kind, layer, number = program.kind[task], program.layer[task], stream.first + t
        new, mask, done = t - stream.lead, stream.masks[t], True
        address = places[1 if kind == M else 0, number % places.shape[1]]
        of = opened(address, PARTS)  # type: ignore[name-defined]  # noqa: F821
        net, syn, params, work = of.net, of.syn, of.params, of.work
        if kind == S:
            standard(  # type: ignore[name-defined]  # noqa: F821
                layer,
                net,
                syn,
                params,
                work,
                stream.X[new],
                stream.labels[new],
                stream.Y[new],
                mask,
            )
            if layer == 1 and stream.stash:
                for k in range(syn.WK.shape[0]):
                    rows.copy(syn.WKS[k], syn.WK[k])
        elif kind == E:
            done = judge(net, work, mask.size > 0, new, predicted, losses, out)
        else:
            step = step_at(by.rates, number - number % stream.batch, net.W)
            share = Step(step.eta / net.W.dtype.type(stream.batch), step.mu, step.lam)
            had = net.changes[1]
            teach(  # type: ignore[name-defined]  # noqa: F821
                layer, net, syn, params, by.hyper, share, work, mask, stream.noise[t]
            )
            if stream.batch > 1:
                if layer == 1 and net.changes[1] > had:
                    gathering.keep(net, syn, kept)
                if (number + 1) % stream.batch == 0:
                    gathering.apply(net, syn, kept, layer, step)
            if layer == 1:
                _fold(syn, number + 1, stream.batch)
        board.span[round_, row, 1] = nanoseconds()
        if done:
            store_release(board.counters, task * CELL, t + 1)
        else:
            store_release(board.control, LOSS * CELL, program.turn[row] + past)


@stage
def _fold(syn: InputSynapses, seen: int, batch: int) -> None:
    """After so many samples that a kernel for one thread would, or at the end of the mini-batch."""
    if seen % batch == 0 and seen // FOLD_EVERY > (seen - batch) // FOLD_EVERY:
        input_synapses.fold(syn)


@stage
def _met(me: int, rounds: int, board: Board) -> int:
    """Wait until all workers have so many rounds behind them: GO, or LEAVE."""
    store_release(board.rounds, me * CELL, rounds)
    for other in range(0, len(board.rounds), CELL):
        looks = 0
        while load_acquire(board.rounds, other) < rounds:
            looks += 1
            if looks > SPINS:
                if load_acquire(board.control, FAILED * CELL) > 0:
                    return LEAVE
                give_way()
    return GO


@stage
def _ready(program: Rows, row: int, past: int, board: Board) -> int:
    """Wait for what a row waits for, ``past`` samples after the program's first round: GO, or SKIP
    a row that is not to be done, or LEAVE."""
    turn = program.turn[row] + past
    for k in range(program.wait[row], program.wait[row + 1]):
        looks, on, value = 0, program.on[k] * CELL, program.value[k] + past
        while load_acquire(board.counters, on) < value:
            looks += 1
            if looks > SPINS:
                if load_acquire(board.control, FAILED * CELL) > 0:
                    return LEAVE
                if _over(turn, board):
                    return SKIP
                give_way()
    task = program.task[row]
    if program.kind[task] == S and program.layer[task] == 1:  # a sample begins here, in order
        asked = load_acquire(board.control, ASKED * CELL) > 0
        if asked and turn < load_acquire(board.control, ENDED * CELL):
            store_release(board.control, ENDED * CELL, turn)
    return SKIP if _over(turn, board) else GO


@stage
def _over(turn: int, board: Board) -> bool:
    """Whether nothing of this turn is to be done any more."""
    lost = load_acquire(board.control, LOSS * CELL)
    return bool(turn >= lost or turn >= load_acquire(board.control, ENDED * CELL))


_compiled: dict[Any, Any] = {}


def walker(rule: Rule, parts: Record, options: Record) -> Any:
    """The compiled worker of a rule, for records of these kinds."""
    kinds = kind_of(parts.values), kind_of(options.values)
    key = rule.name, *kinds
    if key not in _compiled:
        name = f"{rule.name}_{parts.values.work.a.dtype}"
        bound = {"PARTS": kinds[0], "OPTIONS": kinds[1], **online_kernel.stages(rule)}
        _compiled[key] = specialise(_walk, name, **bound)
    return _compiled[key]
