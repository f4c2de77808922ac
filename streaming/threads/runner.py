"""A plan carried out: a thread for each worker, all of them inside kernels; the only threads here.

Each worker walks its list of items without Python's lock; counters in shared memory say what is
done (`streaming.threads.kernels`). A plan decides who waits how long: the order in which each array
is read and changed is the schedule's, so the result is too.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from rate_models.rules import Task
from streaming.schedule.plan import Plan, Times
from streaming.schedule.program import program
from streaming.threads import kernels
from streaming.threads.atomics import CELL, cells


class WorkerFailed(RuntimeError):
    """A worker could not go on; all have stopped. What was learned is not to be used."""


@dataclass(frozen=True)
class Measured:
    """A block as it ran: the plan, and start and finish (n,) of its items in seconds.

    span (n, 2): both in ns, 0 where an item was not done, since the stream ended before: then NaN;
    of item i in row row_of[i].
    """

    plan: Plan
    span: NDArray[np.int64]
    row_of: NDArray[np.int64]

    @cached_property
    def start(self) -> NDArray[np.float64]:
        return self._seconds[:, 0]

    @cached_property
    def finish(self) -> NDArray[np.float64]:
        return self._seconds[:, 1]

    @cached_property
    def _seconds(self) -> NDArray[np.float64]:
        span = self.span[self.row_of] * 1e-9
        span[span[:, 1] == 0] = np.nan
        return span - (np.nanmin(span) if np.isfinite(span).any() else 0)

    @property
    def by_task(self) -> NDArray[np.float64]:
        """For each item the mean time (n,) of all items of its task, as far as they were done."""
        taken: defaultdict[Task, list[float]] = defaultdict(list)
        for item, time in zip(self.plan.items, self.finish - self.start, strict=True):
            if np.isfinite(time):
                taken[item.task].append(time)
        mean = {task: float(np.mean(several)) for task, several in taken.items()}
        return np.array([mean[item.task] for item in self.plan.items])

    @property
    def times(self) -> Times | None:
        """Mean times of the items, in seconds; None where nothing was done."""
        taken: defaultdict[tuple[str, int], list[float]] = defaultdict(list)
        for item, time in zip(self.plan.items, self.finish - self.start, strict=True):
            if np.isfinite(time):
                taken[item.task[:2]].append(max(time, 1e-9))
        if not taken:
            return None
        layers = range(1, self.plan.spec.layers + 1)
        standard, modulated = (
            tuple(float(np.mean(taken.get((kind, n), [1e-9]))) for n in layers) for kind in "SM"
        )
        return Times(standard, modulated, float(np.mean(taken["E", 0])))


@dataclass(frozen=True)
class Block:
    """A plan with what its workers walk, and where each item is among their rows."""

    plan: Plan
    rows: kernels.Rows
    row_of: NDArray[np.int64]

    @classmethod
    def of(cls, plan: Plan, places: int) -> Self:
        """The plan's program, with so many places for samples."""
        made = program(plan, places)
        kinds = [*zip(made.kind, made.layer, strict=True)]
        where = {
            (*kinds[task], t): row
            for row, (task, t) in enumerate(zip(made.task, made.sample, strict=True))
        }
        late = np.where(made.kind[made.task] == kernels.M, plan.schedule.delay, 0)
        fields = made._asdict() | {"turn": made.sample + late}
        return cls(
            plan,
            kernels.Rows(
                *(np.ascontiguousarray(fields[name], np.int64) for name in kernels.Rows._fields)
            ),
            np.array([where["SEM".index(task.kind), task.layer, t] for task, t in plan.items]),
        )

    def board(self, turns: int, rounds: int = 1) -> kernels.Board:
        """Nothing done yet, of so many turns in so many rounds."""
        board = kernels.Board(
            cells(len(self.rows.kind)),
            cells(len(self.rows.begin) - 1),
            cells(4),
            cells(len(self.rows.begin)),
            np.zeros((rounds, len(self.rows.task), 2), np.int64),
        )
        board.control[kernels.LOSS * CELL] = board.control[kernels.ENDED * CELL] = turns
        return board

    def measured(self, board: kernels.Board) -> list[Measured]:
        """How it ran, round after round."""
        return [Measured(self.plan, span, self.row_of) for span in board.span]


def done(board: kernels.Board) -> int:
    """How many turns were done."""
    return min(int(board.control[at * CELL]) for at in (kernels.LOSS, kernels.ENDED))


class Threads:
    """So many threads, which begin when first needed and end with what holds them.

    A forked process has none of the threads of the one that it was copied from: it begins its own.
    """

    def __init__(self, workers: int) -> None:
        self._workers, self._process = workers, 0

    def submit(self, work: Callable[[int], None], me: int) -> Future[None]:
        """Have one do ``work(me)``."""
        if self._process != os.getpid():
            self._process = os.getpid()
            self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="dendrostream")
        return self._pool.submit(work, me)


def together(
    pool: Threads,
    walk: Any,
    rows: kernels.Rows,
    board: kernels.Board,
    stream: kernels.Stream,
    *shared: Any,
) -> None:
    """All workers until the last is done; pool: a thread for each, with nothing else to do; walk:
    `_runner_kernel.walker`, with what it takes.

    Ctrl-C lets what has begun be finished, then raises KeyboardInterrupt; a worker that fails
    stops all and raises WorkerFailed.
    """

    def work(me: int) -> None:
        try:
            walk(me, rows, board, stream, *shared)
        except BaseException:
            board.control[kernels.FAILED * CELL] = 1
            raise

    workers = len(rows.begin) - 1
    running: list[Future[None]] = [pool.submit(work, me) for me in range(workers)]
    interrupted: KeyboardInterrupt | None = None
    while any(not one.done() for one in running):
        try:
            wait(running)
        except KeyboardInterrupt as stop:
            board.control[kernels.ASKED * CELL] = 1
            interrupted = stop
    for me, one in enumerate(running):
        if (problem := one.exception()) is not None:
            raise _failed(me, rows, board, stream) from problem
    if interrupted is not None:
        raise interrupted


def _failed(
    me: int, rows: kernels.Rows, board: kernels.Board, stream: kernels.Stream
) -> WorkerFailed:
    begin, end = rows.begin[me : me + 2]
    past, row = divmod(int(board.at[me * CELL]), max(int(end - begin), 1))
    row = min(begin + row, len(rows.task) - 1)
    task = rows.task[row]
    kind, layer = "SEM"[rows.kind[task]], rows.layer[task]
    where = f"layer {layer}" if layer else "the error"
    sample = stream.first + past * stream.size + rows.sample[row]
    return WorkerFailed(f"worker {me}: sample {sample}, {where} ({kind})")
