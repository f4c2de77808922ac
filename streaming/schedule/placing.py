"""List scheduling, compiled: on which worker each item runs, and when."""

from __future__ import annotations

import numpy as np

from rate_models.compiler.kernel import Array, kernel


@kernel
def _earliest(times: Array, first: Array, waits: Array, start: Array) -> None:
    """The start of each item (n,) with any number of workers and free hand-overs.

    times (n,): durations. Item i waits for waits[first[i]:first[i+1]], all of them earlier items.
    """
    for i in range(times.size):
        for k in range(first[i], first[i + 1]):
            j = waits[k]
            start[i] = max(start[i], start[j] + times[j])


def earliest(times: Array, first: Array, waits: Array) -> Array:
    """`_earliest` into a new array."""
    start = np.zeros(times.size)
    _earliest(times, first, waits, start)
    return start


@kernel
def _remaining(times: Array, first: Array, waits: Array, rest: Array) -> None:
    """The longest path (n,) from the start of each item to the end of the last item."""
    for i in range(times.size - 1, -1, -1):
        rest[i] += times[i]
        for k in range(first[i], first[i + 1]):
            rest[waits[k]] = max(rest[waits[k]], rest[i])


def remaining(times: Array, first: Array, waits: Array) -> Array:
    """`_remaining` into a new array."""
    rest = np.zeros(times.size)
    _remaining(times, first, waits, rest)
    return rest


@kernel
def _place(
    order: Array, times: Array, first: Array, waits: Array, bound: Array, handover: float,
    worker: Array, start: Array, free: Array,
) -> None:  # fmt: skip
    """(worker, start) of each item (n,). In ``order``, items go to the end of a worker's list.

    bound (n,): the worker that must execute the item, or -1 for the one that can start it first. Of
    several such workers it is the one that finished the last item that was waited for, then the one
    that has been idle for the shortest time.
    A worker sees what another has finished ``handover`` later than what it has finished itself.
    """
    for i in order:
        # end and worker of the last item that is waited for, and the last end on other workers
        last, elsewhere, near = -handover, -handover, -1
        for k in range(first[i], first[i + 1]):
            j = waits[k]
            end = start[j] + times[j]
            if worker[j] == near:
                last = max(last, end)
            elif end > last:
                elsewhere, last, near = last, end, worker[j]
            else:
                elsewhere = max(elsewhere, end)
        there, here = last + handover, max(last, elsewhere + handover)
        best = bound[i]
        if best < 0:
            best = max(near, 0)
            begin = max(here if best == near else there, free[best])
            for w in range(free.size):
                at = max(here if w == near else there, free[w])
                if at < begin or (at == begin and best != near and free[w] > free[best]):
                    best, begin = w, at
        worker[i], start[i] = best, max(here if best == near else there, free[best])
        free[best] = start[i] + times[i]


def place(
    order: Array, times: Array, first: Array, waits: Array, bound: Array,
    workers: int, handover: float,
) -> tuple[Array, Array]:  # fmt: skip
    """`_place` on a number of workers, into new arrays."""
    worker, start = np.full(times.size, -1), np.zeros(times.size)
    _place(order, times, first, waits, bound, handover, worker, start, np.zeros(workers))
    return worker, start
