"""Networks whose work items run in several threads, as a schedule has them; the only threads here.

Each worker walks its list of items inside one kernel without Python's lock; counters in shared
memory say what is done (`streaming._runner_kernel`). The lists come from a plan
(`streaming.schedule`), laid out for blocks of samples, at first with multiply-adds for times, from
the second block on with the times that were measured. What a plan decides is who waits how long:
the order in which each array is read and changed is the schedule's, so the result is too.

    sequential   all of a sample before any of the next: one kernel, no threads
    pipelined    the same result to the last bit

Where work items differ from sample to sample the workers meet in between.
"""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rate_models import optimizers, places
from rate_models.errors import BadOption
from rate_models.hyperparameters import numeric
from rate_models.network import NetworkSpec
from rate_models.online import OnlineNetwork, Outcome
from streaming import _runner_kernel as kernels
from streaming.atomics import CELL, cells
from streaming.schedule import planner
from streaming.schedule.items import Schedule, items
from streaming.schedule.plan import Plan, Times
from streaming.schedule.program import Program, program

Array = NDArray[Any]
BLOCK = 256  # samples that are planned together; the workers meet at the end of each block
SPARE = 1  # places beyond those that a plan needs if all goes as planned


class WorkerFailed(RuntimeError):
    """A worker could not go on; all have stopped. What was learned is not to be used."""


@dataclass(frozen=True)
class Measured:
    """A block as it ran: the plan, and start and finish (n,) of its items in seconds.

    Items that were not done, since the stream ended before, have NaN.
    """

    plan: Plan
    start: NDArray[np.float64]
    finish: NDArray[np.float64]

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
class _Block:
    """A plan with what its workers walk, and where each item is among their rows."""

    plan: Plan
    rows: kernels.Rows
    row_of: NDArray[np.int64]
    places: int


class ScheduledNetwork(OnlineNetwork):
    """An `OnlineNetwork` whose samples go through the layers as ``schedule`` has it.

    workers: threads. measured: how the last block with threads ran, or None. Warns of workers that
    never have anything to do.
    Raises what `OnlineNetwork` raises, and BadOption for workers below 1 and schedules that the
    rule locks; learning raises WorkerFailed where a thread fails.

    >>> spec = NetworkSpec((4, 8, 8, 3))
    >>> net = ScheduledNetwork(spec, "pepita", schedule=Schedule("pipelined"), workers=2)
    >>> net.learn(np.eye(4), labels=[0, 1, 2, 0]).outputs.shape
    (4, 3)
    """

    def __init__(
        self,
        spec: NetworkSpec,
        rule: str = "pepita",
        *,
        schedule: Schedule,
        workers: int = 1,
        **options: Any,
    ) -> None:
        super().__init__(spec, rule, **options)
        planner.check(self.module, self.spec, self.hyper, schedule, workers)
        if schedule.delay or schedule.batch > 1:
            expected = "sequential or pipelined, one sample per update: others are planned only"
            raise BadOption("schedule", got=str(schedule), expected=expected)
        self.schedule, self.workers = schedule, workers
        self.measured: Measured | None = None
        self._times: Times | None = None
        self._blocks: dict[tuple[int, Any], _Block] = {}  # by their length and kind of items
        self._ring: tuple[Any, Any] | None = None
        planner.warn_of_idle(self._plan(2 * spec.layers))

    @property
    def _threaded(self) -> bool:
        return self.schedule.kind != "sequential" and self.workers > 1 and self.spec.layers > 1

    def _build(self, params: Any) -> None:
        super()._build(params)
        self._ring, self._blocks = None, {}  # of other arrays

    def set(self, **changes: Any) -> None:
        super().set(**changes)
        self._blocks = {}

    def _learn(
        self, X: Array, labels: Array, Y: Array, masks: Array, noise: Array, said: Outcome
    ) -> int:
        if not self._threaded:
            return super()._learn(X, labels, Y, masks, noise, said)
        learned = 0
        while learned < len(X):
            n = self._alike(min(BLOCK, len(X) - learned))
            part = slice(learned, learned + n)
            # for a sample alone there is nothing to do at the same time
            learn = super()._learn if n == 1 else partial(self._run, self._block(n))
            done = learn(
                X[part], labels[part], Y[part], masks[part], noise[part],
                Outcome(said.predicted[part], said.losses[part], said.outputs[part]),
            )  # fmt: skip
            learned += done
            if done < n:
                break
        return learned

    def _alike(self, most: int) -> int:
        """How many of the next samples, at most ``most``, have the same work items."""
        if not hasattr(self.module, "regime"):
            return most
        now = self.samples_seen
        regimes = (self.module.regime(self.hyper, t) for t in range(now, now + most))
        return sum(1 for _ in takewhile(next(regimes).__eq__, regimes)) + 1

    def _block(self, n: int) -> _Block:
        """What the workers do with the next n samples, which are alike."""
        now = self.samples_seen
        alike = self.module.regime(self.hyper, now) if hasattr(self.module, "regime") else None
        key = n, alike
        if key not in self._blocks:
            plan = self._plan(n)
            room = max(plan.slots.values(), default=1) + SPARE
            self._blocks[key] = _Block(plan, *_rows(plan, program(plan, room)), room)
        return self._blocks[key]

    def _plan(self, n: int) -> Plan:
        seen = self.samples_seen
        todo = list(items(self.module, self.spec, self.hyper, self.schedule, n, seen))
        return planner.lay_out(todo, self.spec, self.schedule, self.workers, self._times)

    def _run(
        self, block: _Block, X: Array, labels: Array, Y: Array, masks: Array, noise: Array,
        said: Outcome,
    ) -> int:  # fmt: skip
        """The block in threads; how many of its samples were learned from."""
        n, first = len(X), self.samples_seen
        if self._ring is None or len(self._ring[0].a) != block.places:
            self._ring = places.allocate(self._work, self._syn, block.places)
        board = _board(block, n)
        walk = kernels.walker(self.module)
        shared = (
            block.rows, board, kernels.Stream(first, X, labels, Y, masks, noise), *self._ring,
            self._net, self._syn, self._state, numeric(self.hyper, self.dtype),
            optimizers.rates(self.optimizer), *said,
        )  # fmt: skip
        try:
            self._together(walk, board, shared)
        finally:
            done = int(board.control[[kernels.LOSS * CELL, kernels.ENDED * CELL]].min())
            self._clock[0] += done
            self._note(block, board)
        if done < n:
            for mine, ring in zip(self._work, self._ring[0], strict=True):
                mine[...] = ring[(first + done) % len(ring)][: mine.size]  # `_diverged` looks there
        return done

    def _together(self, walk: Any, board: kernels.Board, shared: tuple[Any, ...]) -> None:
        """All workers until the last is done. Ctrl-C ends at the border of a sample."""

        def work(me: int) -> None:
            try:
                walk(me, *shared)
            except BaseException:
                board.control[kernels.FAILED * CELL] = 1
                raise

        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="dendrostream")
        running: list[Future[None]] = [pool.submit(work, me) for me in range(self.workers)]
        pool.shutdown(wait=False)  # once all are done
        interrupted: KeyboardInterrupt | None = None
        while any(not one.done() for one in running):
            try:
                wait(running)
            except KeyboardInterrupt as stop:
                board.control[kernels.ASKED * CELL] = 1
                interrupted = stop
        for me, one in enumerate(running):
            if (problem := one.exception()) is not None:
                raise self._failed(me, shared[0], board, shared[2].first) from problem
        if interrupted is not None:
            raise interrupted

    def _failed(
        self, me: int, rows: kernels.Rows, board: kernels.Board, first: int
    ) -> WorkerFailed:
        row = board.at[me * CELL]
        task = rows.task[row]
        kind, layer = "SEM"[rows.kind[task]], rows.layer[task]
        where = f"layer {layer}" if layer else "the error"
        return WorkerFailed(f"worker {me}: sample {first + rows.sample[row]}, {where} ({kind})")

    def _note(self, block: _Block, board: kernels.Board) -> None:
        """Keep how the block ran; plan the next by the times it took."""
        span = board.span[block.row_of].astype(np.float64) * 1e-9
        span[span[:, 1] == 0] = np.nan
        span -= np.nanmin(span) if np.isfinite(span).any() else 0
        self.measured = Measured(block.plan, span[:, 0], span[:, 1])
        if self._times is None and block.plan.samples >= BLOCK // 2:
            self._times, self._blocks = self.measured.times, {}


def _rows(plan: Plan, of: Program) -> tuple[kernels.Rows, NDArray[np.int64]]:
    """The program as kernels take it, and the row of each item of the plan."""
    numbers = {
        (kind, layer): c for c, (kind, layer) in enumerate(zip(of.kind, of.layer, strict=True))
    }
    where = {(task, t): row for row, (task, t) in enumerate(zip(of.task, of.sample, strict=True))}
    row_of = [
        where[numbers["SEM".index(item.task.kind), item.task.layer], item.sample]
        for item in plan.items
    ]
    fields = of._asdict() | {"turn": of.sample}
    rows = kernels.Rows(
        *(np.ascontiguousarray(fields[name], np.int64) for name in kernels.Rows._fields)
    )
    return rows, np.array(row_of, np.int64)


def _board(block: _Block, n: int) -> kernels.Board:
    board = kernels.Board(
        cells(len(block.rows.kind)),
        cells(4),
        cells(len(block.rows.begin)),
        np.zeros((len(block.rows.task), 2), np.int64),
    )
    board.at[::CELL] = np.minimum(block.rows.begin, len(block.rows.task) - 1)
    board.control[kernels.LOSS * CELL] = board.control[kernels.ENDED * CELL] = n
    return board
