"""The configuration of a run: validated on creation, written to ``config.json``, then fixed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self, cast

from pydantic import ValidationError

from rate_models.errors import BadOption, DamagedCheckpoint, MissingData, quoted
from streaming import signals, sources
from streaming.learner import implementation
from streaming.learner.learner import ARGUMENTS, OnlineLearner
from streaming.options import RunOptions
from streaming.runs import defaults
from streaming.runs.lineage import Continued, Lineage
from streaming.samples.input_target import InputTarget, factor_of
from streaming.samples.retargeted import NumberTarget
from streaming.sources import LiveSource, Options, Source, open_source
from streaming.table_options import TableOptions

# Defaults of options that neither the user nor the source sets. The defaults of rate, activation,
# loss and scaling come from the rule: see `streaming.runs.defaults`.
# `decay_after` has the fractions of the run after which the learning rate is multiplied by
# `decay_factor`. They are converted to sample counts, which needs a source of known length.
DEFAULTS: Mapping[str, Any] = {"hidden": (256,), "epochs": 1, "decay_after": ()}
AT_FIRST = 2  # output units of a learner whose classes grow


class FromSource(NamedTuple):
    """Arguments of the learner that are set by the source, not by an option."""

    sizes: tuple[int, ...]
    classes: tuple[Any, ...] | str | None
    maximum: float


# Arguments of the learner set by options of the run, and those that `settings` can set. What fills
# the missing cells of a table is the source, not the learner.
BY_OPTION = tuple(
    name
    for name in ARGUMENTS
    if name in RunOptions.model_fields and name not in TableOptions.model_fields
)
BY_SETTING = tuple(name for name in ARGUMENTS if name not in (*BY_OPTION, *FromSource._fields))


class RunConfig(RunOptions):
    """Everything that determines the results of a run: its options and its origin.

    ``lineage``: the run that this one goes on from; see `streaming.runs.going_on`.
    """

    lineage: Lineage | None = None

    @classmethod
    def checked(cls, **options: Any) -> Self:
        """A validated configuration. An option that is ``None`` counts as not given.

        >>> RunConfig.checked(epochs=0)
        Traceback (most recent call last):
        rate_models.errors.BadOption: --epochs: got 0; expected greater than 0
        """
        for name, value in options.items():
            if "\\udc" in _ascii(value):  # bytes outside the encoding cannot go to config.json
                raise BadOption(
                    f"--{name.replace('_', '-')}",
                    got=_ascii(value),
                    expected="a name in the encoding of this terminal",
                    remedy="set LC_ALL=C.UTF-8, or give the file another name",
                )
        return cls(**{name: value for name, value in options.items() if value is not None})

    @classmethod
    def read(cls, path: Path) -> Self:
        """The configuration of an existing run, from its ``config.json``.

        Raises MissingData, DamagedCheckpoint, and BadOption for a run of an old version.
        """
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
            # written before the option task existed: then sources scaled targets, not learners
            settings = {"target_scale": "none"} | config.settings
            config = config.model_copy(update={"settings": settings})
        return config

    def open(self) -> Source:
        """Open the source."""
        source = self._open()
        if self.lineage is None or isinstance(source, LiveSource):
            return source
        return cast(Source, Continued(source, self.lineage, self.classes == "grow"))

    def _open(self) -> Source:
        if sources.get(self.source).live:
            return self._open_live()
        if self.target == "input":
            source = open_source(self.source, self._source_options(task=None))
            if self.task == "classification":
                raise BadOption("--task", got="classification with --target input",
                                expected="regression, as the target is numbers")  # fmt: skip
            learner_scales = self.settings.get("target_scale") != "none"
            kind = defaults.scale_of(self, source)
            return InputTarget(source, 1.0 if learner_scales else factor_of(source, kind))
        source = open_source(self.source, self._source_options())
        if self.task == "regression" and source.classes is not None:
            return NumberTarget(source)
        if self.task == "classification" and source.classes is None:
            raise BadOption("--task", got="classification", expected="regression, which the "
                            f"source {source.name} is")  # fmt: skip
        return source

    def _open_live(self) -> Source:
        """Open a live source. A learner of an earlier run decides on the labels."""
        if self.target == "input" or (self.epochs or 1) > 1:
            option = "--epochs" if self.target == "label" else "--target"
            raise BadOption(option, got=f"{self.epochs or 'input'} beside {self.source}",
                            expected="a stream that is read once, and its labels")  # fmt: skip
        labels = self.labels
        if self.lineage is not None and self.classes != "grow":
            known = self.lineage.classes
            if odd := [label for label in labels or () if label not in (known or ())]:
                raise BadOption("--labels", got=f"{odd[0]!r} beside --from", remedy="leave it out",
                                expected=f"labels of {self.lineage.parent}")  # fmt: skip
            labels = known
        return open_source(self.source, self._source_options(labels=labels))

    def _source_options(self, **more: Any) -> Options:
        """The options of the source."""
        fields = {name: getattr(self, name) for name in Options.model_fields if name != "loss"}
        loss = self.settings.get("loss")  # where it is no name, the learner refuses it
        return Options(**{**fields, "loss": loss if isinstance(loss, str) else None, **more})

    def opening(self) -> str:
        """A text that identifies the samples that `open` gives, apart from their order."""
        scale = None
        if self.target == "input":
            scale = self.scale, self.rule, self.circuit, self.settings.get("target_scale")
        options = self._source_options().model_dump(exclude={"seed"})
        return repr((self.source, self.target, options, scale))

    def learner(self, source: Source) -> OnlineLearner:
        """A new learner. The configuration has to be `resolved`."""
        assert self.hidden is not None and self.scale is not None and self.dtype is not None
        for name in filter(not_by_set, self.settings):
            raise BadOption("settings", got=f"{name} among them", expected=f"the option {name}")
        grows = self.classes == "grow"
        sizes = (source.n_features, *self.hidden, AT_FIRST if grows else source.outputs)
        classes = "grow" if grows else source.classes
        from_source = FromSource(sizes, classes, source.maximum)._asdict()
        by_option = {name: getattr(self, name) for name in BY_OPTION}
        return OnlineLearner(**{**by_option, **from_source}, **self.settings)

    def resolved(self, source: Source) -> RunConfig:
        """This configuration with the defaults of rule and source filled in.

        ``lr`` stays None if the magnitude of the input is known only while the network learns.
        """
        defaults.check_task(self, source)
        if self.classes == "grow" and source.classes is None:
            raise BadOption("--classes", got="grow, with numbers to learn", expected="labels",
                            remedy="--task classification if the numbers are labels")  # fmt: skip
        own = {**DEFAULTS, **source.defaults}
        definition = implementation.rule_of(self.rule, self.circuit)
        epochs = self.epochs or own["epochs"]
        scale = defaults.scale_of(self, source)
        settings = {k: v for k, v in own.items() if k not in (*DEFAULTS, "lr")} | self.settings
        settings.setdefault("loss", definition.loss if source.classes is not None else "mse")
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
            **implementation.references(definition, self.circuit),
            "dtype": self.dtype or ("float64" if self.circuit else "float32"),
            "hidden": own["hidden"] if self.hidden is None else self.hidden,
            "epochs": epochs,
            "lr": self.lr or own.get("lr"),
            "scale": scale,
            "task": "regression" if source.classes is None else "classification",
            "data": self.data and self.data.absolute(),
            "signal": signals.references(self.signal),
            "labels": (source.classes or None) if isinstance(source, LiveSource) else None,
            "settings": settings,
        }
        config = self.model_copy(update=filled)
        if config.lr is None and (rates := defaults.options(config, source)):
            filled = {"lr": rates.pop("lr"), "settings": rates | settings}
            config = config.model_copy(update=filled)
        return config


def _ascii(value: Any) -> str:
    try:
        return ascii(value)
    except Exception:  # a foreign object can raise anything; it is validated later
        return ""


def _target_scale(scale: str, target: str) -> str:
    """The default scaling of the targets of a regression, for inputs scaled by ``scale``.

    The targets of an autoencoder are scaled as its input. Pixels (scale "range") are the exception:
    their targets are centred by the scaling "global". Targets that are all positive drive all
    hidden units in the same direction, and many rectifiers become silent. With 784-256-784 on
    15,000 digits of MNIST (lr 0.0003) backpropagation explains 0.79 of the variance with centred
    targets and 0.25 without; feedback alignment 0.77 and 0.20, pepita 0.69 and 0.23.
    """
    if target == "label":
        return "running"
    return "global" if scale == "range" else scale


def sample_counts(epochs: Any, source: Source) -> list[int]:
    """The sample counts at which ``epochs`` (a number or a list) end."""
    try:
        several = [float(e) for e in (epochs if isinstance(epochs, list | tuple) else [epochs])]
        if not all(abs(e) * (source.length or 1) < 2**63 for e in several):
            raise ValueError
    except Exception:  # conversion of a foreign object can raise anything
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
    """``name=value`` texts as a dict; `parse_value` converts the values.

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
    """Whether an option or the source sets this name, so that ``--set`` cannot."""
    return name in (*BY_OPTION, *FromSource._fields)


def parse_value(text: str) -> Any:
    """The value of a JSON text; any other text unchanged.

    >>> parse_value("0.9"), parse_value("[10, 20]"), parse_value("tanh")
    (0.9, [10, 20], 'tanh')
    """
    try:
        return json.loads(text)
    except ValueError:
        return text
