"""Execution of a plan: one thread per worker, all of them inside compiled kernels.

Each worker executes its list of items without Python's global lock. Counters in shared memory show
which items are finished (`streaming.threads.kernels`). The schedule fixes the order in which each
array is read and changed, and with it the result. The plan only decides how long workers wait.
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

from rate_models.compiler.atomics import CELL, cells
from rate_models.rules import Task
from streaming.schedule.plan import Plan, Times
from streaming.schedule.program import program
from streaming.threads import kernels


class WorkerFailed(RuntimeError):
    """A worker failed, and all workers have stopped. The state of the network is not valid."""


@dataclass(frozen=True)
class Measured:
    """A segment as it ran: its plan, and start and finish (n,) of its items in seconds.

    span (n, 2): start and finish of each row in ns; 0 for a row that was not executed because the
    stream ended before it, whose start and finish are NaN. row_of (n,): the row of each item.
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
    def busy(self) -> NDArray[np.float64]:
        """Share of the segment's time during which each worker executed items (P,)."""
        spent = np.nan_to_num(self.finish - self.start)
        worked = np.bincount(self.plan.worker, weights=spent, minlength=self.plan.workers)
        return np.asarray(worked / max(float(np.nanmax(self.finish)), 1e-12))

    @property
    def by_task(self) -> NDArray[np.float64]:
        """For each item the mean time (n,) of all executed items of the same task."""
        seconds: defaultdict[Task, list[float]] = defaultdict(list)
        for item, time in zip(self.plan.items, self.finish - self.start, strict=True):
            if np.isfinite(time):
                seconds[item.task].append(time)
        mean = {task: float(np.mean(several)) for task, several in seconds.items()}
        return np.array([mean[item.task] for item in self.plan.items])

    @property
    def times(self) -> Times | None:
        """Mean times of the items in seconds; None if no item was executed."""
        seconds: defaultdict[tuple[str, int], list[float]] = defaultdict(list)
        for item, time in zip(self.plan.items, self.finish - self.start, strict=True):
            if np.isfinite(time):
                seconds[item.task[:2]].append(max(time, 1e-9))
        if not seconds:
            return None
        layers = range(1, self.plan.spec.layers + 1)
        standard, modulated = (
            tuple(float(np.mean(seconds.get((kind, n), [1e-9]))) for n in layers) for kind in "SM"
        )
        return Times(standard, modulated, float(np.mean(seconds["E", 0])))


@dataclass(frozen=True)
class Segment:
    """A plan for a segment of samples, its rows for the workers, and the row of each item."""

    plan: Plan
    rows: kernels.Rows
    row_of: NDArray[np.int64]

    @classmethod
    def of(cls, plan: Plan, slots: int) -> Self:
        """The segment of a plan whose arrays all have ``slots`` buffer slots for samples."""
        steps = program(plan, slots)
        kinds = [*zip(steps.kind, steps.layer, strict=True)]
        where = {
            (*kinds[task], t): row
            for row, (task, t) in enumerate(zip(steps.task, steps.sample, strict=True))
        }
        late = np.where(steps.kind[steps.task] == kernels.M, plan.schedule.delay, 0)
        fields = steps._asdict() | {"turn": steps.sample + late}
        return cls(
            plan,
            kernels.Rows(
                *(np.ascontiguousarray(fields[name], np.int64) for name in kernels.Rows._fields)
            ),
            np.array([where["SEM".index(task.kind), task.layer, t] for task, t in plan.items]),
        )

    def board(self, turns: int, rounds: int = 1) -> kernels.Board:
        """Shared memory for a number of turns in a number of rounds, with nothing executed yet."""
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
        """How the segment ran, one `Measured` per round."""
        return [Measured(self.plan, span, self.row_of) for span in board.span]


def turns_done(board: kernels.Board) -> int:
    """How many turns were executed."""
    return min(int(board.control[at * CELL]) for at in (kernels.LOSS, kernels.ENDED))


class Threads:
    """A pool of threads, started when first needed and ended with the object that holds the pool.

    A forked process does not inherit the threads of its parent, so it starts threads of its own.
    """

    def __init__(self, workers: int) -> None:
        self._workers, self._process = workers, 0

    def submit(self, work: Callable[[int], None], worker: int) -> Future[None]:
        """Run ``work(worker)`` in one of the threads."""
        if self._process != os.getpid():
            self._process = os.getpid()
            self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="dendrostream")
        return self._pool.submit(work, worker)


def run_workers(
    pool: Threads,
    walk: Any,
    rows: kernels.Rows,
    board: kernels.Board,
    stream: kernels.Stream,
    *shared: Any,
) -> None:
    """Run all workers until the last has finished.

    pool: idle threads, one per worker. walk: the loop of `streaming.threads.kernels.walker`, which
    takes ``shared`` as its other arguments.

    After Ctrl-C the samples that have begun are finished, then KeyboardInterrupt is raised. A
    worker that fails stops all others and raises WorkerFailed.
    """

    def work(worker: int) -> None:
        try:
            walk(worker, rows, board, stream, *shared)
        except BaseException:
            board.control[kernels.FAILED * CELL] = 1
            raise

    workers = len(rows.begin) - 1
    running: list[Future[None]] = [pool.submit(work, worker) for worker in range(workers)]
    interrupted: KeyboardInterrupt | None = None
    while any(not one.done() for one in running):
        try:
            wait(running)
        except KeyboardInterrupt as stop:
            board.control[kernels.ASKED * CELL] = 1
            interrupted = stop
    for worker, one in enumerate(running):
        if (problem := one.exception()) is not None:
            raise _failed(worker, rows, board, stream) from problem
    if interrupted is not None:
        raise interrupted


def _failed(
    worker: int, rows: kernels.Rows, board: kernels.Board, stream: kernels.Stream
) -> WorkerFailed:
    """The error of a worker, with the sample and layer at which it failed."""
    begin, end = rows.begin[worker : worker + 2]
    past, row = divmod(int(board.at[worker * CELL]), max(int(end - begin), 1))
    row = min(begin + row, len(rows.task) - 1)
    task = rows.task[row]
    kind, layer = "SEM"[rows.kind[task]], rows.layer[task]
    where = f"layer {layer}" if layer else "the error"
    sample = stream.first + past * stream.size + rows.sample[row]
    return WorkerFailed(f"worker {worker}: sample {sample}, {where} ({kind})")
