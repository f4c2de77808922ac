"""Several threads that share the rows of one layer's weights.

One thread, the leader, runs the loop over samples. Where a stage goes through all rows of a matrix
it posts the layer, every thread takes its part of the rows, and the leader goes on when all are
done. No row depends on another one, so no bit depends on the number of threads.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rate_models.compiler import atomics
from rate_models.compiler.atomics import CELL, SPINS, load_acquire, store_release, yield_core
from rate_models.compiler.kernel import inlined, stage

Ints = NDArray[np.int64]
# Indices of the cells of a team: how many posts there were, whether helpers are to leave, then what
# is posted; last, of each helper, how many posts it has finished.
POSTED, LEAVING, LAYER, TURN, STANDARD, DONE = range(6)


def team(helpers: int) -> Ints:
    """The cells of a team of a leader and some helpers."""
    return atomics.cells(DONE + helpers)


@inlined
def members(team: Ints) -> int:
    """How many threads share the rows; one where there is no team."""
    return max(team.size // CELL - DONE, 0) + 1


@inlined
def post(team: Ints, layer: int, turn: int, standard: bool) -> None:
    """Let the helpers begin: with this layer, and this of the two scratch memories."""
    team[LAYER * CELL], team[TURN * CELL] = layer, turn
    team[STANDARD * CELL] = 1 if standard else 0
    store_release(team, POSTED * CELL, team[POSTED * CELL] + 1)


@stage
def join(team: Ints) -> None:
    """Wait until all helpers have finished what was posted."""
    posted = team[POSTED * CELL]
    for at in range(DONE * CELL, team.size, CELL):
        reads = 0
        while load_acquire(team, at) < posted:
            reads += 1
            if reads > SPINS:
                yield_core()


@stage
def posted_after(team: Ints, seen: int) -> int:
    """Wait for a post after ``seen`` of them; how many there are now, −1 where helpers leave."""
    reads = 0
    while True:
        posted = load_acquire(team, POSTED * CELL)
        if posted > seen:
            return int(posted)
        if load_acquire(team, LEAVING * CELL) > 0:
            return -1
        reads += 1
        if reads > SPINS:
            yield_core()
