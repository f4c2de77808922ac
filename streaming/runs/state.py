"""The state of a run beside its options, and its validated form in a checkpoint."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rate_models.errors import BadOption, DamagedCheckpoint
from rate_models.support.bounds import MOST
from streaming.files import checkpoint
from streaming.files.lock import RunLock
from streaming.files.log import Log, read_summary, summary_digest, warn_of_summary
from streaming.learner.learner import OnlineLearner
from streaming.pictures.examples import Examples
from streaming.records import option_of
from streaming.runs.config import RunConfig
from streaming.runs.divergence import ENOUGH
from streaming.runs.record import Recorder
from streaming.scores.adapting import Adapting
from streaming.scores.drift_detector import DriftDetector
from streaming.scores.metrics import Metrics, Scored
from streaming.sources import Source, content

Array = NDArray[Any]
POSITION = ("position", "epoch", "index", "seconds", "epochs", "line_at", "over")
RECENT = "run.recent"  # the last samples learned
ADAPTING = "adapting."  # prefix; of runs on sources that drift
EXAMPLES = "run.examples"  # regression: examples of predictions, see `pictures.examples`
Count = Annotated[int, Field(ge=0, le=MOST)]
Number = Annotated[float, Field(allow_inf_nan=False)] | None
# Options that may change between a checkpoint and its resumption.
FREE = tuple(name for name, option in option_of(RunConfig).items() if not option.decides)


class BaseRun:
    """The current state of a run: learner, scores and position in the stream.

    position: samples of the stream processed so far, in all epochs. index: samples processed in
    this ``epoch`` (counted from 0). over: whether the epoch is learned completely, but its held-out
    test is still to come. seconds: duration of streaming (reading, learning, scoring), without
    compiling and writing.
    """

    def __init__(
        self,
        folder: Path,
        config: RunConfig,
        source: Source,
        learner: OnlineLearner,
        recorder: Recorder,
        lock: RunLock,
    ) -> None:
        self.folder, self.config, self.source, self.learner = folder, config, source, learner
        self.recorder, self.lock = recorder, lock
        self.content = content(config.source, source)
        self.log = Log(folder / "metrics.jsonl", ("samples", "seconds", "windowed_loss"))
        self.record = Log(folder / "record.jsonl", ("samples", "values"))
        self.metrics = metrics(config, source)
        self.adapting = Adapting(source, self.metrics)
        self.position = self.epoch = self.index = 0
        self.seconds = 0.0
        self.epochs: list[dict[str, Any]] = []
        self.line_at = 0
        self.over = False
        self.summary: dict[str, Any] | None = None  # once the run has finished
        regression = source.classes is None
        self.examples = Examples(learner.sizes[-1]) if regression else None
        self.recent = np.zeros((0, source.n_features))
        self.last: Scored | None = None  # of the last chunk, whose last input is in `recent`

    def times(self) -> dict[str, float]:
        """{seconds, samples_per_second} of streaming so far."""
        rate = self.position / self.seconds if self.seconds else 0.0
        return {"seconds": round(self.seconds, 6), "samples_per_second": round(rate, 1)}

    def shown(self) -> dict[str, str]:
        """More to show beside the progress bar."""
        return {}


def metrics(config: RunConfig, source: Source) -> Metrics:
    """New scores of a run. Raises BadOption or MissingExtra for an unfit drift detector."""
    known = 0 if config.classes == "grow" else len(source.classes or ())
    detector = DriftDetector(config.drift_detector) if config.drift_detector else None
    return Metrics(None if source.classes is None else known, detector=detector)


class EpochScores(BaseModel):
    """Results after an epoch: its number from 1, samples so far, and held-out scores if any."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)
    __pydantic_extra__: dict[str, Number] = {}

    epoch: Count
    samples: Count


class RunState(BaseModel):
    """The state of a run as a checkpoint stores it, apart from arrays.

    position, epoch, index, seconds, over: see `BaseRun`. epochs: results after each epoch.
    line_at: position at the last metrics line. lines, recorded: numbers of lines in metrics.jsonl
    and record.jsonl at the checkpoint; lines_digest, recorded_digest: hashes of these lines.
    content: hash of the source's data. config: the options of the run. summary_digest: hash of the
    summary of a finished run. live: the state of a run on a live source, see `runs.live`.
    """

    model_config = ConfigDict(strict=True)  # keys of later versions are ignored

    position: Count
    epoch: Count
    index: Count
    seconds: float = Field(ge=0, allow_inf_nan=False)
    epochs: list[EpochScores]
    line_at: Count
    over: bool = False
    lines: Count
    recorded: Count
    lines_digest: str | None = None
    recorded_digest: str | None = None
    content: str = ""
    config: dict[str, Any] | None = None
    summary_digest: str | None = None
    live: dict[str, Any] | None = None

    @classmethod
    def of(cls, meta: Mapping[str, Any], folder: Path) -> Self:
        """The state in the meta of a checkpoint. Raises DamagedCheckpoint for an invalid one."""
        try:
            return cls.model_validate(meta["run"])
        except (ValidationError, KeyError) as problem:
            got = str(problem).splitlines()
            raise DamagedCheckpoint(
                f"checkpoint in {folder}", got="; ".join(got[1:3]) or got[0],
                expected="the position of a run",
            ) from None  # fmt: skip


def options(config: RunConfig) -> dict[str, Any]:
    """The options of a run as JSON values."""
    return dict(json.loads(config.model_dump_json()))


def check_options(state: RunState, config: RunConfig, path: Path) -> None:
    """Refuse to resume a run with options that differ from those in the checkpoint.

    Raises BadOption, which names the first difference. Options that do not affect results, such as
    the folder of the data, may change.
    """
    now = options(config)
    for name, was in (state.config or {}).items():
        if name not in FREE and name in now and now[name] != was:
            where = f"{path}, {name}"
            if name == "settings" and isinstance(was, dict):
                both = {**was, **now[name]}
                odd = next(k for k in both if was.get(k) != now[name].get(k))
                where, was, now[name] = f"{where}.{odd}", was.get(odd), now[name].get(odd)
            raise BadOption(
                where,
                got=repr(now[name]),
                expected=f"{was!r}, with which the checkpoint was learned",
                remedy="put it back, or start a new run",
            )


def finished(folder: Path, config: RunConfig, endings: tuple[str, ...]) -> dict[str, Any] | None:
    """The summary of the run in ``folder``; None if the run is not finished.

    A run is finished if its end is among ``endings``. A summary that was changed since it was
    written does not count, and a warning is given. Raises the errors of `check_options`.
    """
    path = folder / "summary.json"
    summary = read_summary(path)
    if summary is None or summary["stopped"] not in endings:
        return None
    try:
        state = RunState.of(checkpoint.read(folder / "checkpoint")[1], folder)
    except DamagedCheckpoint as damaged:
        warnings.warn(f"{damaged}", stacklevel=2)
        return summary
    check_options(state, config, folder / "config.json")
    if state.summary_digest not in (None, summary_digest(summary)):
        warn_of_summary(path)
        return None
    return summary


def stored(run: BaseRun) -> tuple[dict[str, Array], dict[str, Any]]:
    """Arrays and meta that the checkpoint of a run holds beside the learner."""
    state = {name: getattr(run, name) for name in POSITION}
    state |= {"lines": run.log.lines, "lines_digest": run.log.digest}
    state |= {"recorded": run.record.lines, "recorded_digest": run.record.digest}
    features = list(run.source.feature_names)
    state |= {"content": run.content, "features": features, "config": options(run.config)}
    state["image_shape"] = run.source.image_shape  # for `dendrostream live --open`
    if run.summary is not None:
        state["summary_digest"] = summary_digest(run.summary)
    arrays = {f"metrics.{name}": array for name, array in run.metrics.state().items()}
    arrays[RECENT] = np.asarray(run.recent, np.float64)
    arrays |= {f"{ADAPTING}{name}": array for name, array in run.adapting.state().items()}
    if run.examples:
        arrays[EXAMPLES] = run.examples.state()
    return arrays, {"run": state}


def restore(run: BaseRun, arrays: dict[str, Array], state: RunState) -> None:
    """Set position and scores of a run to those of a checkpoint.

    Raises BadOption if the data of the source have changed, and DamagedCheckpoint for invalid
    scores.
    """
    if (state.content or run.content) != run.content:
        kind = "a file" if ":" in run.source.name else "a data set"
        raise BadOption(
            f"--resume: {run.source.name}",
            got=f"{kind} that changed since the run stopped",
            expected="the same samples, as some of them are learned and others held out",
            remedy="put the old one back, or go on with the new one by --from",
        )
    for name, value in state.model_dump(include=set(POSITION)).items():
        setattr(run, name, value)
    try:
        run.metrics.load_state(checkpoint.part("metrics.", arrays))
        seen = arrays.get("metrics.regression.seen")
        if seen is not None and seen.shape[1:] != run.learner.sizes[-1:]:
            raise BadOption("seen", got=f"shape {seen.shape}", expected="as many as are predicted")
        run.adapting.load_state(checkpoint.part(ADAPTING, arrays))
        recent = np.asarray(arrays.get(RECENT, run.recent), np.float64)
        run.recent = recent.reshape(-1, run.source.n_features)[-ENOUGH:]
        if run.examples and EXAMPLES in arrays:  # older checkpoints have none
            run.examples.load_state(arrays[EXAMPLES])
    except (BadOption, LookupError, TypeError, ValueError) as problem:
        where = f"checkpoint in {run.folder}"
        raise DamagedCheckpoint(where, got=problem, expected="the scores of a run") from None
