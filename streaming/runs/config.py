"""What a run computes: checked when it is asked for, kept in ``config.json``, then fixed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self, cast

from pydantic import ValidationError

from rate_models.errors import BadOption, DamagedCheckpoint, MissingData, quoted
from streaming.learner import realisation
from streaming.learner.learner import ARGUMENTS, OnlineLearner
from streaming.options import RunOptions
from streaming.runs import defaults
from streaming.runs.lineage import Continued, Lineage
from streaming.samples.input_target import InputTarget, factor_of
from streaming.samples.retargeted import NumberTarget
from streaming.sources import Options, Source, open_source

# What an option is when neither the person nor the source says; the rate, activation, loss and
# scaling come from the rule: see `streaming.runs.defaults`.
# `decay_after` are fractions of the run after which the learning rate is multiplied by
# `decay_factor`; sources of a known length turn them into sample counts.
DEFAULTS: Mapping[str, Any] = {"hidden": (256,), "epochs": 1, "decay_after": ()}


class FromSource(NamedTuple):
    """Arguments of the learner that no option gives, since the source decides them."""

    sizes: tuple[int, ...]
    classes: tuple[Any, ...] | None
    maximum: float


# Arguments of the learner that options of the run give, and those that `settings` can give.
BY_OPTION = tuple(name for name in ARGUMENTS if name in RunOptions.model_fields)
BY_SETTING = tuple(name for name in ARGUMENTS if name not in (*BY_OPTION, *FromSource._fields))


class RunConfig(RunOptions):
    """Everything that decides what a run computes: its options, and what it goes on from.

    ``lineage``: the run that this one goes on from, see `streaming.runs.going_on`.
    """

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
        return cls(**{name: value for name, value in options.items() if value is not None})

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
        if self.target == "input":
            source = open_source(self.source, self._asked(task=None))
            if self.task == "classification":
                raise BadOption("--task", got="classification with --target input",
                                expected="regression, as the target is numbers")  # fmt: skip
            learner_scales = self.settings.get("target_scale") != "none"
            kind = defaults.scale_of(self, source)
            return InputTarget(source, 1.0 if learner_scales else factor_of(source, kind))
        source = open_source(self.source, self._asked())
        if self.task == "regression" and source.classes is not None:
            return NumberTarget(source)
        if self.task == "classification" and source.classes is None:
            raise BadOption("--task", got="classification", expected="regression, which the "
                            f"source {source.name} is")  # fmt: skip
        return source

    def _asked(self, **more: Any) -> Options:
        """What the source is asked for."""
        fields = {name: getattr(self, name) for name in Options.model_fields if name != "loss"}
        loss = self.settings.get("loss")  # where it is no name, the learner refuses it
        return Options(**{**fields, "loss": loss if isinstance(loss, str) else None, **more})

    def opening(self) -> str:
        """What decides which samples `open` gives, but for their order; as text."""
        scale = None
        if self.target == "input":
            scale = self.scale, self.rule, self.circuit, self.settings.get("target_scale")
        asked = self._asked().model_dump(exclude={"seed"})
        return repr((self.source, self.target, asked, scale))

    def learner(self, source: Source) -> OnlineLearner:
        """A learner that has seen nothing; of a configuration that is `resolved`."""
        assert self.hidden is not None and self.scale is not None and self.dtype is not None
        for name in filter(not_by_set, self.settings):
            raise BadOption("settings", got=f"{name} among them", expected=f"the option {name}")
        sizes = (source.n_features, *self.hidden, source.outputs)
        found = FromSource(sizes, source.classes, source.maximum)._asdict()
        asked = {name: getattr(self, name) for name in BY_OPTION}
        return OnlineLearner(**asked, **found, **self.settings)

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


def _ascii(value: Any) -> str:
    try:
        return ascii(value)
    except Exception:  # whatever a foreign object raises; what it is not is found out later
        return ""


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
    return name in (*BY_OPTION, *FromSource._fields)


def parse_value(text: str) -> Any:
    """JSON if the text can be read so, else the text.

    >>> parse_value("0.9"), parse_value("[10, 20]"), parse_value("tanh")
    (0.9, [10, 20], 'tanh')
    """
    try:
        return json.loads(text)
    except ValueError:
        return text
