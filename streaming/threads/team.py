"""Threads that help the kernel for one thread with the rows of its hidden layers."""

# mypy: disable-error-code="name-defined"

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import wait
from contextlib import contextmanager
from functools import cache
from typing import Any

from numpy.typing import NDArray

from rate_models.compiler.atomics import CELL, load_acquire, store_release
from rate_models.compiler.kernel import specialise
from rate_models.compiler.records import Record, kind_of, opened
from rate_models.kernels import teams, updates
from rate_models.model.optimizers import step_at
from rate_models.online.kernel import Parts
from rate_models.rules import Rule
from streaming.threads.runner import Threads

Array = NDArray[Any]


class Team:
    """The arrays of a network with a team of helpers in its scratch memory.

    parts: what the kernel for one thread is called with, while `helping`.
    """

    def __init__(self, rule: Rule, values: Parts, helpers: int) -> None:
        self._rule, self._cells, self._helpers = rule, teams.team(helpers), helpers
        work, other = (one._replace(team=self._cells) for one in (values.work, values.other))
        self.parts = Record(values._replace(work=work, other=other))

    @contextmanager
    def helping(
        self, threads: Threads, options: Record, masks: Array, first: int
    ) -> Iterator[None]:
        """A context in which threads help with the samples from ``first`` on; masks: of those."""
        kinds = kind_of(self.parts.values), kind_of(options.values)
        helper = _helper(self._rule, str(self.parts.values.work.a.dtype), *kinds)

        def work(number: int) -> None:
            helper(number, self.parts.address, options.address, masks, first)

        leaving = self._cells[teams.LEAVING * CELL :]
        leaving[0] = 1
        work(0)  # compiles, and leaves at once: the leader would wait for one that fails to
        leaving[0] = 0
        running = [threads.submit(work, number) for number in range(self._helpers)]
        try:
            yield
        finally:
            leaving[0] = 1
            wait(running)


def _help(  # type: ignore[no-untyped-def]
    helper, parts, options, masks, first
):
    """Take part in what is posted, until the leader has no more.

    masks (N, hidden units) or (N, 0): from sample ``first`` on.
    """
    of, by = opened(parts, PARTS), opened(options, OPTIONS)  # noqa: F821
    net, clock, team, done = of.net, of.clock, of.work.team, (teams.DONE + helper) * CELL
    seen = load_acquire(team, done)
    while True:
        seen = teams.posted_after(team, seen)
        if seen < 0:
            return
        layer, standard = team[teams.LAYER * CELL], team[teams.STANDARD * CELL] > 0
        number = clock[0] - 1  # the first layer, which counts samples, has learned already
        step, work = step_at(by.rates, number, net.W), of.work
        if team[teams.TURN * CELL] > 0:
            work = of.other
        updates.rows_of_pass(
            net, layer, standard, work, masks[number - first], step,
            helper + 1, teams.members(team),
        )  # fmt: skip
        store_release(team, done, seen)


@cache
def _helper(rule: Rule, dtype: str, parts: Any, options: Any) -> Any:
    """The compiled loop of a helper, for records of these types."""
    return specialise(_help, f"{rule.name}_{dtype}", PARTS=parts, OPTIONS=options)
