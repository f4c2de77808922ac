"""A run: a stream through a learner, scored as it goes, kept in a folder, resumable at any time.

The folder holds ``config.json`` (what was asked for, every default filled in), ``metrics.jsonl``
(one line per interval and per epoch), ``record.jsonl`` (the same of what is recorded),
``checkpoint/``, and at the end ``summary.json``, pictures and, of a regression,
``predictions.csv``. A checkpoint holds learner, scores and position in the stream together, so a
killed and resumed run computes what an undisturbed one does, bit for bit (times aside).
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
from streaming.runs.loop import FINISHED, Hooks, Run
from streaming.runs.record import Recorder
from streaming.runs.state import RunState
from streaming.runs.summary import Summary
from streaming.sources import Source
from streaming.terminal import slow

__all__ = ["FINISHED", "Hooks", "Run", "RunConfig", "Summary", "resume", "run"]


def run(
    config: RunConfig,
    out: Path | None = None,
    hooks: Hooks = Hooks(),
    begun: tuple[Source, OnlineLearner] | None = None,
) -> Summary:
    """Stream, learn, score; what came out, as in ``summary.json``.

    out: the run's folder, new or empty; None makes one under ``runs/``. begun: the opened source
    and a learner to go on with, of a ``config`` that is complete; see `streaming.runs.going_on`.
    Raises UserError with nothing written where the configuration or the data is wrong, and
    after saving what was learned where a sample is; Diverged leaves the last good checkpoint.
    """
    asked = config
    if begun is None:
        source = _opened(config, hooks)
        if guess := source.guess:
            hooks.say(guess)
        config = config.resolved(source)
        learner = config.learner(source)
    else:
        source, learner = begun
    recorder = Recorder(config.record, learner, source)
    way = f"{own_files.shown(config.circuit)}-circuit" if config.circuit else learner.rule
    folder = new_folder(own_files.shown(config.source), way, out)
    with disk(folder), locked(folder) as lock:
        refuse_used(folder)
        write_text(folder / "config.json", config.model_dump_json(indent=2) + "\n")
        this = Run(folder, config, source, learner, recorder, lock)
        this.save()
        if begun is None and (chosen := defaults.line(asked, config, source)):
            hooks.say(chosen)
        return this.go(hooks)


def resume(folder: Path, hooks: Hooks = Hooks()) -> Summary:
    """Go on with the run in ``folder`` from its last checkpoint.

    The summary of a run that has finished is handed back as it is; pictures that it lacks are
    drawn. Raises MissingData or DamagedCheckpoint where the folder is not that of a run, BadOption
    where another process is at work there or options were changed since.
    """
    config = RunConfig.read(folder / "config.json")
    summary = run_state.finished(folder, config, FINISHED)
    if summary is not None:
        hooks.say(f"{folder} has finished already: nothing to resume")
        if hooks.draw:
            drawn.run(folder, missing=True)
        return summary
    with disk(folder), locked(folder) as lock:
        if unborn(folder):  # nothing was learned yet
            _refuse_unborn_heir(folder, config)
            source = _opened(config, hooks)
            learner = config.learner(source)
            recorder = Recorder(config.record, learner, source)
            this = Run(folder, config, source, learner, recorder, lock)
            this.save()
            return this.go(hooks)
        arrays, meta = checkpoint.read(folder / "checkpoint")
        state = RunState.of(meta, folder)
        run_state.check_options(state, config, folder / "config.json")
        learner = OnlineLearner.restored(arrays, meta, folder / "checkpoint")
        if config.task is None:  # of a run before there were tasks
            task = "regression" if learner.classes is None else "classification"
            config = config.model_copy(update={"task": task})
        source = _opened(config, hooks)
        recorder = Recorder(config.record, learner, source)
        this = Run(folder, config, source, learner, recorder, lock)
        this.restore(arrays, state)
        return this.go(hooks)


def _refuse_unborn_heir(folder: Path, config: RunConfig) -> None:
    """The learner that a run began with is in its first checkpoint and nowhere else."""
    if config.lineage is not None:
        parent = config.lineage.parent
        raise MissingData(
            f"--resume {folder}",
            got=f"a run that ended before it had taken over the learner of {parent}",
            expected="a run with a checkpoint",
            remedy=f"begin it again: dendrostream run --from {parent} --out {folder}",
        )


def _opened(config: RunConfig, hooks: Hooks) -> Source:
    with slow(f"reading {config.source}", hooks.say):
        return config.open()
