"""A run on a live source: latency, labels that come late, and what became of every message.

Samples with a label are learned as they are taken from the queue, and their prediction is that
made just before. A sample without one is predicted at once and waits; when its label comes it is
learned, and scored by the prediction made when it arrived.

A checkpoint is written only between two samples that were taken from the queue, so it has the state
of the learner, of the signal steps and the position in the source after the same sample.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from rate_models.errors import BadOption, DamagedCheckpoint, UserError
from streaming.files import checkpoint
from streaming.learner.learner import OnlineLearner
from streaming.live.batch import Batch, Key
from streaming.live.counts import Counts
from streaming.live.latency import Latency
from streaming.live.source import Position
from streaming.live.waiting import Labelled, Waiting
from streaming.runs.loop import CHUNK, Hooks, Run
from streaming.runs.rate_checks import RateChecks
from streaming.runs.state import RunState
from streaming.runs.summary import Summary
from streaming.scores.metrics import Scored
from streaming.sinks import Predictions, Sink, open_sink
from streaming.sources import Chunk, LiveSource

IDLE = 0.1  # seconds between looks whether to stop, while nothing arrives
STEPS, LATENCY = "live.steps.", "live.latency."  # prefixes of arrays in a checkpoint
POSITION = tuple(field.name for field in fields(Position))
LATE = 1000  # samples between looks for those whose label did not come in time


Keys = tuple[Key | None, ...] | None


class Current(NamedTuple):
    """The samples that are being learned.

    arrived (n,); time (n,) and keys to publish, None if they were published already; predicted:
    predictions made on arrival, None for samples that came with their label.
    """

    arrived: NDArray[np.int64]
    time: NDArray[np.float64] | None = None
    keys: Keys = None
    predicted: NDArray[Any] | None = None


class LiveRun(Run):
    """A run on a `LiveSource`; see the module."""

    _endless = "the run ends with its stream"

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        source = cast(LiveSource, self.source)
        o, self.live = source.options, source
        self.counts, self.latency = Counts(), Latency()
        self.waiting = Waiting(source.match, o.match_within, o.label_wait, o.queue)
        self._ready = deque[Labelled]()
        self._current = Current(np.zeros(0, np.int64))
        self._sink: Sink | None = None
        if source.schema.grows:
            source.schema.admit(self.learner.classes or ())
        self._index = dict[Any, int]()  # of the learner's classes
        self._reconnects = 0  # of earlier runs that this one resumes

    def report(self) -> dict[str, Any]:
        """Counts of all messages so far, with those in the queue, and the latency of the run."""
        counts, left = self._counts(), self.live.queue.left()
        if left is not None:
            counts.received += left.n + left.malformed + left.dropped
            counts.malformed += left.malformed
            counts.dropped += left.dropped
            counts.missed += left.missed
        queue = {"queued": self.live.queue.waiting, "queued_most": self.live.queue.largest}
        return {**counts.get(), **queue, "latency": self.latency.whole()}

    def shown(self) -> dict[str, str]:
        """Latency, and the samples that wait or were dropped, beside the progress bar."""
        learned = self.latency.recent()["learned"]
        shown = {} if learned["p99_ms"] is None else {
            "p50": f"{learned['p50_ms']:.3g}ms", "p99": f"{learned['p99_ms']:.3g}ms"
        }  # fmt: skip
        waits = self.live.queue.waiting + self.counts.waiting
        lost = {"dropped": self.counts.dropped, "malformed": self.counts.malformed}
        return shown | {k: str(n) for k, n in {"waiting": waits, **lost}.items() if n}

    def restore(self, arrays: dict[str, NDArray[Any]], state: RunState) -> None:
        """See `Run.restore`. Samples that waited for their label count as unlabelled."""
        super().restore(arrays, state)
        live = state.live or {}
        try:
            self.counts = Counts.restored(live["counts"])
            values = live["position"]
            if not all(type(values[name]) is int for name in POSITION):
                raise BadOption("position", got=values, expected="whole numbers")
            position = Position(**{name: values[name] for name in POSITION})
            self.live.steps.load_state(checkpoint.part(STEPS, arrays))
            self.latency.load_state(checkpoint.part(LATENCY, arrays))
        except (BadOption, LookupError, TypeError, ValueError) as problem:
            where = f"checkpoint in {self.folder}"
            raise DamagedCheckpoint(where, got=problem, expected="a run on a live source") from None
        if self.live.n_features != self.learner.sizes[0]:
            got, expected = f"{self.live.n_features} features", f"{self.learner.sizes[0]}"
            raise BadOption(f"--resume: {self.live.name}", got=got, expected=expected)
        self.counts.unlabelled += self.counts.waiting
        self._reconnects = self.counts.reconnects
        self.live.begin_at(position)

    def _stored(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        arrays, meta = super()._stored()
        arrays |= {f"{STEPS}{name}": array for name, array in self.live.steps.state().items()}
        arrays |= {f"{LATENCY}{name}": array for name, array in self.latency.state().items()}
        position = asdict(self.live.position())
        meta["run"]["live"] = {"counts": self._counts().get(), "position": position}
        return arrays, meta

    def _stream(self, hooks: Hooks, rate_checks: RateChecks | None) -> str:
        self._sink = opened_sink(self.live, self.learner, hooks.notify)
        try:
            self.live.begin(hooks.notify)
            return super()._stream(hooks, rate_checks)
        finally:
            self.live.close()
            if self._sink is not None:
                self._sink.close()

    def _chunks(self) -> Iterator[Chunk]:
        """Samples to learn as they arrive; an empty chunk whenever there is none."""
        nothing: Chunk = np.zeros((0, self.live.n_features)), np.zeros(0)
        looked = 0
        while True:
            while self._ready:
                yield self._labelled_late(min(self._until_due(), CHUNK))
            taken = self.live.take(min(self._until_due(), CHUNK), IDLE)
            if taken is None:
                self._ready.extend(self.waiting.end())
                if not self._ready:
                    self.counts.unlabelled += len(self.waiting)
                    self.waiting = Waiting(self.live.match, None, 0, 1)
                    self._expire()
                    return
                continue
            looked += 1 if taken.batch is None else taken.batch.n
            if taken.batch is None or looked >= LATE:
                self._expire()
                looked = 0
            batch = taken.batch
            if batch is not None:
                self._count_taken(batch, taken.merged)
                batch = self._with_labels(batch)
            for late in taken.labels:
                self._ready.extend(self.waiting.label(late))
            if batch is not None and batch.n:
                self._current = Current(batch.arrived, batch.time, batch.keys)
                yield batch.X, self.live.label_of(batch.y)
            elif not self._ready:
                yield nothing

    def _empty(self) -> bool:
        """See `Run._empty`. A stream without labels is only predicted."""
        return self.counts.received == 0

    def _with_labels(self, batch: Batch) -> Batch:
        """The samples whose label is known; the others are predicted, and wait."""
        y, unknown = batch.y, ~batch.known
        if not unknown.any():
            return batch
        held = self.waiting.holding(batch)
        fill = unknown & ~np.isnan(held)
        if fill.any():
            y = y.copy()
            y[fill] = held[fill].astype(y.dtype)
            batch, unknown = batch._replace(y=y), unknown & ~fill
        if unknown.any():
            later = batch.rows(unknown)
            predicted = self._predicted(later.X)
            self.latency.add("predicted", time.perf_counter_ns() - later.arrived)
            self._publish(predicted, later.time, later.keys)
            self._ready.extend(self.waiting.add(later, predicted))
        return batch.rows(~unknown)

    def _predicted(self, X: NDArray[np.float64]) -> NDArray[Any]:
        """What the learner predicts now: class indices (n,), or numbers (n, n_L).

        The index is -1 as long as no class has appeared.
        """
        predicted, classes = self.learner.predict_many(X), self.learner.classes
        if classes is None:
            return predicted
        if len(self._index) != len(classes):
            self._index = {label: i for i, label in enumerate(classes)}
        return np.array([self._index.get(label, -1) for label in predicted.tolist()], np.int64)

    def _labelled_late(self, most: int) -> Chunk:
        """The next samples whose label came late."""
        some = [self._ready.popleft() for _ in range(min(most, len(self._ready)))]
        self._current = Current(
            np.array([one.sample.arrived for one in some], np.int64),
            predicted=np.array([one.sample.predicted for one in some]),
        )
        X = np.array([one.sample.x for one in some])
        return X, self.live.label_of([one.y for one in some])

    def _count(self, scored: Scored, count: int) -> None:
        now, current, n = time.perf_counter_ns(), self._current, len(scored.losses)
        whole = n == count  # the learner has skipped none
        if current.predicted is not None and whole:
            scored = scored._replace(predicted=current.predicted[:n])
        self.latency.add("learned", now - current.arrived[:n])
        if current.time is not None:
            self.latency.add("predicted", now - current.arrived[:n])
            if whole:
                self._publish(scored.predicted, current.time, current.keys)
        self.counts.learned += n
        self.counts.malformed += count - n
        super()._count(scored, count)

    def _publish(
        self,
        predicted: NDArray[Any],
        times: NDArray[np.float64],
        keys: tuple[Key | None, ...] | None,
    ) -> None:
        if self._sink is None or not len(predicted):
            return
        labels: list[Any] | NDArray[Any] = predicted
        if (classes := self.learner.classes) is not None:
            labels = [classes[i] if i >= 0 else None for i in predicted.tolist()]
        self._sink.send(Predictions(labels, times, keys))

    def _count_taken(self, batch: Batch, merged: int) -> None:
        counts = self.counts
        counts.received += batch.n + merged + batch.malformed + batch.dropped
        counts.merged += merged
        counts.malformed += batch.malformed
        counts.dropped += batch.dropped
        counts.missed += batch.missed

    def _expire(self) -> None:
        unlabelled, unmatched = self.waiting.expire(time.perf_counter_ns())
        self.counts.unlabelled += unlabelled
        self.counts.labels_unmatched += unmatched

    def _counts(self) -> Counts:
        """A copy of the counts, with those that the source keeps."""
        counts = Counts.restored(self.counts.get())
        counts.reconnects = self._reconnects + self.live.reconnects
        counts.labels_malformed += self.live.labels_malformed
        counts.labels_dropped += self.live.queue.labels_dropped
        return counts

    def _line(self, more: dict[str, Any] | None = None) -> None:
        live = {**self._counts().get(), "queued": self.live.queue.waiting,
                "latency": self.latency.recent()}  # fmt: skip
        super()._line({**(more or {}), "live": live})
        self.latency.next_line()

    def _summarised(self, stopped: str) -> Summary:
        return {**super()._summarised(stopped), "live": self.report()}


def opened_sink(
    source: LiveSource, learner: OnlineLearner, notify: Callable[[str], None]
) -> Sink | None:
    """Where the predictions of a run go; None if they are not published.

    Raises BadOption, MissingData or MissingExtra.
    """
    if (target := source.options.publish) is None:
        return None
    if _same(target, source.name):
        raise BadOption("--publish", got=f"{target}, from which the samples come",
                        expected="another place")  # fmt: skip
    try:
        return open_sink(target, learner.classes, learner.sizes[-1], notify)
    except OSError as error:
        if isinstance(error, UserError):
            raise
        raise BadOption("--publish", got=f"{target}: {error.strerror}",
                        expected="a file that can be written") from None  # fmt: skip


def _same(target: str, source: str) -> bool:
    """Whether predictions would go where the samples come from."""
    kind, _, place = source.partition(":")
    if kind == "follow":
        return Path(target.removeprefix("lines:")).expanduser().absolute() == Path(place)
    return target.partition("?")[0] == source.partition("?")[0].partition(",")[0]
