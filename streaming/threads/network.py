"""Networks whose samples go through the layers as a schedule has them, in several threads.

`runner` carries out plans (`streaming.schedule`), which are laid out for blocks of samples: at
first by multiply-adds, then by measured times, with layers that belong to workers and with items
that go where they can start first. Where the result is that of the kernel for one thread, that one
is tried too. From then on it goes in the way that took the least time. Which it is changes nothing
else.

    sequential   all of a sample before any of the next: one kernel, no threads
    pipelined    the same result to the last bit
    mini-batches the updates of B samples come together, at the end; all go through the layers with
                 the weights from before
    delayed:d    M of a sample after S of the d samples that follow it, in this order in every layer
                 however many workers there are; the last d samples wait, from one call to the next
                 and in checkpoints, for others to follow them

With a delay M goes through the weights that S of the sample went through (``stash``; for plain
gradient descent: W_S x = W x + Σ_k η post_k (pre_k·x) over the d updates since; of the first layer
W K is kept) or through those of its own time (``current``).
Where work items differ from sample to sample the workers meet in between.
"""

from __future__ import annotations

import time
from functools import partial
from itertools import takewhile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rate_models.compiler import kernel
from rate_models.compiler.records import Records
from rate_models.kernels import layers, places
from rate_models.model.optimizers import Optimizer, moves
from rate_models.network import NetworkSpec
from rate_models.online.network import Outcome
from rate_models.rules import Rule
from rate_models.support import estimates
from streaming.schedule import planner
from streaming.schedule.items import Schedule, items
from streaming.schedule.locking import refuse_if_planned_only
from streaming.schedule.plan import Plan, Times
from streaming.threads import kernels as kernels
from streaming.threads.runner import Block, Measured, Threads, done, together
from streaming.threads.waiting import REMEMBERED, Waiting
from streaming.threads.ways import Way, Ways

Array = NDArray[Any]
ASSIGNMENTS: tuple[planner.Assignment, ...] = ("layers", "waves")
BLOCK = 512  # samples that are planned together; the workers meet at the end of each block
ROUNDS = 64  # blocks in a row at most: as long as nothing else is looked after
SPARE = 1  # places beyond those that a plan needs if all goes as planned


class ScheduledNetwork(Waiting):
    """An `OnlineNetwork` whose samples go through the layers as ``schedule`` has it.

    workers: threads. timed: always go item by item, also where the kernel for one thread would do
    the same, so that ``ran`` tells how: of the last blocks that followed one plan.
    `load_parameters` forgets the samples that are on their way.
    Warns of workers that never have anything to do, and where one thread is faster than several.
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
        rule: str | Rule = "pepita",
        *,
        schedule: Schedule,
        workers: int = 1,
        timed: bool = False,
        **options: Any,
    ) -> None:
        self.schedule, self.workers, self.timed = schedule, workers, timed
        self._check_room(spec, str(options.get("dtype", "float64")))
        self._threads = Threads(max(workers, 1))
        super().__init__(spec, rule, **options)
        planner.check(self.definition, self.spec, self.hyper, schedule, workers)
        self._admit(self.optimizer, self.hyper)
        self.ran: list[Measured] = []
        self.ways = Ways(self._kinds, workers)
        planner.warn_of_idle(self._plan(2 * (spec.layers + schedule.delay), 0, None))
        self._places = schedule.delay + 1 + SPARE
        self._empty()

    def _check_room(self, spec: NetworkSpec, dtype: str) -> None:
        """BadOption for more threads or samples on their way than the machine can hold."""
        estimates.check_workers("workers", self.workers)
        itemsize = np.dtype(dtype).itemsize if dtype in kernel.DTYPES else 8
        for what, samples in (("schedule", self.schedule.delay), ("batch", self.schedule.batch)):
            estimates.check_waiting(what, samples, spec.sizes, itemsize)

    @property
    def measured(self) -> Measured | None:
        """How the last block ran, if one did."""
        return self.ran[-1] if self.ran else None

    def _build(self, params: Any) -> None:
        super()._build(params)
        room = self.schedule.batch if self._gathering else 0
        _, self._gathered = places.allocate(self._work, self._syn, room)
        self._gathered_at = Records(
            places.synapses_at(self._syn, self._gathered, place) for place in range(room)
        )
        if hasattr(self, "_places"):
            self._empty()

    def _make_room(self, room: int) -> None:
        """So many places; who waits has one of the new ones."""
        old = self._kept() if self.waiting else {}
        before = self._place_of(np.arange(self.waiting))
        self._places = room
        self._ring, self._inputs = places.allocate(
            self._work, self._syn, room, stash=self._stashing
        )
        late = layers.lagging(self._net, self._stashing) if self.schedule.delay else self._net
        self._places_at = Records(
            self._parts.values._replace(
                net=net,
                syn=places.synapses_at(self._syn, self._inputs, place),
                work=places.work_at(self._net, self._ring, place),
            )
            for net in (self._net, late)
            for place in range(room)
        )
        self._blocks: dict[tuple[int, int, int, Any], Block] = {}
        for name, array in old.items():
            self._kept()[name][self._place_of(np.arange(self.waiting))] = array[before]

    def set(self, /, **changes: Any) -> None:
        with self.lock:
            super().set(**changes)
            self._blocks = {}

    def _admit(self, optimizer: Optimizer, hyper: Any) -> None:
        super()._admit(optimizer, hyper)
        how = self.definition, self.spec, hyper, self.schedule
        refuse_if_planned_only(*how, self.structured, moves(optimizer))

    def _rebuild(self) -> None:
        """Samples on their way stay so, and so do updates that are gathered or remembered."""
        before = self.state()
        super()._rebuild()
        kept = {
            name: array for name, array in before.items()
            if name.startswith(("waiting.", "gathered.")) or name in REMEMBERED
        }  # fmt: skip
        self.load_state({**self.state(), **kept})

    def _made_with(self) -> dict[str, Any]:
        how = {"schedule": self.schedule, "workers": self.workers, "timed": self.timed}
        return {**super()._made_with(), **how}

    def _learn(
        self, X: Array, labels: Array, Y: Array, masks: Array, noise: Array, said: Outcome
    ) -> int:
        if self.ways.kinds == ("alone",):
            return super()._learn(X, labels, Y, masks, noise, said)
        learned = 0
        while learned < len(X):
            size, n = self._next(len(X) - learned)
            part = slice(learned, learned + n)
            # for a sample alone there is nothing to do at the same time
            alone = "alone" in self.ways.kinds and (n == 1 or self.ways.best == "alone")
            taken = (self._run_alone if alone else partial(self._run, size))(
                X[part], labels[part], Y[part], masks[part], noise[part],
                Outcome(said.predicted[part], said.losses[part], said.outputs[part]),
            )  # fmt: skip
            learned += taken
            if taken < n:
                break
        return learned

    def _next(self, most: int) -> tuple[int, int]:
        """Samples per block, of at most ``most``, and in all blocks that follow the same plan: one
        block while there are ways to be tried, or the samples that wait become more."""
        size = min(max(BLOCK // self.schedule.batch, 1) * self.schedule.batch, most)
        steady = self.ways.settled and self.waiting == self.schedule.delay
        n = self._alike(most if steady else size)
        size = min(size, n)
        return size, min(n // size, ROUNDS) * size

    def _alike(self, most: int) -> int:
        """How many of the next samples, at most ``most``, have the same work items."""
        regime, now = self.definition.regime, self.samples_seen
        if regime is None:
            return most
        regimes = (regime(self.hyper, t) for t in range(now, now + most))
        return sum(1 for _ in takewhile(next(regimes).__eq__, regimes)) + 1

    def _block(self, n: int) -> Block:
        """What the workers do with the next n samples, which are alike."""
        regime = self.definition.regime
        alike = None if regime is None else regime(self.hyper, self.samples_seen)
        key = n, self.waiting, self.samples_seen % self.schedule.batch, alike
        if key not in self._blocks:
            plan = self._plan(n, self.waiting, self.ways.best)
            # with fewer places than its order needs a worker would wait for itself
            if (needed := max(plan.slots.values(), default=1) + SPARE) > self._places:
                self._make_room(needed)
            self._blocks[key] = Block.of(plan, self._places)
        return self._blocks[key]

    def _plan(self, n: int, waiting: int, way: Way | None) -> Plan:
        first = self.samples_seen - waiting
        how = self.definition, self.spec, self.hyper, self.schedule
        todo = list(items(*how, waiting + n, first, waiting))
        times = None if way is None else self.ways.times.get(way)
        kind = next((kind for kind in ASSIGNMENTS if kind == way), None)
        return planner.lay_out(todo, self.spec, self.schedule, self.workers, times, 0.0, kind)

    @property
    def _kinds(self) -> tuple[Way, ...]:
        """In which the samples can be learned from with the same result."""
        if self.timed or self.schedule.delay or self._gathering:
            return ASSIGNMENTS
        one = self.schedule.kind == "sequential" or self.workers == 1
        return ("alone",) if one else (*ASSIGNMENTS, "alone")

    def _note(self, way: Way, times: Times | None, pace: float) -> None:
        self.ways.note(way, times, pace)
        self._blocks = {}

    def _run_alone(
        self, X: Array, labels: Array, Y: Array, masks: Array, noise: Array, said: Outcome
    ) -> int:
        """A block of samples in the kernel for one thread."""
        start = time.perf_counter()
        taken = super()._learn(X, labels, Y, masks, noise, said)
        if taken >= BLOCK // 2 and not self.ways.tried("alone"):
            self._note("alone", None, (time.perf_counter() - start) / taken)
        return taken

    def _run(
        self, size: int, X: Array, labels: Array, Y: Array, masks: Array, noise: Array,
        said: Outcome,
    ) -> int:  # fmt: skip
        """Blocks of ``size`` samples in threads; how many were taken in."""
        block, lead, delay = self._block(size), self.waiting, self.schedule.delay
        first = self.samples_seen - lead
        if lead:
            masks, noise = (
                np.concatenate(two) for two in zip(self._waiting, (masks, noise), strict=True)
            )
        rounds = len(X) // size
        board = block.board(lead + len(X), rounds)
        stream = kernels.Stream(
            rounds, size, first, lead, delay, self.schedule.batch, self._stashing,
            X, labels, Y, masks, noise,
        )  # fmt: skip
        shared = (
            block.rows, board, stream, self._places_at.addresses.reshape(2, -1),
            self._gathered_at.addresses, self._options.address, *said,
        )  # fmt: skip
        walk = kernels.walker(self.definition, self._parts, self._options)
        try:
            together(self._threads, walk, *shared)
        finally:
            upto = done(board)
            self._clock[0] = first + upto
            if delay:
                rest = slice(max(0, upto - delay), upto)
                self._waiting = [masks[rest].copy(), noise[rest].copy()]
            self.ran = block.measured(board)
            tried = self.ways.tried(block.plan.assignment)
            if len(X) >= BLOCK // 2 and upto == lead + len(X) and not tried:
                (told,) = self.ran
                pace = float(np.max(told.finish)) / (lead + len(X))
                self._note(block.plan.assignment, told.times, pace)
        if upto < lead + len(X):
            for mine, ring in zip(self._work, self._ring, strict=True):
                mine[...] = ring[(first + upto) % len(ring)][: mine.size]  # `_diverged` looks there
        return upto - lead
