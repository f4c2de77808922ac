"""Networks that process their samples in several threads, in the order of a schedule.

Plans are made for blocks of samples (`streaming.schedule`) and executed by `runner`. The first plan
of a block uses multiply-adds as item times, later ones measured times. Several execution modes are
tried (`trials`): layers that belong to workers, items that go to the worker that can start them
first, and, if the schedule has its result, the kernel for one thread. The fastest mode is kept. The
mode never changes the result.

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

from rate_models.compiler import kernel
from rate_models.errors import BadOption
from rate_models.kernels import places
from rate_models.model import optimizers
from rate_models.model.hyperparameters import numeric
from rate_models.model.optimizers import Optimizer, moves
from rate_models.network import NetworkSpec
from rate_models.online.network import OnlineNetwork, Outcome
from rate_models.support import bounds, estimates
from streaming.schedule import planner
from streaming.schedule.items import Schedule, items
from streaming.schedule.locking import refuse_if_planned_only
from streaming.schedule.plan import Plan, Times
from streaming.threads import kernels
from streaming.threads.runner import Block, Measured, Threads, run_workers, turns_done
from streaming.threads.trials import Mode, Trials

Array = NDArray[Any]
ASSIGNMENTS: tuple[planner.Assignment, ...] = ("layers", "waves")
BLOCK = 512  # samples that are planned together; the workers synchronise at the end of each block
ROUNDS = 64  # blocks per visit of the workers at most; Python handles signals between visits
REMEMBERED = ("layers.change", "layers.pre", "layers.c", "layers.changes")
SPARE = 1  # slots beyond those that a plan needs if items take as long as planned


class ScheduledNetwork(OnlineNetwork):
    """An `OnlineNetwork` whose samples are processed in the order of ``schedule``.

    workers: number of threads. timed: execute and time every item, also where the kernel for one
    thread would have the same result; ``ran`` has the times of the last blocks with one plan.
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
        rule: str = "pepita",
        *,
        schedule: Schedule,
        workers: int = 1,
        timed: bool = False,
        **options: Any,
    ) -> None:
        self.schedule, self.workers, self.timed = schedule, workers, timed
        self._check_memory(spec, str(options.get("dtype", "float64")))
        self._threads = Threads(max(workers, 1))
        super().__init__(spec, rule, **options)
        planner.check(self.definition, self.spec, self.hyper, schedule, workers)
        self._admit(self.optimizer, self.hyper)
        self.ran: list[Measured] = []
        self.trials = Trials(self._modes, workers)
        planner.warn_of_idle(self._plan(2 * (spec.layers + schedule.delay), 0, None))
        self._slots = schedule.delay + 1 + SPARE
        self._clear_waiting()

    def _check_memory(self, spec: NetworkSpec, dtype: str) -> None:
        """Raise BadOption for more threads or samples in flight than the machine can hold."""
        estimates.check_workers("workers", self.workers)
        itemsize = np.dtype(dtype).itemsize if dtype in kernel.DTYPES else 8
        for what, samples in (("schedule", self.schedule.delay), ("batch", self.schedule.batch)):
            estimates.check_waiting(what, samples, spec.sizes, itemsize)

    @property
    def measured(self) -> Measured | None:
        """How the last block ran; None before the first."""
        return self.ran[-1] if self.ran else None

    @property
    def _stashing(self) -> bool:
        return self.schedule.delay > 0 and self.schedule.weights == "stash"

    @property
    def _remembered(self) -> int:
        return self.schedule.batch if self._gathering else self.schedule.delay * self._stashing

    @property
    def _gathering(self) -> bool:
        return self.schedule.batch > 1

    def _build(self, params: Any) -> None:
        super()._build(params)
        slots = self.schedule.batch if self._gathering else 0
        _, self._accumulated = places.allocate(self._work, self._syn, slots)
        if hasattr(self, "_slots"):
            self._clear_waiting()

    def _clear_waiting(self) -> None:
        """Allocate the slots, with no sample in flight."""
        # masks and noise of the samples that wait for M, a row each
        self._waiting: list[Array] = []
        self._resize(self._slots)

    def _resize(self, slots: int) -> None:
        """Change the number of slots; samples that wait are moved to the new ones."""
        old = self._slot_arrays() if self.waiting else {}
        before = self._slot_of(np.arange(self.waiting))
        self._slots = slots
        self._ring, self._inputs = places.allocate(
            self._work, self._syn, slots, stash=self._stashing
        )
        self._blocks: dict[tuple[int, int, int, Any], Block] = {}
        for name, array in old.items():
            self._slot_arrays()[name][self._slot_of(np.arange(self.waiting))] = array[before]

    def _slot_arrays(self) -> dict[str, Array]:
        """The arrays that S and E leave for M, by name; one row per slot."""
        names = ("a", "h", "delta", "e", "y")
        return {name: getattr(self._ring, name) for name in names} | self._inputs._asdict()

    @property
    def waiting(self) -> int:
        """How many samples have been seen but not learned from yet."""
        return len(self._waiting[0]) if self._waiting else 0

    def set(self, /, **changes: Any) -> None:
        with self.lock:
            super().set(**changes)
            self._blocks = {}

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

    def state(self) -> dict[str, Array]:
        with self.lock:
            return self._state_with_waiting()

    def _state_with_waiting(self) -> dict[str, Array]:
        arrays = super().state()
        if self.schedule.delay:
            at = self._slot_of(np.arange(self.waiting))
            kept = {name: array[at] for name, array in self._slot_arrays().items()}
            # of these arrays the hidden part of delta and what follows the active rows are scratch
            kept["delta"][:, : self._net.unit[-1]] = 0
            kept["rows"] *= np.arange(kept["rows"].shape[1]) < kept["active"][:, :1]
            arrays |= {f"waiting.{name}": array for name, array in kept.items()}
            masks, noise = self._waiting or self._no_draws()
            arrays |= {"waiting.masks": masks.copy(), "waiting.noise": noise.copy()}
        return arrays

    def load_state(self, arrays: dict[str, Array]) -> None:
        stored = {name: array for name, array in arrays.items() if name.startswith("waiting.")}
        rest = {name: a for name, a in arrays.items() if name not in stored}
        slot_arrays = self._slot_arrays() if self.schedule.delay else {}
        draws = ("masks", "noise") if slot_arrays else ()
        if stored.keys() != {f"waiting.{name}" for name in (*slot_arrays, *draws)}:
            raise BadOption("state", got="other arrays", expected=f"those of {self.schedule}")
        with self.lock:
            if not slot_arrays:
                super().load_state(rest)
                self._clear_waiting()
                return
            waiting, values = self._draws_of(stored), self._waiting_of(stored)
            super().load_state(rest)
            self._clear_waiting()
            if len(waiting[0]) > self.samples_seen:
                raise BadOption("waiting", got=len(waiting[0]), expected=f"{self.samples_seen}")
            self._waiting = waiting
            at = self._slot_of(np.arange(self.waiting))
            for name, array in self._slot_arrays().items():
                array[at] = values[name]

    def _draws_of(self, stored: dict[str, Array]) -> list[Array]:
        """Masks and noise of the waiting samples in a state; BadOption if they do not fit."""
        masks, noise = (np.asarray(stored[f"waiting.{name}"]) for name in ("masks", "noise"))
        n, delay = len(masks) if masks.ndim else 0, self.schedule.delay
        if n > delay:
            raise BadOption("waiting", got=f"{n} samples", expected=f"{delay} at most")
        width = sum(self.definition.noise.widths(self.spec, self.hyper)) if n else noise.shape[-1]
        hidden = sum(self.spec.sizes[1:-1]) if masks.shape[-1:] != (0,) else 0
        wanted = (("masks", masks, hidden if n else masks.shape[-1]), ("noise", noise, width))
        return [kernel.coerce(name, a.copy(), self.dtype, (n, width)) for name, a, width in wanted]

    def _waiting_of(self, stored: dict[str, Array]) -> dict[str, Array]:
        """The arrays that S and E left for the waiting samples in a state, checked."""
        n = len(stored["waiting.masks"])
        like = {name: np.zeros((n, a.shape[1]), a.dtype) for name, a in self._slot_arrays().items()}
        values = bounds.fitting({name: stored[f"waiting.{name}"] for name in like}, like)
        bounds.check(values, places.bounds(self._syn, ""))
        return values

    def _bounds(self, arrays: dict[str, Array]) -> bounds.Bounds:
        limits = {**super()._bounds(arrays), **places.bounds(self._syn, "gathered.")}
        if self._gathering:  # at most the samples of the mini-batch that has begun
            most = int(arrays["clock"][0]) % self.schedule.batch
            return limits | {"layers.changes": (0, [0, *[most] * self.spec.layers])}
        return limits | {"layers.changes": (0, bounds.MOST)}

    def _arrays(self) -> dict[str, Array]:
        names = REMEMBERED if self._remembered else ()
        own = {name: getattr(self._net, name.removeprefix("layers.")) for name in names}
        if self._gathering:
            sums = self._accumulated._asdict()
            own |= {f"gathered.{name}": array for name, array in sums.items()}
        return super()._arrays() | own

    def _slot_of(self, t: NDArray[np.int64]) -> NDArray[np.int64]:
        """The slots of samples t, counted from the first waiting sample."""
        return (self.samples_seen - self.waiting + t) % self._slots

    def _no_draws(self) -> list[Array]:
        none = np.zeros((0, 0), self.dtype)
        return [none, none]

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
            single = "single" in self.trials.modes and (n == 1 or self.trials.choice == "single")
            count = (self._run_single if single else partial(self._run, size))(
                X[part], labels[part], Y[part], masks[part], noise[part],
                Outcome(outcome.predicted[part], outcome.losses[part], outcome.outputs[part]),
            )  # fmt: skip
            learned += count
            if count < n:
                break
        return learned

    def _next(self, most: int) -> tuple[int, int]:
        """Samples of the next block, and of all next blocks that have the same plan.

        Both are at most ``most``. There is one block as long as modes are to be tried or the
        number of waiting samples grows.
        """
        size = min(max(BLOCK // self.schedule.batch, 1) * self.schedule.batch, most)
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

    def _block(self, n: int) -> Block:
        """The block of the next n samples, which have the same work items."""
        regime = self.definition.regime
        alike = None if regime is None else regime(self.hyper, self.samples_seen)
        key = n, self.waiting, self.samples_seen % self.schedule.batch, alike
        if key not in self._blocks:
            plan = self._plan(n, self.waiting, self.trials.choice)
            # with fewer slots than the order of the plan needs, a worker would wait for itself
            if (needed := max(plan.slots.values(), default=1) + SPARE) > self._slots:
                self._resize(needed)
            self._blocks[key] = Block.of(plan, self._slots)
        return self._blocks[key]

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
        if self.timed or self.schedule.delay or self._gathering:
            return ASSIGNMENTS
        one = self.schedule.kind == "sequential" or self.workers == 1
        return ("single",) if one else (*ASSIGNMENTS, "single")

    def _record_trial(self, mode: Mode, times: Times | None, pace: float) -> None:
        self.trials.record(mode, times, pace)
        self._blocks = {}

    def _run_single(
        self, X: Array, labels: Array, Y: Array, masks: Array, noise: Array, outcome: Outcome
    ) -> int:
        """Learn a block of samples in the kernel for one thread; returns how many were learned."""
        start = time.perf_counter()
        count = super()._learn(X, labels, Y, masks, noise, outcome)
        if count >= BLOCK // 2 and not self.trials.tried("single"):
            self._record_trial("single", None, (time.perf_counter() - start) / count)
        return count

    def _run(
        self, size: int, X: Array, labels: Array, Y: Array, masks: Array, noise: Array,
        outcome: Outcome,
    ) -> int:  # fmt: skip
        """Learn blocks of ``size`` samples in threads; returns how many samples were processed."""
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
            block.rows, board, stream, self._ring, self._inputs, self._accumulated, self._net,
            self._syn, self._state, numeric(self.hyper, self.dtype),
            optimizers.rates(self.optimizer), *outcome,
        )  # fmt: skip
        try:
            run_workers(self._threads, kernels.walker(self.definition), *shared)
        finally:
            upto = turns_done(board)
            self._clock[0] = first + upto
            if delay:
                rest = slice(max(0, upto - delay), upto)
                self._waiting = [masks[rest].copy(), noise[rest].copy()]
            self.ran = block.measured(board)
            tried = self.trials.tried(block.plan.assignment)
            if len(X) >= BLOCK // 2 and upto == lead + len(X) and not tried:
                (only,) = self.ran
                pace = float(np.max(only.finish)) / (lead + len(X))
                self._record_trial(block.plan.assignment, only.times, pace)
        if upto < lead + len(X):
            for array, ring in zip(self._work, self._ring, strict=True):
                array[...] = ring[(first + upto) % len(ring)][: array.size]  # for `_diverged`
        return upto - lead
