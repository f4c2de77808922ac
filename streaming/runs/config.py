"""What a run is told to do: checked at the door, written to ``config.json``, fixed from then on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveInt, ValidationError
from pydantic_core import PydanticCustomError

from rate_models.errors import BadOption, DamagedCheckpoint, MissingData, quoted
from rate_models.support.arguments import elements
from streaming.learner import realisation
from streaming.learner.learner import OnlineLearner
from streaming.runs import defaults
from streaming.runs.lineage import Continued, Lineage
from streaming.samples.input_target import InputTarget, factor_of
from streaming.samples.retargeted import NumberTarget
from streaming.sources import TABLE, Options, Source, open_source
from streaming.tables.columns import listed

# What an option is when neither the person nor the source says; the rate, activation, loss and
# scaling come from the rule: see `streaming.runs.defaults`.
# `decay_after` are fractions of the run after which the learning rate is multiplied by
# `decay_factor`; sources of a known length turn them into sample counts.
DEFAULTS: Mapping[str, Any] = {"hidden": (256,), "epochs": 1, "decay_after": ()}

# Said by an option or by the source, so `--set` would say them a second time.
_NOT_BY_SET = (
    "rule",
    "circuit",
    "schedule",
    "workers",
    "batch",
    "sizes",
    "lr",
    "seed",
    "dtype",
    "scale",
    "on_bad",
    "task",
    "classes",
    "maximum",
)


Count = Annotated[int, Field(gt=0, lt=2**63)]


def _sizes(value: Any) -> Any:
    """The text 256,128 as sizes; one number as one size."""
    if isinstance(value, int):
        return (value,)
    try:
        return parse_sizes(value) if isinstance(value, str) else _listed("hidden", value)
    except BadOption:
        raise PydanticCustomError("sizes", "Input should be sizes, e.g. 256,128") from None


def _columns(value: Any) -> Any:
    """The text time,id as two names of columns."""
    return listed(value) if isinstance(value, str) else _listed("drop", value)


def _names(value: Any) -> Any:
    """A text as one name."""
    return (value,) if isinstance(value, str) else _listed("record", value)


def _ascii(value: Any) -> str:
    try:
        return ascii(value)
    except Exception:  # whatever a foreign object raises; what it is not is found out later
        return ""


def _listed(what: str, value: Any) -> Any:
    """A sequence as a tuple, as pydantic would read one without end; anything else as it is."""
    if value is None or isinstance(value, float):
        return value
    return elements(f"--{what}", value, "a list")


class RunConfig(BaseModel):
    """Everything that decides what a run computes.

    ``None`` for ``hidden``, ``epochs``, ``lr`` and ``scale`` means: as suits rule and source; for
    ``rule`` and ``dtype``: pepita and float32, or what the ``circuit`` has.
    ``samples``, ``seconds`` (of streaming) and ``accuracy`` (windowed, in 0..1, looked at
    whenever a metrics line is written) end a run early. ``interval`` and ``save_every`` are the
    stream samples between metrics lines and between checkpoints. ``record`` names diagnostics to be
    written with every metrics line. ``target``: what is learned, the source's labels or its
    input. ``task``: whether labels are numbers to predict or classes; None: what the source tells
    or guesses. ``label`` to ``stratify`` are options of tables, see `streaming.sources.Options`.
    ``schedule``, ``workers``, ``batch`` (samples per update): see
    `streaming.threads.network`.
    ``settings`` holds hyperparameters of rule, network and optimiser, and settings of the circuit.
    ``lineage``: the run that this one goes on from, see `streaming.runs.going_on`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    source: str = "digits"
    rule: str | None = None
    circuit: str | None = None
    hidden: Annotated[tuple[PositiveInt, ...] | None, BeforeValidator(_sizes)] = None
    epochs: Count | None = None
    lr: float | None = Field(default=None, gt=0)
    seed: int = Field(default=0, ge=0)
    dtype: Literal["float32", "float64"] | None = None
    schedule: str = "sequential"
    workers: PositiveInt = 1
    batch: PositiveInt = 1
    target: Literal["label", "input"] = "label"
    task: Literal["regression", "classification"] | None = None
    scale: Literal["none", "range", "running", "global"] | None = None
    data: Path | None = None
    download: bool = False
    samples: Count | None = None
    seconds: float | None = Field(default=None, gt=0)
    accuracy: float | None = Field(default=None, gt=0, le=1)
    interval: Count = 500
    save_every: Count = 10_000
    on_bad: Literal["raise", "skip"] = "raise"
    label: str | None = None
    drop: Annotated[tuple[str, ...], BeforeValidator(_columns)] = ()
    sep: str | None = None
    decimal: Literal[".", ","] = "."
    encoding: str | None = None
    header: bool = True
    missing: Literal["raise", "skip", "mean", "last", "zero"] = "raise"
    missing_indicator: bool = False
    held_out: float = Field(default=0.0, ge=0, lt=1)
    stratify: bool = False
    record: Annotated[tuple[str, ...], BeforeValidator(_names)] = ()
    settings: dict[str, Any] = {}
    lineage: Lineage | None = None

    @classmethod
    def checked(cls, **options: Any) -> Self:
        """The configuration; ``None`` stands for an option that was not given.

        >>> RunConfig.checked(epochs=0)
        Traceback (most recent call last):
        rate_models.errors.BadOption: --epochs: got 0; expected greater than 0
        """
        for name, value in options.items():
            if "\\udc" in _ascii(value):  # bytes outside the encoding: config.json has none such
                raise BadOption(
                    f"--{name.replace('_', '-')}",
                    got=_ascii(value),
                    expected="a name in the encoding of this terminal",
                    remedy="set LC_ALL=C.UTF-8, or give the file another name",
                )
        try:
            return cls(**{name: value for name, value in options.items() if value is not None})
        except ValidationError as invalid:
            error = invalid.errors()[0]
            got = error["input"]
            raise BadOption(
                "--" + str(error["loc"][0]).replace("_", "-"),
                got=got if isinstance(got, str | int) else quoted(got),
                expected=error["msg"].removeprefix("Input should be "),
            ) from None

    @classmethod
    def read(cls, path: Path) -> Self:
        """The configuration of a run that was started before."""
        try:
            config = cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            raise MissingData("--resume", got=f"no {path}", expected="a run's folder") from None
        except (OSError, ValidationError) as error:
            raise DamagedCheckpoint(str(path), got=str(error).splitlines()[0]) from None
        if config.source.startswith("csv:") and "held_out" not in config.model_fields_set:
            got, expected = "a run of version 0.1.0, which held out other rows", "a later one"
            raise BadOption("--resume", got=got, expected=expected, remedy="start a new run")
        if config.task is None:
            # before there were tasks, learners scaled no targets: the source did
            settings = {"target_scale": "none"} | config.settings
            config = config.model_copy(update={"settings": settings})
        return config

    def open(self) -> Source:
        """The source, opened."""
        source = self._open()
        return source if self.lineage is None else cast(Source, Continued(source, self.lineage))

    def _open(self) -> Source:
        table = {name: getattr(self, name) for name in TABLE}
        given = Options(self.data, self.download, self.seed, self.on_bad, **table)
        if self.target == "input":
            source = open_source(self.source, given)
            if self.task == "classification":
                raise BadOption("--task", got="classification with --target input",
                                expected="regression, as the target is numbers")  # fmt: skip
            learner_scales = self.settings.get("target_scale") != "none"
            kind = defaults.scale_of(self, source)
            return InputTarget(source, 1.0 if learner_scales else factor_of(source, kind))
        asked = replace(given, task=self.task, loss=self.settings.get("loss"))
        source = open_source(self.source, asked)
        if self.task == "regression" and source.classes is not None:
            return NumberTarget(source)
        if self.task == "classification" and source.classes is None:
            raise BadOption("--task", got="classification", expected="regression, which the "
                            f"source {source.name} is")  # fmt: skip
        return source

    def learner(self, source: Source) -> OnlineLearner:
        """A learner that has seen nothing; of a configuration that is `resolved`."""
        assert self.hidden is not None and self.scale is not None and self.dtype is not None
        for name in filter(not_by_set, self.settings):
            raise BadOption("settings", got=f"{name} among them", expected=f"the option {name}")
        outputs = source.outputs
        return OnlineLearner(
            rule=self.rule,
            circuit=self.circuit,
            schedule=self.schedule,
            workers=self.workers,
            batch=self.batch,
            sizes=(source.n_features, *self.hidden, outputs),
            lr=self.lr,
            seed=self.seed,
            dtype=self.dtype,
            classes=source.classes,
            scale=self.scale,
            maximum=source.maximum,
            on_bad=self.on_bad,
            **self.settings,
        )

    def resolved(self, source: Source) -> RunConfig:
        """This configuration with everything that rule and source decide filled in.

        ``lr`` stays None where only learning can tell the size of the input.
        """
        defaults.check_task(self, source)
        own = {**DEFAULTS, **source.defaults}
        definition = realisation.rule_of(self.rule, self.circuit)
        epochs = self.epochs or own["epochs"]
        scale = defaults.scale_of(self, source)
        settings = {k: v for k, v in own.items() if k not in (*DEFAULTS, "lr")} | self.settings
        settings.setdefault("loss", definition.loss if source.classes else "mse")
        settings.setdefault("activation", definition.defaults.activation)
        if settings["activation"] is None:
            raise BadOption("activation", got=None, expected="a name, or one a hidden layer")
        if source.classes is None:
            settings.setdefault("target_scale", _target_scale(scale, self.target))
        if "decay_at" not in settings:
            after = settings.pop("decay_epochs", [f * epochs for f in own["decay_after"]])
            settings["decay_at"] = sample_counts(after, source)
        filled = {
            "source": source.name,
            **realisation.named(definition, self.circuit),
            "dtype": self.dtype or ("float64" if self.circuit else "float32"),
            "hidden": own["hidden"] if self.hidden is None else self.hidden,
            "epochs": epochs,
            "lr": self.lr or own.get("lr"),
            "scale": scale,
            "task": "regression" if source.classes is None else "classification",
            "data": self.data and self.data.absolute(),
            "settings": settings,
        }
        config = self.model_copy(update=filled)
        if config.lr is None and (found := defaults.options(config, source)):
            filled = {"lr": found.pop("lr"), "settings": found | settings}
            config = config.model_copy(update=filled)
        return config


def _target_scale(scale: str, target: str) -> str:
    """How the targets of a regression are scaled, for inputs scaled by ``scale``.

    An autoencoder learns its input scaled as it is, but for the range of pixels: around their own
    mean the targets do not drive all hidden units the same way, where many rectifiers fall silent.
    With 784-256-784 on 15,000 digits of MNIST backpropagation explains 0.79 of the variance so, and
    0.25 around zero (lr 0.0003); feedback alignment 0.77 and 0.20, pepita 0.69 and 0.23.
    """
    if target == "label":
        return "running"
    return "global" if scale == "range" else scale


def sample_counts(epochs: Any, source: Source) -> list[int]:
    """Sample counts at which ``epochs`` (a number or several) are over."""
    try:
        several = [float(e) for e in (epochs if isinstance(epochs, list | tuple) else [epochs])]
        if not all(abs(e) * (source.length or 1) < 2**63 for e in several):
            raise ValueError
    except Exception:  # whatever a foreign object raises when asked to be a number
        got = quoted(epochs)
        raise BadOption("decay_epochs", got=got, expected="numbers: [8, 12]") from None
    if several and source.length is None:
        raise BadOption(
            "decay_epochs",
            got=epochs,
            expected=f"nothing, since {source.name} does not know its length",
            remedy="give sample counts instead: --set decay_at=[10000]",
        )
    return [round(e * (source.length or 0)) for e in several]


def parse_settings(items: Iterable[str]) -> dict[str, Any]:
    """``name=value`` texts as a dict; what a value is, `parse_value` says.

    >>> parse_settings(["momentum=0.9", "decay_at=[10, 20]", "activation=tanh"])
    {'momentum': 0.9, 'decay_at': [10, 20], 'activation': 'tanh'}
    """
    settings: dict[str, Any] = {}
    for item in items:
        name, equals, text = item.partition("=")
        if not (name and equals):
            raise BadOption("--set", got=item, expected="name=value, e.g. --set momentum=0.9")
        if not_by_set(name):
            raise BadOption("--set", got=item, remedy=f"use the option --{name} if there is one")
        try:
            settings[name] = parse_value(text)
        except RecursionError:
            expected = "a value, or a list of values"
            raise BadOption("--set", got=quoted(item), expected=expected) from None
    return settings


def not_by_set(name: str) -> bool:
    """Whether this is said by an option or by the source, and no hyperparameter."""
    return name in _NOT_BY_SET


def parse_value(text: str) -> Any:
    """JSON if the text can be read so, else the text.

    >>> parse_value("0.9"), parse_value("[10, 20]"), parse_value("tanh")
    (0.9, [10, 20], 'tanh')
    """
    try:
        return json.loads(text)
    except ValueError:
        return text


def parse_sizes(text: str, option: str = "--hidden") -> list[int]:
    """
    >>> parse_sizes("256,128")
    [256, 128]
    """
    try:
        return [int(size) for size in text.split(",")]
    except ValueError:
        raise BadOption(option, got=quoted(text), expected="sizes, e.g. 256,128") from None
