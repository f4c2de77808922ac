"""Networks that process their samples in several threads, in the order of a schedule.

A plan is made for a segment of samples (`streaming.schedule`) and executed by `runner`. The first
plan uses multiply-adds as item times, later ones measured times. Several execution modes are tried
(`trials`): layers that belong to workers, items that go to the worker that can start them first,
and, if the schedule has its result, the kernel for one thread, alone or with workers that share the
rows of a hidden layer (`team`). The fastest mode is kept. The mode never changes the result.

    sequential   all items of a sample before any of the next: one kernel, no threads
    pipelined    the same result as sequential, to the last bit
    mini-batches all B samples of a batch use the weights from before it; the sum of their updates
                 is applied at the end of the batch
    delayed:d    M of a sample comes after S of the d samples that follow it. The order is the same
                 in every layer, for any number of workers. The last d samples wait, in memory and
                 in checkpoints, until the next call brings their followers

With a delay, M uses either the weights that S of its sample used (``stash``) or the current ones
(``current``). Weights are not copied for that: with plain gradient descent the stashed ones are
W_S x = W x + Σ_k η post_k (pre_k·x), summed over the d updates since then; the first layer keeps
W K. Where the work items differ from sample to sample, all workers synchronise in between.
"""

from __future__ import annotations

import time
from functools import partial
from itertools import takewhile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rate_models.compiler.records import Records
from rate_models.kernels import input_synapses, layers, slots
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
from streaming.threads.runner import Measured, Segment, Threads, run_workers, turns_done
from streaming.threads.team import Team
from streaming.threads.trials import Mode, Trials
from streaming.threads.waiting import REMEMBERED, Waiting

Array = NDArray[Any]
ASSIGNMENTS: tuple[planner.Assignment, ...] = ("layers", "waves")
ONE_LOOP: tuple[Mode, ...] = ("single", "rows")  # one thread runs the loop over samples
SEGMENT = 512  # samples that are planned together; the workers synchronise at their end
ROUNDS = 64  # segments per visit of the workers at most; Python handles signals between visits
SPARE = 1  # slots beyond those that a plan needs if items take as long as planned


class ScheduledNetwork(Waiting):
    """An `OnlineNetwork` whose samples are processed in the order of ``schedule``.

    workers: number of threads. timed: execute and time every item, also where the kernel for one
    thread would have the same result; ``ran`` has the times of the last segments with one plan.
    `load_parameters` drops the samples that are in flight.
    Warns of workers that never get an item, and if one thread is faster than several.
    Raises what `OnlineNetwork` raises, and BadOption for workers below 1 and for schedules that
    cannot overlap samples under this rule. Learning raises WorkerFailed if a thread fails.

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
        self._check_memory(spec, options.get("dtype"))
        self._threads = Threads(max(workers, 1))
        super().__init__(spec, rule, **options)
        planner.check(self.definition, self.spec, self.hyper, schedule, workers)
        self._admit(self.optimizer, self.hyper)
        self.ran: list[Measured] = []
        self.trials = Trials(self._modes, workers)
        if "rows" not in self._modes:
            planner.warn_of_idle(self._plan(2 * (spec.layers + schedule.delay), 0, None))
        self._slots = schedule.delay + 1 + SPARE
        self._clear_waiting()

    def _check_memory(self, spec: NetworkSpec, dtype: object) -> None:
        """Raise BadOption for more threads or samples in flight than the machine can hold."""
        estimates.check_workers("workers", self.workers)
        itemsize = 4 if isinstance(dtype, str) and dtype == "float32" else 8
        for what, samples in (("schedule", self.schedule.delay), ("batch", self.schedule.batch)):
            estimates.check_waiting(what, samples, spec.sizes, itemsize)

    @property
    def measured(self) -> Measured | None:
        """How the last segment ran; None before the first."""
        return self.ran[-1] if self.ran else None

    def _last_work(self) -> layers.Work:
        # in threads each sample has a slot of its own; the last ones may not be complete yet
        if not self.ran or self.trials.choice in ONE_LOOP:
            return super()._last_work()
        slot = (self.samples_seen - 1 - self.waiting) % self._slots
        return slots.work_at(self._net, self._ring, slot)

    def _build(self, params: Any) -> None:
        super()._build(params)
        samples = self.schedule.batch if self._accumulating else 0
        self._team = Team(self.definition, self._parts.values, self.workers - 1)
        _, self._accumulated = slots.allocate(self._work, self._syn, samples)
        self._accumulated_at = Records(
            slots.synapses_at(self._syn, self._accumulated, slot) for slot in range(samples)
        )
        if hasattr(self, "_slots"):
            self._clear_waiting()

    def _resize(self, count: int) -> None:
        old = self._slot_arrays() if self.waiting else {}
        before = self._slot_of(np.arange(self.waiting))
        self._slots = count
        self._ring, self._inputs = slots.allocate(
            self._work, self._syn, count, stash=self._stashing
        )
        late = layers.lagging(self._net, self._stashing) if self.schedule.delay else self._net
        # S of a sample may run beside M of another one
        own = input_synapses.with_own_scratch(self._syn)
        self._slots_at = Records(
            self._parts.values._replace(
                net=net,
                syn=slots.synapses_at(syn, self._inputs, slot),
                work=slots.work_at(self._net, self._ring, slot),
            )
            for net, syn in ((self._net, self._syn), (late, own))
            for slot in range(count)
        )
        self._segments: dict[tuple[int, int, int, Any], Segment] = {}
        for name, array in old.items():
            self._slot_arrays()[name][self._slot_of(np.arange(self.waiting))] = array[before]

    def set(self, /, **changes: Any) -> None:
        with self.lock:
            super().set(**changes)
            self._segments = {}

    def _admit(self, optimizer: Optimizer, hyper: Any) -> None:
        super()._admit(optimizer, hyper)
        how = self.definition, self.spec, hyper, self.schedule
        refuse_if_planned_only(*how, self.structured, moves(optimizer))

    def _rebuild(self) -> None:
        """Rebuild the network; keep samples in flight and accumulated or remembered updates."""
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
        self, X: Array, labels: Array, Y: Array, masks: Array, noise: Array, outcome: Outcome
    ) -> int:
        if self.trials.modes == ("single",):
            return super()._learn(X, labels, Y, masks, noise, outcome)
        learned = 0
        while learned < len(X):
            size, n = self._next(len(X) - learned)
            part = slice(learned, learned + n)
            # for one sample alone, no two items can run at the same time
            mode = self.trials.choice
            mode = "single" if n == 1 and "single" in self.trials.modes else mode
            run = partial(self._run_loop, mode) if mode in ONE_LOOP else partial(self._run, size)
            count = run(
                X[part], labels[part], Y[part], masks[part], noise[part],
                Outcome(outcome.predicted[part], outcome.losses[part], outcome.outputs[part]),
            )  # fmt: skip
            learned += count
            if count < n:
                break
        return learned

    def _next(self, most: int) -> tuple[int, int]:
        """Samples of the next segment, and of all next segments that have the same plan.

        Both are at most ``most``. There is one segment as long as modes are to be tried or the
        number of waiting samples grows.
        """
        size = min(max(SEGMENT // self.schedule.batch, 1) * self.schedule.batch, most)
        steady = self.trials.finished and self.waiting == self.schedule.delay
        n = self._count_alike(most if steady else size)
        size = min(size, n)
        return size, min(n // size, ROUNDS) * size

    def _count_alike(self, most: int) -> int:
        """How many of the next samples, at most ``most``, have the same work items."""
        regime, now = self.definition.regime, self.samples_seen
        if regime is None:
            return most
        regimes = (regime(self.hyper, t) for t in range(now, now + most))
        return sum(1 for _ in takewhile(next(regimes).__eq__, regimes)) + 1

    def _segment(self, n: int) -> Segment:
        """The segment of the next n samples, which have the same work items."""
        regime = self.definition.regime
        alike = None if regime is None else regime(self.hyper, self.samples_seen)
        key = n, self.waiting, self.samples_seen % self.schedule.batch, alike
        if key not in self._segments:
            plan = self._plan(n, self.waiting, self.trials.choice)
            # with fewer slots than the order of the plan needs, a worker would wait for itself
            if (needed := max(plan.slots.values(), default=1) + SPARE) > self._slots:
                self._resize(needed)
            self._segments[key] = Segment.of(plan, self._slots)
        return self._segments[key]

    def _plan(self, n: int, waiting: int, mode: Mode | None) -> Plan:
        first = self.samples_seen - waiting
        how = self.definition, self.spec, self.hyper, self.schedule
        todo = list(items(*how, waiting + n, first, waiting))
        times = None if mode is None else self.trials.times.get(mode)
        kind = next((kind for kind in ASSIGNMENTS if kind == mode), None)
        return planner.lay_out(todo, self.spec, self.schedule, self.workers, times, 0.0, kind)

    @property
    def _modes(self) -> tuple[Mode, ...]:
        """The execution modes that have the result of the schedule."""
        if self.timed or self.schedule.delay or self._accumulating:
            return ASSIGNMENTS
        if self.schedule.kind == "sequential" or self.workers == 1:
            return ("single",)
        shares = self.definition.shares_rows and self.spec.layers > 2
        return (*ASSIGNMENTS, *ONE_LOOP[: 2 if shares else 1])

    def _record_trial(self, mode: Mode, times: Times | None, pace: float) -> None:
        self.trials.record(mode, times, pace)
        self._segments = {}

    def _run_loop(
        self, mode: Mode, X: Array, labels: Array, Y: Array, masks: Array, noise: Array,
        outcome: Outcome,
    ) -> int:  # fmt: skip
        """Learn a segment of samples in the kernel for one thread; returns how many were learned.

        mode: "single", or "rows" with the other threads as a team.
        """
        start, given = time.perf_counter(), (X, labels, Y, masks, noise)
        if mode == "single":
            count = super()._learn(*given, outcome)
        else:
            first = self.samples_seen
            with self._team.helping(self._threads, self._options, masks, first):
                count = self._learn_with(self._team.parts, *given, *outcome)
        if count >= SEGMENT // 2 and not self.trials.tried(mode):
            self._record_trial(mode, None, (time.perf_counter() - start) / count)
        return count

    def _run(
        self, size: int, X: Array, labels: Array, Y: Array, masks: Array, noise: Array,
        outcome: Outcome,
    ) -> int:  # fmt: skip
        """Learn segments of ``size`` samples in threads; returns the number of samples."""
        segment, lead, delay = self._segment(size), self.waiting, self.schedule.delay
        first = self.samples_seen - lead
        if lead:
            masks, noise = (
                np.concatenate(two) for two in zip(self._waiting, (masks, noise), strict=True)
            )
        rounds = len(X) // size
        board = segment.board(lead + len(X), rounds)
        stream = kernels.Stream(
            rounds, size, first, lead, delay, self.schedule.batch,
            X, labels, Y, masks, noise,
        )  # fmt: skip
        shared = (
            segment.rows, board, stream, self._slots_at.addresses.reshape(2, -1),
            self._accumulated_at.addresses, self._options.address, *outcome,
        )  # fmt: skip
        self._syn.looked[:2] = 0
        walk = kernels.walker(self.definition, self._parts, self._options)
        try:
            run_workers(self._threads, walk, *shared)
        finally:
            upto = turns_done(board)
            self._clock[0] = first + upto
            if delay:
                rest = slice(max(0, upto - delay), upto)
                self._waiting = [masks[rest].copy(), noise[rest].copy()]
            self.ran = segment.measured(board)
            tried = self.trials.tried(segment.plan.assignment)
            if len(X) >= SEGMENT // 2 and upto == lead + len(X) and not tried:
                (only,) = self.ran
                pace = float(np.max(only.finish)) / (lead + len(X))
                self._record_trial(segment.plan.assignment, only.times, pace)
        if upto < lead + len(X):
            pre_activations = self._ring.a[(first + upto) % self._slots]
            self._work.a[...] = pre_activations[: self._work.a.size]  # for `_diverged`
        return upto - lead
