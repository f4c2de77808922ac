"""How a run adapts to the drifts that its source knows: recovery times, and forgetting.

`streaming.scores.continual` has the definitions. Here they are computed while the run goes on, from
the last hits of its `Metrics`, so that a long stream needs no more memory.
"""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rate_models.errors import BadOption
from rate_models.support.bounds import MOST
from streaming.samples.source import Source
from streaming.samples.task_sequence import TaskSequence
from streaming.scores import continual
from streaming.scores.evaluate import held_out
from streaming.scores.metrics import Metrics

WINDOW, FRACTION = 250, 0.95  # of recovery, see `continual.recovery_time`
DRIFTS = 1000  # that are followed
TASKS = 20  # with more of them none is tested
AHEAD = 100_000  # samples for which the drifts are asked at once


class Adapting:
    """Follows the known drifts of ``source``; ``metrics`` are the scores of the same run.

    recovery: for each drift with a whole window before it, [sample, time]; the time is -1 as long
    as the accuracy is not back. R: held-out accuracies of all tasks, a row for each period that has
    ended, until each task was learned once.
    """

    def __init__(self, source: Source, metrics: Metrics) -> None:
        self._source, self._metrics = source, metrics
        self.recovery: list[list[int]] = []
        self.R: list[list[float]] = []
        self._last: list[float] = []  # accuracies of the tasks at the end of the run
        self._begun, self._stage = -1, 0  # sample of the last drift; drifts so far
        self._since, self._level = 0, -1  # scored samples since then; hits before; -1: recovered
        self._of, self._range, self._drifts = "", range(0), list[int]()

    def until_drift(self, position: int) -> int:
        """The number of samples from ``position`` to the next drift, or to where to ask again."""
        drifts = self._known(position)
        at = bisect_right(drifts, position)
        return (drifts[at] if at < len(drifts) else self._range.stop) - position

    def look(self, position: int, learner: Any) -> float:
        """To be called before the sample ``position`` is learned; returns the seconds that it took.

        At a drift the tasks are tested, and a recovery begins.
        """
        drifts = self._known(position)
        at = bisect_left(drifts, position)
        if position == self._begun or at == len(drifts) or drifts[at] != position:
            return 0.0
        clock = time.perf_counter()
        if len(self.R) < self._n_tasks - 1:
            self.R.append(self._tested(learner))
        self._begun, self._stage, self._since, self._level = position, self._stage + 1, 0, -1
        before = self._metrics.recent(WINDOW)
        if self._stage == DRIFTS:
            self._drifts = []
        if self._source.recovers and len(before) == WINDOW:
            self._level = int(before.sum())
            self.recovery.append([position, -1])
        return time.perf_counter() - clock

    def add(self, n: int) -> None:
        """To be called after n samples were added to the metrics."""
        if self._level < 0:
            return
        self._since += n
        hits = self._metrics.recent(min(self._since, WINDOW - 1 + n))
        sums = np.concatenate([[0], np.cumsum(hits)])
        back = np.flatnonzero(sums[WINDOW:] - sums[:-WINDOW] >= FRACTION * self._level - 1e-9)
        if len(back):
            self.recovery[-1][1] = self._since - len(hits) + WINDOW + int(back[0])
            self._level = -1

    def end(self, learner: Any) -> None:
        """Test the tasks at the end of the run."""
        self._last = self._tested(learner) if self.R else []

    def summary(self) -> dict[str, Any]:
        """{recovery, tasks} for the summary of a run; empty if nothing is known."""
        found: dict[str, Any] = {}
        if self.recovery:
            found["recovery"] = [
                {"drift": at, "samples": n if n > 0 else None} for at, n in self.recovery
            ]
        if self.R and self._last and self._stage:
            R = _matrix([*self.R, self._last])
            learned = range(min(self._stage + 1, R.shape[1]))
            others = [task for task in learned if task != self._stage % R.shape[1]]
            found["tasks"] = {
                "held_out": R.round(6).tolist(),
                "accuracy": float(R[-1, learned].mean()),
                "forgetting": float(continual.forgetting(R)[others].mean()),
            }
        return found

    def state(self) -> dict[str, NDArray[Any]]:
        """The state as arrays; empty before the first drift."""
        if self._begun < 0:
            return {}
        numbers = [self._begun, self._stage, self._since, self._level]
        return {
            "numbers": np.array(numbers, np.int64),
            "recovery": np.array(self.recovery, np.int64).reshape(-1, 2),
            "R": _matrix(self.R),
        }

    def load_state(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Restore what `state` returned. Raises BadOption for anything else."""
        if not arrays:
            return
        numbers, recovery, R = (np.asarray(arrays[name]) for name in ("numbers", "recovery", "R"))
        whole = numbers.dtype == recovery.dtype == np.int64 and R.dtype == np.float64
        shapes = numbers.shape == (4,) and recovery.shape[1:] == (2,) and R.ndim == 2
        if not whole or not shapes or not all(
            (one >= -1).all() and (one <= MOST).all() for one in (numbers, recovery, R)
        ):  # fmt: skip
            raise BadOption("adapting", got="other arrays", expected="the drifts of a run")
        self._begun, self._stage, self._since, self._level = numbers.tolist()
        self.recovery, self.R = recovery.tolist(), R.tolist()
        if self._level >= 0 and not self.recovery:
            raise BadOption("adapting", got="a recovery without a drift")

    @property
    def _n_tasks(self) -> int:
        """The number of tasks that are tested; 0 if they are not."""
        source = self._source
        if source.classes is None or not isinstance(source, TaskSequence):
            return 0
        return source.n_tasks if source.one_after_another and source.n_tasks <= TASKS else 0

    def _tested(self, learner: Any) -> list[float]:
        """The held-out accuracy of each task; empty if nothing is held out."""
        source = self._source
        assert isinstance(source, TaskSequence)
        chunks = [source.held_out(task) for task in range(self._n_tasks)]
        return [held_out(learner, one)["accuracy"] or 0.0 for one in chunks if one is not None]

    def _known(self, position: int) -> list[int]:
        """The drifts from ``position`` on, as far as they are known now, in ascending order."""
        source = self._source
        if self._of != source.name or position not in self._range:
            self._of, self._range = source.name, range(position, position + AHEAD)
            follow = self._metrics.n_classes is not None and self._stage < DRIFTS
            some = source.drifts(self._range.stop) if follow else ()
            self._drifts = [at for at in some if at >= position]
        return self._drifts


def _matrix(rows: list[list[float]]) -> NDArray[np.float64]:
    """The rows as an array; a task that came later has 0 in earlier rows."""
    width = max(map(len, rows), default=0)
    filled = [row + [0.0] * (width - len(row)) for row in rows]
    return np.array(filled, np.float64).reshape(len(rows), width)
