"""A run: a stream through a learner, scored as it goes, kept in a folder, resumable at any time.

The folder holds ``config.json`` (what was asked for, every default filled in), ``metrics.jsonl``
(one line per interval and per epoch), ``record.jsonl`` (the same of what is recorded),
``checkpoint/``, and at the end ``summary.json``, pictures and, of a regression,
``predictions.csv``. A checkpoint holds learner, scores and position in the stream together, so a
killed and resumed run computes what an undisturbed one does, bit for bit (times aside).
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rate_models.errors import BadOption, BadSample, Diverged, UserError
from streaming import checkpoint, defaults, divergence, drawn
from streaming.advice import Adviser
from streaming.config import RunConfig
from streaming.divergence import ENOUGH
from streaming.evaluate import Metrics, Scored, held_out
from streaming.examples import Examples
from streaming.learner import OnlineLearner
from streaming.record import Recorder
from streaming.run_folder import Log, disk, finite, json_line, new_folder, write_text
from streaming.sources import Chunk, Source, content
from streaming.summary import Summary, held_out_scores, summarised
from streaming.terminal import slow
from streaming.trouble import Trouble

__all__ = ["Hooks", "Run", "RunConfig", "Summary", "resume", "run"]

# Samples per compiled call: small enough to answer Ctrl-C at once, large enough that the
# Python around the call costs nothing.
BLOCK = 256
POSITION = ("position", "epoch", "index", "seconds", "epochs", "line_at")
FINISHED = ("epochs", "samples", "seconds", "accuracy")


@dataclass(frozen=True)
class Hooks:
    """What the outside sees of a run and can do to it, between two blocks.

    stop: asked after every block; True ends the run with everything saved.
    say: told in a line what takes long or is worth knowing.
    watch: shown the run after every block.
    draw: whether pictures are drawn at the end.
    """

    stop: Callable[[], bool] = lambda: False
    say: Callable[[str], None] = lambda message: None
    watch: Callable[[Run], None] = lambda run: None
    draw: bool = True


def run(
    config: RunConfig,
    out: Path | None = None,
    hooks: Hooks = Hooks(),
    begun: tuple[Source, OnlineLearner] | None = None,
) -> Summary:
    """Stream, learn, score; what came out, as in ``summary.json``.

    out: the run's folder, new or empty; None makes one under ``runs/``. begun: the opened source
    and a learner to go on with, of a ``config`` that is complete; see `streaming.going_on`.
    Raises UserError with nothing written where the configuration or the data is wrong, and
    after saving what was learned where a sample is; Diverged leaves the last good checkpoint.
    """
    asked = config
    if begun is None:
        with slow(f"reading {config.source}", hooks.say):
            source = config.open()
        if guess := getattr(source, "guess", ""):
            hooks.say(guess)
        config = config.resolved(source)
        learner = config.learner(source)
    else:
        source, learner = begun
    recorder = Recorder(config.record, learner, source)
    way = f"{config.circuit}-circuit" if config.circuit else str(config.rule)
    folder = new_folder(config.source, way, out)
    with disk(folder):
        write_text(folder / "config.json", config.model_dump_json(indent=2) + "\n")
        this = Run(folder, config, source, learner, recorder)
        this.save()
        if begun is None and (chosen := defaults.line(asked, config, source)):
            hooks.say(chosen)
        return this.go(hooks)


def resume(folder: Path, hooks: Hooks = Hooks()) -> Summary:
    """Go on with the run in ``folder`` from its last checkpoint.

    The summary of a run that has finished is handed back as it is; pictures that it lacks are
    drawn. Raises MissingData or DamagedCheckpoint where the folder is not that of a run.
    """
    config = RunConfig.read(folder / "config.json")
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        summary: Summary = json.loads((folder / "summary.json").read_text())
        if summary["stopped"] in FINISHED:
            hooks.say(f"{folder} has finished already: nothing to resume")
            if hooks.draw:
                drawn.run(folder, missing=True)
            return summary
    arrays, meta = checkpoint.read(folder / "checkpoint")
    learner = OnlineLearner.load(folder / "checkpoint")
    if config.task is None:  # of a run before there were tasks
        task = "regression" if learner.classes is None else "classification"
        config = config.model_copy(update={"task": task})
    with slow(f"reading {config.source}", hooks.say):
        source = config.open()
    recorder = Recorder(config.record, learner, source)
    with disk(folder):
        this = Run(folder, config, source, learner, recorder)
        this.restore(arrays, meta)
        return this.go(hooks)


class Run:
    """Where a run stands: learner, scores, position in the stream.

    position: stream samples taken so far, in all epochs; index: in this ``epoch`` (from 0).
    seconds: of streaming (reading, learning, scoring), without compiling and writing.
    """

    def __init__(
        self,
        folder: Path,
        config: RunConfig,
        source: Source,
        learner: OnlineLearner,
        recorder: Recorder,
    ) -> None:
        self.folder, self.config, self.source, self.learner = folder, config, source, learner
        self.recorder, self.content = recorder, content(config.source, source)
        self.log, self.record = Log(folder / "metrics.jsonl"), Log(folder / "record.jsonl")
        self.metrics = Metrics(len(source.classes) if source.classes else None)
        self.position = self.epoch = self.index = 0
        self.seconds = 0.0
        self.epochs: list[dict[str, Any]] = []
        self.line_at = 0
        regression = source.classes is None
        self._examples = Examples(learner.sizes[-1]) if regression else None
        self._recent = np.zeros((0, source.n_features))
        self._trouble = Trouble(learner)
        self._tested: tuple[int, dict[str, Any]] | None = None

    def go(self, hooks: Hooks) -> Summary:
        """Stream until something ends the run; leaves everything written."""
        self._compile(hooks.say)
        c = self.config
        adviser = Adviser(self.learner, hooks.say) if not self.position else None
        if adviser:
            adviser.before(self.source)
        if self.source.length is None and not (c.samples or c.seconds or c.accuracy):
            hooks.say("the stream has no end: Ctrl-C ends the run and saves it")
        self.log.path.touch()
        try:
            if not self.record.lines:
                self._record()  # how things stand before learning
            stopped = self._stream(hooks, adviser)
            if stopped in FINISHED:
                scores = held_out_scores(self._test())
                if self.line_at != self.position:
                    self._line(scores)
            self.save()
        except UserError as error:
            diverged = isinstance(error, Diverged)
            with contextlib.suppress(OSError, UserError):  # the first error is to be seen
                if not diverged:
                    self.save()
                self._summarise("diverged" if diverged else "error")
            error.args = (f"{error}; what was learned is kept in {self.folder}",)
            raise
        summary = self._summarise(stopped)
        if self._examples:
            tested = self._tested and self._tested[0] == self.position
            self._examples.write(self.folder, self.learner, self.source if tested else None)
        if self.position and hooks.draw:
            drawn.run(self.folder)
        return summary

    def _compile(self, say: Callable[[str], None]) -> None:
        """Have the kernels compiled, or read from their cache, by a learner thrown away."""
        with slow("compiling kernels (once)", say):
            spare = self.config.learner(self.source)
            label = self.source.classes[0] if self.source.classes else np.zeros(spare.sizes[-1])
            for n in (1, 2):  # one kernel for a sample alone, another for workers
                nothing = np.zeros((n, self.source.n_features))
                spare.learn_many(nothing, [label] * n)
            spare.predict_many(nothing)

    def _stream(self, hooks: Hooks, adviser: Adviser | None) -> str:
        c = self.config
        while not (why := self._ended() or ("interrupted" if hooks.stop() else "")):
            clock = time.perf_counter()
            for X, y in self._blocks():
                self._learn(X, y)
                self._recent = X if len(X) >= ENOUGH else np.vstack([self._recent, X])[-ENOUGH:]
                self.seconds += time.perf_counter() - clock
                hooks.watch(self)
                if adviser:
                    adviser.after(X, y)
                if self.position % c.interval == 0 or self.index == self.source.length:
                    divergence.check(self.learner, self.metrics, self._recent)
                    self._trouble.look(self.metrics, self._recent)
                if self.index != self.source.length:  # else the end of the epoch does all this
                    if self.position % c.interval == 0:
                        self._line()
                    if self.position % c.save_every == 0:
                        self.save()
                    if why := self._ended() or ("interrupted" if hooks.stop() else ""):
                        return why
                clock = time.perf_counter()
            self._end_epoch()
        return why

    def _ended(self) -> str:
        """Which condition has ended the run, if any: a function of the state alone."""
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

    def _blocks(self) -> Iterator[Chunk]:
        """The rest of the epoch, cut where a line, a checkpoint or the end is due."""
        c = self.config
        for X, y in self.source.chunks(self.epoch, start=self.index, size=BLOCK):
            while len(y):
                due = [len(y), *(n - self.position % n for n in (c.interval, c.save_every))]
                n = min(due if c.samples is None else [*due, c.samples - self.position])
                yield X[:n], y[:n]
                X, y = X[n:], y[n:]

    def _learn(self, X: Any, y: Any) -> None:
        try:
            scored, taken = self.learner.learn_scored(X, y), len(y)
        except BadSample as error:  # those before it were learned
            if (before := getattr(error, "scored", None)) is not None:
                self._count(before, len(before.losses))
            raise
        self._count(scored, taken)

    def _count(self, scored: Scored, taken: int) -> None:
        self.metrics.update(*scored)
        if self._examples:
            self._examples.add(scored)
        self.position += taken
        self.index += taken

    def _end_epoch(self) -> None:
        if self.index == 0:
            raise BadOption("--source", got=f"{self.source.name}, an empty stream")
        self.epoch, self.index = self.epoch + 1, 0
        test = self._test()
        samples = self.metrics.samples
        self.epochs.append(
            finite({"epoch": self.epoch, "samples": samples, **held_out_scores(test)})
        )
        self._line(held_out_scores(test))
        if self.position % self.config.save_every == 0:
            self.save()

    def _test(self) -> dict[str, Any]:
        """Accuracy, loss and confusion on the held-out samples; empty where there are none."""
        if self._tested is None or self._tested[0] != self.position:
            chunks = self.source.test()
            self._tested = self.position, {} if chunks is None else held_out(self.learner, chunks)
        return self._tested[1]

    def _line(self, more: dict[str, Any] | None = None) -> None:
        """Add a line to metrics.jsonl and, where something is recorded, to record.jsonl."""
        self.log.add({"epoch": self.epoch, **self.metrics.get(), **self.times(), **(more or {})})
        self._record()
        self.line_at = self.position

    def _record(self) -> None:
        if self.recorder.names:
            values = self.recorder.values(self.learner)
            self.record.add({"samples": self.metrics.samples, "values": values})

    def times(self) -> dict[str, float]:
        """Seconds of streaming so far, and samples per second."""
        rate = self.position / self.seconds if self.seconds else 0.0
        return {"seconds": round(self.seconds, 6), "samples_per_second": round(rate, 1)}

    def save(self) -> None:
        """Write the checkpoint; refuses to put one that is not finite in place of a good one."""
        if not self.learner.is_finite():
            raise Diverged(
                f"weights after {self.position} samples", got="infinite or NaN", remedy="lower --lr"
            )
        for log in (self.log, self.record):
            log.sync()  # the checkpoint counts on these lines
        position = {name: getattr(self, name) for name in POSITION}
        position |= {"lines": self.log.lines, "recorded": self.record.lines}
        names = getattr(self.source, "feature_names", ())
        position |= {"content": self.content, "features": list(names)}
        arrays = {f"metrics.{name}": array for name, array in self.metrics.state().items()}
        self.learner.save(
            self.folder / "checkpoint", extra_arrays=arrays, extra_meta={"run": position}
        )

    def restore(self, arrays: dict[str, NDArray[Any]], meta: dict[str, Any]) -> None:
        """Back to where the checkpoint was written; lines written after it are cut off.

        Raises BadOption where the source is not the one that the run was streaming.
        """
        if (meta["run"].get("content") or self.content) != self.content:
            kind = "a file" if ":" in self.source.name else "a data set"
            raise BadOption(
                f"--resume: {self.source.name}",
                got=f"{kind} that changed since the run stopped",
                expected="the same samples, as some of them are learned and others held out",
                remedy="put the old one back, or go on with the new one by --from",
            )
        for name in POSITION:
            setattr(self, name, meta["run"][name])
        self.metrics.load_state(checkpoint.part("metrics.", arrays))
        (self.folder / "summary.json").unlink(missing_ok=True)  # of the interrupted run
        self.log.cut(meta["run"]["lines"])
        if self.recorder.names:
            self.record.cut(meta["run"]["recorded"])

    def _summarise(self, stopped: str) -> Summary:
        """Write summary.json; what it holds."""
        tested = self._tested[1] if self._tested and self._tested[0] == self.position else {}
        text = json_line(summarised(self, stopped, tested))
        write_text(self.folder / "summary.json", text + "\n")
        return dict(json.loads(text))
