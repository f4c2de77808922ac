"""A run: a learner on a stream, scored continuously, stored in a folder, resumable at any time.

The folder contains ``config.json`` (all options, with defaults filled in), ``metrics.jsonl`` (one
line per interval and per epoch), ``record.jsonl`` (recorded diagnostics, at the same samples),
``checkpoint/``, and at the end ``summary.json``, figures and, for regression, ``predictions.csv``.
A checkpoint holds the learner, the scores and the position in the stream together. So a killed and
resumed run gives the same results as an uninterrupted one, bit for bit (apart from times).
"""

from __future__ import annotations

from pathlib import Path

from rate_models.errors import MissingData
from rate_models.support import own_files
from streaming.files import checkpoint
from streaming.files.folder import disk, new_folder, refuse_used, unborn, write_text
from streaming.files.lock import locked
from streaming.learner.learner import OnlineLearner
from streaming.pictures import drawn
from streaming.runs import defaults
from streaming.runs import state as run_state
from streaming.runs.config import RunConfig
from streaming.runs.live.run import LiveRun, opened_sink
from streaming.runs.loop import FINISHED, Hooks, Run
from streaming.runs.record import Recorder
from streaming.runs.state import RunState
from streaming.runs.summary import Summary
from streaming.sources import LiveSource, Source
from streaming.terminal import slow

__all__ = ["FINISHED", "Hooks", "Run", "RunConfig", "Summary", "resume", "run"]


def run(
    config: RunConfig,
    out: Path | None = None,
    hooks: Hooks = Hooks(),
    begun: tuple[Source, OnlineLearner] | None = None,
) -> Summary:
    """Stream, learn and score; returns the content of ``summary.json``.

    out: the folder of the run, new or empty; None creates one under ``runs/``.
    begun: an open source and a learner to go on with; ``config`` is complete then. See
    `streaming.runs.going_on`.
    Raises UserError: before anything is written if the configuration or the data is wrong; after
    saving the learner if a sample is bad. Raises Diverged, with the last good checkpoint in place.
    """
    given = config
    if begun is None:
        source = _opened(config, hooks)
        for text in (source.reading, source.guess):
            if text:
                hooks.notify(text)
        config = config.resolved(source)
        learner = config.learner(source)
    else:
        source, learner = begun
    recorder = Recorder(config.record, learner, source)
    run_state.metrics(config, source)  # raises errors before anything is written
    _try_to_publish(source, learner, hooks)
    name = f"{own_files.shown(config.circuit)}-circuit" if config.circuit else learner.rule
    folder = new_folder(own_files.shown(config.source), name, out)
    with disk(folder), locked(folder) as lock:
        refuse_used(folder)
        write_text(folder / "config.json", config.model_dump_json(indent=2) + "\n")
        this = _kind(source)(folder, config, source, learner, recorder, lock)
        this.save()
        if begun is None and (chosen := defaults.line(given, config, source)):
            hooks.notify(chosen)
        return this.go(hooks)


def resume(folder: Path, hooks: Hooks = Hooks()) -> Summary:
    """Resume the run in ``folder`` from its last checkpoint; returns the summary.

    For a finished run the existing summary is returned, and missing figures are drawn.
    Raises MissingData or DamagedCheckpoint if the folder does not hold a run; BadOption if another
    process uses it or if its options were changed.
    """
    config = RunConfig.read(folder / "config.json")
    summary = run_state.finished(folder, config, FINISHED)
    if summary is not None:
        hooks.notify(f"{folder} has finished already: nothing to resume")
        if hooks.draw:
            drawn.run(folder, missing=True)
        return summary
    with disk(folder), locked(folder) as lock:
        if unborn(folder):  # stopped before the first checkpoint
            _refuse_without_learner(folder, config)
            source = _opened(config, hooks)
            learner = config.learner(source)
            recorder = Recorder(config.record, learner, source)
            this = _kind(source)(folder, config, source, learner, recorder, lock)
            this.save()
            return this.go(hooks)
        arrays, meta = checkpoint.read(folder / "checkpoint")
        state = RunState.of(meta, folder)
        run_state.check_options(state, config, folder / "config.json")
        learner = OnlineLearner.restored(arrays, meta, folder / "checkpoint")
        if config.task is None:  # written before the option task existed
            task = "regression" if learner.classes is None else "classification"
            config = config.model_copy(update={"task": task})
        source = _opened(config, hooks)
        recorder = Recorder(config.record, learner, source)
        this = _kind(source)(folder, config, source, learner, recorder, lock)
        this.restore(arrays, state)
        return this.go(hooks)


def _try_to_publish(source: Source, learner: OnlineLearner, hooks: Hooks) -> None:
    """Raise the errors of ``--publish`` before anything is written."""
    if isinstance(source, LiveSource) and (sink := opened_sink(source, learner, hooks.notify)):
        sink.close()


def _refuse_without_learner(folder: Path, config: RunConfig) -> None:
    """Raise MissingData if the run lacks the learner of its parent, which only a checkpoint has."""
    if config.lineage is not None:
        parent = config.lineage.parent
        raise MissingData(
            f"--resume {folder}",
            got=f"a run that ended before it had taken over the learner of {parent}",
            expected="a run with a checkpoint",
            remedy=f"begin it again: dendrostream run --from {parent} --out {folder}",
        )


def _kind(source: Source) -> type[Run]:
    """The class of a run on this source."""
    return LiveRun if isinstance(source, LiveSource) else Run


def _opened(config: RunConfig, hooks: Hooks) -> Source:
    """The source of a run; a message is shown if opening it is slow."""
    with slow(f"reading {config.source}", hooks.notify):
        return config.open()
