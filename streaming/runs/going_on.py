"""``dendrostream run --from RUN``: a new run that starts with the learner of another run.

The learner is loaded from the checkpoint of the other run with its whole state: weights,
velocities, scaling, and the sample count that determines the decay of the learning rate. The new
run has its own folder. The folder of the other run is only read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.numpy

from rate_models.errors import BadOption, MissingData
from rate_models.model.hyperparameters import unknown
from streaming.files import checkpoint
from streaming.learner.labels import listed
from streaming.learner.learner import OnlineLearner
from streaming.options import RunOptions
from streaming.records import option_of
from streaming.runs.config import BY_SETTING, RunConfig, sample_counts
from streaming.runs.lineage import Lineage
from streaming.runs.run import Hooks, run
from streaming.runs.summary import Summary
from streaming.sources import LiveSource, Source, content
from streaming.table_options import TableOptions

_OPTIONS = option_of(RunOptions)
# Options that define the learner. A run that goes on cannot change them.
FIXED = tuple(name for name, option in _OPTIONS.items() if option.inherited == "fixed")
# Options that are not inherited.
FRESH = tuple(name for name, option in _OPTIONS.items() if option.inherited == "fresh")


def go_on(
    parent: Path, given: Mapping[str, Any], out: Path | None = None, hooks: Hooks | None = None
) -> Summary:
    """Go on with the learner of the run in ``parent``, in a new run; returns its summary.

    given: fields of `RunConfig` to set: ``source`` (default: the same one), ``epochs`` (default 1),
    the conditions to stop, ``lr``, what is recorded and how often, and ``settings`` that
    `OnlineLearner.set` accepts. All other options are inherited.
    Raises BadOption for an option that cannot change, or if the source does not fit the learner;
    MissingData and DamagedCheckpoint if ``parent`` holds no run.
    """
    hooks = hooks or Hooks()
    before = _config(parent)
    arrays, meta = checkpoint.read(parent / "checkpoint")
    learner = OnlineLearner.load(parent / "checkpoint")
    settings = dict(given.get("settings") or {})
    for name in (*FIXED, *BY_SETTING):
        if name in given or name in settings:
            raise BadOption(
                f"--{name.replace('_', '-')}" if name in given else f"--set {name}",
                got="beside --from",
                expected="the learner as it is, with its network, rule and seed",
                remedy="leave it out, or start a new run",
            )
    lineage = Lineage(
        parent=str(parent.absolute()),
        samples_seen=learner.samples_seen,
        sha256=hashlib.sha256(safetensors.numpy.save(arrays)).hexdigest(),
        classes=learner.classes,
    )
    config = _inherited(before, given, lineage)
    source = config.open()
    state = meta.get("run", {})
    _check_features(source, learner, state, lineage)
    again = not isinstance(source, LiveSource) and source.name == before.source
    if again and content(source.name, source) == state.get("content"):
        passed = state["epoch"] + bool(state["index"])
        epoch = passed + (before.lineage.epoch if before.lineage else 0)
        config = config.model_copy(update={"lineage": lineage.model_copy(update={"epoch": epoch})})
        source = config.open()
    config = _settled(config, settings, source, learner, "lr" in given)
    learner.skipped = 0
    hooks.notify(
        f"going on from {parent}: {learner.samples_seen:,} samples learned, "
        f"lr {learner.network.optimizer.rate(learner.samples_seen):g}"
    )
    return run(config, out, hooks, begun=(source, learner))


def _config(parent: Path) -> RunConfig:
    path = parent / "config.json"
    if not path.is_file():
        raise MissingData(
            "--from",
            got=f"no {path}",
            expected="the folder of a run",
            remedy="load a learner that was saved from Python by OnlineLearner.load(FOLDER)",
        )
    return RunConfig.read(path)


def _inherited(before: RunConfig, given: Mapping[str, Any], lineage: Lineage) -> RunConfig:
    """The configuration of the earlier run, updated by the given options."""
    kept = before.model_dump(exclude={*FRESH, "lineage"})
    if str(given.get("source", before.source)).partition(":")[0] != before.source.partition(":")[0]:
        kept = {k: v for k, v in kept.items() if k not in TableOptions.model_fields}
    fields = {name: value for name, value in given.items() if name != "settings"}
    options = {**kept, "epochs": 1, **{k: v for k, v in fields.items() if v is not None}}
    return RunConfig.checked(**options, lineage=lineage)


def _check_features(
    source: Source, learner: OnlineLearner, state: Mapping[str, Any], lineage: Lineage
) -> None:
    """Raise BadOption if the samples do not have the form of those learned so far."""
    where = f"--source {source.name}"
    if source.n_features != learner.sizes[0]:
        expected = f"{learner.sizes[0]}, as {lineage.parent} has"
        raise BadOption(where, got=f"{source.n_features} features", expected=expected)
    outputs = source.n_outputs
    if learner.classes is None and outputs != learner.sizes[-1]:
        expected = f"{learner.sizes[-1]}, as {lineage.parent} has"
        raise BadOption(where, got=f"{outputs} numbers to predict", expected=expected)
    names, known = list(source.feature_names), list(state.get("features", ()))
    if names and known and names != known:
        order = "in another order" if sorted(names) == sorted(known) else "of other names"
        raise BadOption(
            where,
            got=f"columns {order}: {listed(names)}",
            expected=listed(known),
            remedy="put the columns in this order, under these names",
        )
    scale, maximum = learner.scale, learner.maximum
    if scale == source.scale == "range" and source.maximum != maximum:
        raise BadOption(
            where,
            got=f"numbers up to {source.maximum:g}",
            expected=f"up to {maximum:g}, by which the learner divides",
        )


def _settled(
    config: RunConfig,
    settings: dict[str, Any],
    source: Source,
    learner: OnlineLearner,
    new_rate: bool,
) -> RunConfig:
    """Apply ``settings`` to ``learner``; returns the completed configuration.

    A new learning rate takes effect immediately, so decays before this sample are removed.
    """
    seen = learner.samples_seen
    passed = [at for at in learner.network.optimizer.decay_at if at <= seen]
    if "decay_epochs" in settings:
        ahead = sample_counts(settings.pop("decay_epochs"), source)
        settings["decay_at"] = passed + [seen + at for at in ahead]
    known = learner.network.options
    for name in settings:
        if name not in known:
            raise unknown(name, list(known))
    if new_rate:
        counts = settings.get("decay_at", learner.network.optimizer.decay_at)
        settings["decay_at"] = [at for at in counts if at > seen]
        settings["lr"] = config.lr
    if settings:
        learner.set(**settings)
    settings.pop("lr", None)
    filled = {
        "source": source.name,
        "data": config.data and config.data.absolute(),
        "settings": {**config.settings, **settings},
    }
    return config.model_copy(update=filled)
