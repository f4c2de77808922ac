"""The loop of a run: read, learn and score chunks of the stream until a condition ends it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rate_models.errors import BadOption, BadSample, Diverged, UserError
from streaming.files.folder import finite
from streaming.files.log import write_summary
from streaming.pictures import drawn
from streaming.runs import divergence
from streaming.runs import state as run_state
from streaming.runs.divergence import ENOUGH
from streaming.runs.rate_checks import RateChecks
from streaming.runs.state import BaseRun, RunState
from streaming.runs.summary import Summary, held_out_scores, summarised
from streaming.runs.trouble import Trouble
from streaming.scores.evaluate import Stopped, held_out
from streaming.scores.metrics import Scored
from streaming.sources import Chunk
from streaming.terminal import slow

# Samples per compiled call: few enough for a fast reaction to Ctrl-C, enough to make the Python
# overhead of the call negligible.
CHUNK = 256
FINISHED = ("epochs", "samples", "seconds", "accuracy")


@dataclass(frozen=True)
class Hooks:
    """Callbacks of a run, called between two chunks of samples.

    stop: called after every chunk; True ends the run after saving everything.
    notify: called with one line of text, for messages and for notices of slow operations.
    watch: called with the run after every chunk.
    between: called with the run between two chunks, when everything that was due is written. It
    may change the learner, save or wait.
    draw: whether figures are drawn at the end.
    """

    stop: Callable[[], bool] = lambda: False
    notify: Callable[[str], None] = lambda message: None
    watch: Callable[[Run], None] = lambda run: None
    draw: bool = True
    between: Callable[[Run], None] = lambda run: None


class Run(BaseRun):
    """A run that continues its stream from the current position."""

    most = CHUNK  # samples of a chunk; fewer let a person see single samples
    _endless = "the stream has no end"
    _saved: tuple[int, ...] | None = None  # the state at the last checkpoint, see `save`
    _kept = 0  # position of the last checkpoint
    _tested: tuple[int, dict[str, Any]] | None = None  # position and scores of the last test

    def go(self, hooks: Hooks) -> Summary:
        """Stream until a condition ends the run, and write all results."""
        self._compile(hooks.notify)
        self._trouble = Trouble(self.learner)
        c = self.config
        rate_checks = RateChecks(self.learner, hooks.notify) if not self.position else None
        if rate_checks:
            rate_checks.before(self.source)
        if self.source.length is None and not (c.samples or c.seconds or c.accuracy):
            hooks.notify(f"{self._endless}: Ctrl-C ends the run and saves it")
        self.log.path.touch()
        try:
            if not self.record.lines:
                self._record()  # the state before learning
            stopped = self._stream_to_the_end(hooks, rate_checks)
        except UserError as error:
            self._keep(error)
            raise
        except KeyboardInterrupt as stop:
            stop.args = (self._lost(),)
            raise
        if self.examples:
            tested = self._tested and self._tested[0] == self.position
            self.examples.write(self.folder, self.learner, self.source if tested else None)
        summary = self._summarise(stopped)  # last: a run with a summary is finished
        if self.position and hooks.draw:
            drawn.run(self.folder)
        return summary

    def _stream_to_the_end(self, hooks: Hooks, rate_checks: RateChecks | None) -> str:
        """Stream, test and save; returns why the run ended. Slow operations follow after saving."""
        try:
            stopped = self._stream(hooks, rate_checks)
            self.save()
            if stopped in FINISHED:
                self.adapting.end(self.learner)
                scores = held_out_scores(self._test(hooks.stop))
                if self.line_at != self.position:
                    self._line(scores)
                self.summary = self._summarised(stopped)
                self.save()
        except Stopped:  # during the test, after everything was saved
            return "interrupted"
        return stopped

    def _keep(self, error: UserError) -> None:
        """Save what can be saved after ``error``. Further errors are dropped in favour of it."""
        diverged = isinstance(error, Diverged)
        with contextlib.suppress(OSError, UserError):
            if not diverged:
                self.save()
        with contextlib.suppress(OSError, UserError):
            self.lock.check()
            upto = "" if self._kept == self.position else f" up to sample {self._kept:,}"
            error.args = (f"{error}; what was learned{upto} is kept in {self.folder}",)
            self._summarise("diverged" if diverged else "error")

    def _lost(self) -> str:
        """Text about the samples that are lost by ending at once."""
        lost = "nothing that was learned is lost"
        if self.position > self._kept:
            lost = f"samples {self._kept:,} to {self.position:,} are lost"
        return f"{lost}; go on with: dendrostream run --resume {self.folder}"

    def _compile(self, notify: Callable[[str], None]) -> None:
        """Compile the kernels, or load them from their cache, by means of a temporary learner."""
        with slow("compiling kernels (once)", notify):
            spare = self.config.learner(self.source)
            labels = self.source.classes
            label = np.zeros(spare.sizes[-1]) if labels is None else (labels or (0,))[0]
            for n in (1, 2):  # a single sample and several workers use different kernels
                zeros = np.zeros((n, self.source.n_features))
                spare.learn_many(zeros, [label] * n)
            spare.predict_many(zeros)

    def _stream(self, hooks: Hooks, rate_checks: RateChecks | None) -> str:
        c = self.config
        if self.over:  # the epoch was learned, but stopped before its test
            self._end_epoch(hooks.stop)
        while not (why := self._stopped(hooks)):
            clock = time.perf_counter()
            for X, y in self._chunks():
                if not len(y):  # a live source has no sample at the moment
                    self.seconds += time.perf_counter() - clock
                    hooks.watch(self)
                    if why := self._stopped(hooks):
                        return why
                    clock = time.perf_counter()
                    continue
                clock += self.adapting.look(self.position, self.learner)
                self._learn(X, y)
                few = len(X) < ENOUGH
                self.recent = np.vstack([self.recent, X] if few else [X[-ENOUGH:]])[-ENOUGH:]
                self.seconds += time.perf_counter() - clock
                hooks.watch(self)
                if rate_checks:
                    rate_checks.after(X, y)
                if self.position % c.interval == 0 or self.index == self.source.length:
                    self._check()
                    self._trouble.look(self.metrics, self.recent)
                if self.index != self.source.length:  # at its end `_end_epoch` does this
                    if self.position % c.interval == 0:
                        self._line()
                    if self.position % c.save_every == 0:
                        self.save()
                    if why := self._stopped(hooks):
                        return why
                clock = time.perf_counter()
            self._end_epoch(hooks.stop)
        return why

    def _stopped(self, hooks: Hooks) -> str:
        """Why the run ends between two chunks, or ""."""
        if not (why := self._ended()):
            hooks.between(self)
        return why or ("interrupted" if hooks.stop() else "")

    def _check(self) -> None:
        divergence.check(self.learner, self.metrics, self.recent)

    def _ended(self) -> str:
        """The condition that ends the run, or "". It depends only on the state of the run."""
        c, scores = self.config, self.metrics
        if c.epochs is not None and self.epoch >= c.epochs:
            return "epochs"
        if c.samples is not None and self.position >= c.samples:
            return "samples"
        if c.seconds is not None and self.seconds >= c.seconds:
            return "seconds"
        if c.accuracy is not None and 0 < self.position == self.line_at >= scores.window:
            reached = scores.get()["windowed_accuracy"]
            return "accuracy" if reached is not None and reached >= c.accuracy else ""
        return ""

    def _chunks(self) -> Iterator[Chunk]:
        """The rest of the epoch in chunks that end where a line, a checkpoint or the end is due."""
        for X, y in self.source.chunks(self.epoch, start=self.index, size=CHUNK):
            while len(y):
                n = min(len(y), self._until_due())
                yield X[:n], y[:n]
                X, y = X[n:], y[n:]

    def _until_due(self) -> int:
        """The number of samples until a line, a checkpoint or the end is due, at most `most`."""
        c = self.config
        due = [self.most, *(n - self.position % n for n in (c.interval, c.save_every))]
        due.append(self.adapting.until_drift(self.position))
        return min(due if c.samples is None else [*due, c.samples - self.position])

    def _learn(self, X: Any, y: Any) -> None:
        try:
            scored, count = self.learner.learn_scored(X, y), len(y)
        except BadSample as error:  # the samples before the bad one were learned
            if (before := getattr(error, "scored", None)) is not None:
                self._count(before, len(before.losses))
            raise
        self._count(scored, count)

    def _count(self, scored: Scored, count: int) -> None:
        """Add the scores of ``count`` samples of the stream, and move the position."""
        self.metrics.update(*scored)
        self.adapting.add(len(scored.losses))
        self.last = scored if len(scored.losses) == count else None  # else some were skipped
        if self.examples:
            self.examples.add(scored)
        self.position += count
        self.index += count

    def _empty(self) -> bool:
        """Whether the epoch had no sample."""
        return self.index == 0

    def _end_epoch(self, stop: Callable[[], bool]) -> None:
        if self._empty():
            raise BadOption("--source", got=f"{self.source.name}, an empty stream")
        self.over = True
        self.save()
        scores = held_out_scores(self._test(stop))
        self.over, self.epoch, self.index = False, self.epoch + 1, 0
        ended = {"epoch": self.epoch, "samples": self.metrics.samples, **scores}
        self.epochs.append(finite(ended))
        self._line(scores)
        if self.position % self.config.save_every == 0:
            self.save()

    def _test(self, stop: Callable[[], bool]) -> dict[str, Any]:
        """Accuracy, loss and confusion on the held-out samples; empty if there are none.

        Raises Stopped if ``stop`` returns True.
        """
        if self._tested is None or self._tested[0] != self.position:
            chunks = self.source.test()
            scores = {} if chunks is None else held_out(self.learner, chunks, stop)
            self._tested = self.position, scores
        return self._tested[1]

    def _line(self, more: dict[str, Any] | None = None) -> None:
        """Add a line to metrics.jsonl and, if diagnostics are recorded, to record.jsonl."""
        self.lock.check()
        self.log.add({"epoch": self.epoch, **self.metrics.get(), **self.times(), **(more or {})})
        self._record()
        self.line_at = self.position

    def _record(self) -> None:
        if self.recorder.names:
            values = self.recorder.values(self.learner)
            self.record.add({"samples": self.metrics.samples, "values": values})

    def save(self, anew: bool = False) -> None:
        """Write the checkpoint, unless it is up to date; anew: also then.

        Raises Diverged if the learner has diverged. The last good checkpoint then stays.
        """
        lines = self.log.lines, self.record.lines
        stands = (self.position, self.epoch, self.over, *lines, self.summary is not None)
        if self._saved == stands and not anew:
            return
        self.lock.check()
        if not self.learner.is_finite():
            raise Diverged(
                f"weights after {self.position} samples", got="infinite or NaN", remedy="lower --lr"
            )
        self._check()
        for log in (self.log, self.record):
            log.sync()  # the checkpoint refers to these lines
        extra, meta = self._stored()
        self.learner.save(self.folder / "checkpoint", extra_arrays=extra, extra_meta=meta)
        self._saved, self._kept = stands, self.position

    def _stored(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Arrays and meta that the checkpoint holds beside the learner."""
        return run_state.stored(self)

    def restore(self, arrays: dict[str, NDArray[Any]], state: RunState) -> None:
        """Restore the state of a checkpoint, and cut off log lines written after it.

        Raises the errors of `run_state.restore`.
        """
        run_state.restore(self, arrays, state)
        self._kept = self.position
        (self.folder / "summary.json").unlink(missing_ok=True)  # of the interrupted run
        self.log.cut(state.lines, state.lines_digest)
        if self.recorder.names:
            self.record.cut(state.recorded, state.recorded_digest)

    def _summarised(self, stopped: str) -> Summary:
        tested = self._tested[1] if self._tested and self._tested[0] == self.position else {}
        return summarised(self, stopped, tested)

    def _summarise(self, stopped: str) -> Summary:
        """Write summary.json; returns its content."""
        summary = self.summary if self.summary is not None else self._summarised(stopped)
        return write_summary(self.folder / "summary.json", summary)
