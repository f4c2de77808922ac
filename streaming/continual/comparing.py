"""Runs all rules on all streams, sample by sample, each predicted before it is learned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from rate_models import rules as catalogue
from rate_models.errors import BadOption, Diverged, MissingExtra
from streaming.continual.streams import Stream, streams
from streaming.learner.learner import OnlineLearner
from streaming.runs.config import RunConfig
from streaming.samples.task_sequence import TaskSequence
from streaming.scores import continual
from streaming.scores.adapting import FRACTION, WINDOW
from streaming.scores.drift_detector import DriftDetector
from streaming.scores.evaluate import held_out

CONTROL = "hidden layer frozen"  # the readout alone learns
DETECTORS = ("adwin", "page_hinkley")
Result = dict[str, Any]
Progress = Callable[[str, int, int], None]


class Plan(NamedTuple):
    """What is compared. data, download: of the source, as options of a run."""

    source: str = "digits"
    samples: int = 16_000
    hidden: tuple[int, ...] = (32,)
    rules: tuple[str, ...] = ()
    seeds: int = 3
    data: Path | None = None
    download: bool = False


class Outcome(NamedTuple):
    """A rule on a stream with one seed.

    hits (n,): whether each prediction was right. drifts: samples where the stream drifts. R
    (periods, tasks): held-out accuracy after each period, empty if nothing is held out; before
    (tasks,): of the network before it learned.
    """

    hits: NDArray[np.bool_]
    drifts: tuple[int, ...]
    R: NDArray[np.float64]
    before: NDArray[np.float64]


def compare(plan: Plan, progress: Progress = lambda what, done, total: None) -> Result:
    """Run every rule of the plan, and the control, on every stream; returns numbers for JSON.

    Raises UnknownName and BadOption, and the errors of the source.
    """
    names = (*(plan.rules or catalogue.names()), CONTROL)
    for name in names[:-1]:
        catalogue.get(name)
    if plan.seeds < 1:
        raise BadOption("--seeds", got=plan.seeds, expected="at least 1")
    every = streams(plan.source, plan.samples)
    inputs, outputs = _checked_sources(plan, every)
    total, done = len(every) * len(names) * plan.seeds, 0
    rows = []
    for name in names:  # kernels of a rule are compiled once, so all its streams follow
        for stream in every:
            outcomes = []
            for seed in range(plan.seeds):
                progress(f"{name}, {stream.name}", done, total)
                outcomes.append(learned(plan, stream, name, seed))
                done += 1
            rows.append({"rule": name, "stream": stream.name, **scores(stream, outcomes)})
    progress("", total, total)
    return {
        "source": plan.source, "samples": plan.samples,
        "sizes": [inputs, *plan.hidden, outputs], "seeds": plan.seeds,
        "window": WINDOW, "fraction": FRACTION,
        "streams": [stream._asdict() for stream in every], "rows": rows,
    }  # fmt: skip


def _checked_sources(plan: Plan, every: Sequence[Stream]) -> tuple[int, int]:
    """Open all streams before the first is learned; the numbers of their inputs and classes.

    Raises BadOption for one that is unfit.
    """
    for stream in every:
        source = _config(plan, stream, "pepita", 0).open()
        if stream.samples is not None and stream.samples < 8 * WINDOW:
            raise BadOption("--samples", got=stream.samples, expected=f"at least {8 * WINDOW}")
        if source.classes is None:
            raise BadOption("--source", got=f"{plan.source}, which has numbers to predict",
                            expected="a source of classes")  # fmt: skip
    return source.n_features, source.outputs


def _config(plan: Plan, stream: Stream, name: str, seed: int) -> RunConfig:
    control: dict[str, Any] = {"rule": "pepita", "settings": {"feedback_scale": 0.0}}
    return RunConfig.checked(
        source=stream.source, hidden=plan.hidden, seed=seed, data=plan.data,
        download=plan.download, **(control if name == CONTROL else {"rule": name}),
    )  # fmt: skip


def learned(plan: Plan, stream: Stream, name: str, seed: int) -> Outcome:
    """Learn a stream with the default options of a rule."""
    config = _config(plan, stream, name, seed)
    source = cast(TaskSequence, config.open())
    learner = config.resolved(source).learner(source)
    n = stream.samples or source.length or 0
    drifts = tuple(source.drifts(n))
    hits, before = list[NDArray[np.bool_]](), tested(learner, source)
    periods = list[NDArray[np.float64]]()
    ends = iter((*drifts, n))
    end, at = next(ends), 0
    for X, y in _samples(source, n):
        while len(y):
            m = min(len(y), end - at)
            hits.append(_right(learner, X[:m], y[:m]))
            X, y, at = X[m:], y[m:], at + m
            if at == end:
                periods.append(tested(learner, source))
                end = next(ends, n)
    return Outcome(np.concatenate(hits), drifts, np.array(periods), before)


def _right(learner: OnlineLearner, X: Any, y: Any) -> NDArray[np.bool_]:
    """Learn, and return whether the predictions before were right; False once it has diverged."""
    try:
        scored = learner.learn_scored(X, y)
    except Diverged:
        return np.zeros(len(y), np.bool_)
    return np.asarray(scored.true == scored.predicted)


def _samples(source: TaskSequence, n: int) -> Iterator[tuple[Any, Any]]:
    """The first n samples of the stream, over as many epochs as needed."""
    epoch, left = 0, n
    while left:
        for X, y in source.chunks(epoch):
            X, y = X[:left], y[:left]
            left -= len(y)
            yield X, y
            if not left:
                return
        epoch += 1


def tested(learner: OnlineLearner, source: TaskSequence) -> NDArray[np.float64]:
    """The held-out accuracy on each task, (tasks,); empty if nothing is held out."""
    chunks = [source.held_out(task) for task in range(source.n_tasks)]
    some = [held_out(learner, one)["accuracy"] for one in chunks if one is not None]
    return np.array(some, np.float64)


def scores(stream: Stream, outcomes: Sequence[Outcome]) -> Result:
    """The scores of a rule on a stream, a list entry per seed.

    accuracy: of the whole stream. curve: in windows, mean of the seeds. lowest: the lowest window
    from the first drift on. recovery: see `recoveries`. transfer: see `transfer`. detected: see
    `detections`.
    """
    curves = [_in_windows(one.hits) for one in outcomes]
    result: Result = {
        "accuracy": [round(float(one.hits.mean()), 4) for one in outcomes],
        "curve": np.mean(curves, axis=0).round(4).tolist(),
        "drifts": list(outcomes[0].drifts),
        "lowest": [
            round(float(curve[one.drifts[0] // WINDOW :].min()), 4)
            for one, curve in zip(outcomes, curves, strict=True)
        ],
    }
    if stream.recovers:
        result["recovery"] = [recoveries(one) for one in outcomes]
    if stream.transfers and all(one.R.size for one in outcomes):
        result["transfer"] = [transfer(one) for one in outcomes]
    if stream.name == "abrupt":
        result["detected"] = detections(outcomes)
    return result


def _in_windows(hits: NDArray[np.bool_]) -> NDArray[np.float64]:
    whole = len(hits) - len(hits) % WINDOW
    return np.asarray(hits[:whole].reshape(-1, WINDOW).mean(axis=1))


def recoveries(one: Outcome) -> list[int | None]:
    """Recovery time of each drift, None if there was none before the next drift."""
    ends = (*one.drifts[1:], len(one.hits))
    return [
        continual.recovery_time(one.hits, at, end, WINDOW, FRACTION)
        for at, end in zip(one.drifts, ends, strict=True)
    ]


def transfer(one: Outcome) -> dict[str, float]:
    """Final accuracy, backward and forward transfer and forgetting of held-out tasks."""
    values = {
        "accuracy": continual.average_accuracy(one.R),
        "backward": continual.backward_transfer(one.R),
        "forward": continual.forward_transfer(one.R, one.before),
        "forgetting": continual.average_forgetting(one.R),
        "learned": float(np.diag(one.R).mean()),
    }
    return {name: round(value, 4) for name, value in values.items()}


def detections(outcomes: Sequence[Outcome]) -> Result:
    """{detector: {delays, false}}: samples from each drift to its detection (None: missed) in all
    seeds, and the number of other detections. Empty without river."""
    result: Result = {}
    for name in DETECTORS:
        delays, false = list[int | None](), 0
        for one in outcomes:
            try:
                detector = DriftDetector(name)
            except MissingExtra:
                return {}
            detector.update(~one.hits)
            ends = (*one.drifts[1:], len(one.hits))
            own = [[d - at for d in detector.detected if at < d <= end]
                   for at, end in zip(one.drifts, ends, strict=True)]  # fmt: skip
            delays += [some[0] if some else None for some in own]
            false += len(detector.detected) - sum(1 for some in own if some)
        result[name] = {"delays": delays, "false": false}
    return result
