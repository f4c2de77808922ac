"""The learner: it takes labels, dicts and raw numbers, and trains a compiled network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rate_models.errors import (
    Diverged,
)
from rate_models.network import NetworkSpec
from rate_models.online.network import OnlineNetwork
from rate_models.rules import Description
from rate_models.support.arguments import check_choice
from streaming.learner import arguments, implementation
from streaming.learner.answers import Answers, largest
from streaming.learner.entry import Checked, EntryChecks
from streaming.learner.following import Following
from streaming.learner.inputs import draws, pair
from streaming.learner.labels import as_array, labels_of
from streaming.learner.stored import Stored
from streaming.samples.missing import of_policy
from streaming.samples.scaling import Scaler
from streaming.samples.target_scaling import TargetScaler, settled
from streaming.samples.task import TASKS
from streaming.scores.metrics import Scored, joined

Array = NDArray[Any]
Draws = Sequence[ArrayLike] | None


class OnlineLearner(Answers, Stored):
    """A network that learns from one sample at a time.

    rule: a name in `rate_models.rules`, the path of a rule's file, or a `Rule`; None: pepita, or
    the rule of the circuit. sizes: n_0, ..., n_L. lr: learning rate; the rule's own rates are
    scaled by it; None takes what suits rule and input, see `learner.following`. seed: of weights,
    feedback, dropout and noise. dtype: float64, float32. loss: cross_entropy, binary_cross_entropy
    or mse; activation: of the hidden layers; None takes the rule's own. output: of the last layer,
    None takes the loss's own. bias: whether biases learn.
    classes: the label of each output unit (text, whole number or boolean), 0, 1, ... when None.
    "grow": labels need not be known; the output units get them in the order in which they appear,
    and then a unit is added for each further one, see `learner.implementation`. Units without a
    label are never predicted; predict_one gives None before the first label.
    features: "grow": the same for features of named samples; absent ones are missing values.
    missing: what is done about NaN, None and absent features: "raise", "skip" the sample, or fill
    in the "mean" so far, the "last" value or "zero". missing_indicator: a second input for every
    feature, 1 where its value is missing; the inputs n_0 are the features, then these.
    task: "regression": y and predictions are vectors (n_L,), the loss is mse and targets are
    scaled as "running". "classification": y are labels. None: ``loss="mse"`` without classes is a
    regression on targets as they are.
    circuit: a name in `biocircuits.circuits`, or the path of a circuit's file, to learn as neurons
    and synapses (in float64), or None. schedule, workers: how samples overlap, in how many threads;
    batch: samples per update: see `streaming.threads.network`.
    scale, maximum: see `samples.scaling`. target_scale: the same for the targets of a regression;
    predictions are in the targets' own units, losses in those of the network: see
    `samples.target_scaling`. on_bad: "raise" on a bad sample, or "skip" and count it. options:
    momentum, weight_decay, decay_at, decay_factor, decay_time, the rule's hyperparameters and a
    circuit's settings.

    A bad sample raises BadSample and changes nothing; learning raises Diverged.
    Several threads may use one learner: they learn one after another, and whoever predicts, reads
    or saves finds the state between two samples.

    >>> learner = OnlineLearner(sizes=(2, 8, 2), classes=("no", "yes"))
    >>> learner.learn_one([0.5, 1.0], "yes")
    >>> learner.learn_one({"a": 0.1, "b": 0.2}, "no")
    >>> learner.predict_one({"b": 1.0, "a": 0.5}) in ("no", "yes"), learner.samples_seen
    (True, 2)
    """

    @arguments.takes_options
    def __init__(
        self,
        /,
        rule: str | Description | None = None,
        sizes: Sequence[int] = (64, 256, 10),
        lr: float | None = None,
        seed: int = 0,
        dtype: str = "float64",
        loss: str | None = None,
        activation: str | tuple[str, ...] | None = None,
        bias: bool = False,
        classes: Sequence[Any] | str | None = None,
        circuit: str | None = None,
        *,
        output: str | None = None,
        schedule: str = "sequential",
        workers: int = 1,
        batch: int = 1,
        scale: str = "none",
        maximum: float = 1.0,
        task: str | None = None,
        target_scale: str | None = None,
        on_bad: str = "raise",
        features: str | None = None,
        missing: str = "raise",
        missing_indicator: bool = False,
        **options: Any,
    ) -> None:
        check_choice("on_bad", on_bad, ("raise", "skip"))
        check_choice("task", task, (None, *TASKS))
        new = {"classes": classes, "features": features}
        grows = {what: implementation.grows(what, given) for what, given in new.items()}
        definition = implementation.rule_of(rule, circuit)
        names = definition.defaults.activation if activation is None else activation
        if loss is None:
            loss = "mse" if task == "regression" else definition.loss
        spec = NetworkSpec(sizes, names, loss, bias, output)  # type: ignore[arg-type]
        if grows["classes"]:
            classes = ()
        regression, target_scale = settled(spec, task, classes, target_scale)
        self._filler, n_features = of_policy(missing, missing_indicator, spec.sizes[0])
        self.missing, self.missing_indicator = missing, bool(missing_indicator)
        options = options if lr is None else {"lr": lr, **options}
        self._network = implementation.build(
            definition, spec, circuit, seed, dtype, options, schedule, workers, batch
        )
        self._compiled_network = self._network if isinstance(self._network, OnlineNetwork) else None
        self.schedule, self.workers, self.batch = schedule, int(workers), int(batch)
        if any(grows.values()):
            implementation.check_growing(self._network, self.schedule, self.batch)
        units = 0 if grows["classes"] else spec.sizes[-1]
        labels = None if regression else labels_of(classes, units)
        self._labels = None if labels is None else as_array(labels)
        self._entry = EntryChecks(
            (n_features, spec.sizes[-1]), labels, dtype, gaps=missing != "raise",
            new_classes=grows["classes"], new_features=grows["features"],
        )  # fmt: skip
        self._plain = missing in ("raise", "skip", "zero") and not missing_indicator
        self._scaler = Scaler(scale, spec.sizes[0], maximum)
        self._targets = TargetScaler(target_scale, spec.sizes[-1], maximum)
        self.on_bad, self.skipped = on_bad, 0
        self._rates = Following(
            self._network, not regression, options, scale, grows=any(grows.values())
        )

    def learn_one(self, x: Any, y: Any, masks: Draws = None, noise: Draws = None) -> None:
        """Learn from one sample: x (n_0,) or {feature: value}, y a label or vector.

        masks, noise: the random draws of this step, one array per hidden layer (or list entry of
        the rule's noise), in place of the seed's own.
        """
        if masks is not None or noise is not None or not self._learned_in_one_step(x, y):
            self.learn_scored([x], [y], masks, noise)

    def _learned_in_one_step(self, x: Any, y: Any) -> bool:
        """Learn from a plain sample as `learn_scored` would, without its checks of other kinds.

        Returns False, and changes nothing, if the sample needs these checks.
        """
        if self._compiled_network is None or not self._plain or self.classes is None:
            return False
        with self._network.lock:
            if (label := self._entry.code(y)) < 0:
                return False
            if (sample := self._entry.plain_sample(x)) is None:
                return False
            network = self._compiled_network
            X = network.single.X
            self._scaler.scale_one(sample, X[0], learn=True)
            if self._rates.open:
                self._rates.see(X)
                network.single.X[...] = X  # a new rate may have made new room
            network.learn_one(label)
        return True

    def learn_many(
        self, X: Any, y: Any, masks: Draws = None, noise: Draws = None
    ) -> tuple[Array, NDArray[np.float64]]:
        """Exactly the loop of `learn_one` over the rows of X (N, n_0) and y, compiled.

        Returns what was predicted before learning each sample (labels, or vectors for
        regression), and its losses. With ``on_bad="raise"`` the samples before a bad one are
        learned; with "skip" the results cover the good ones alone.
        """
        _, predicted, losses = self.learn_scored(X, y, masks, noise)
        return self._as_labels(predicted), losses

    def learn_scored(self, X: Any, y: Any, masks: Draws = None, noise: Draws = None) -> Scored:
        """As `learn_many`, in class indices and with the truth: ``metrics.update(*...)``.

        Before the first target the scale is unknown, and predictions of scaled targets are NaN.
        A BadSample has what was learned before it in this call as its ``scored``.
        """
        X, y = pair(X, y)
        network, n, parts = self._network, len(y), []
        masks = draws("masks", masks, network.spec.sizes[1:-1], n)
        widths = network.definition.noise.widths(network.spec, network.hyper)
        noise = draws("noise", noise, widths, n)
        for rows, checked in self._chunks_to_learn(X, y):
            drawn = [part and [p[rows][checked.good] for p in part] for part in (masks, noise)]
            with self._network.lock:  # a reader finds scaling and weights after the same sample
                scaled = self._scaler.learn_transform(self._filled(checked.X, True), self.dtype)
                if self._rates.open:
                    self._rates.see(scaled)
                parts.append(self._taught(scaled, checked, *drawn))
                if checked.bad is not None:
                    self._complain(checked, f"sample {self.samples_seen + self.skipped}", parts)
                self.skipped += int((~checked.good).sum())
        return joined(parts)

    def _chunks_to_learn(self, X: Any, y: Any) -> Iterator[tuple[slice, Checked]]:
        """Checked chunks of rows; before a row with a new class or feature the network grows.

        One row each while the learning rate adapts to the samples.
        """
        start = 0
        while start < max(len(y), 1):
            rows = slice(start, start + (1 if self._rates.open else self._chunk_size))
            ahead = self._entry.until_news(X[rows], y[rows]) if self._entry.grows else len(y)
            if ahead:
                rows = slice(start, min(rows.stop, start + ahead))
                checked = self._checked(self._entry, X[rows], y[rows])
            elif len(y):
                rows = slice(start, start + 1)
                checked = self._grown_for(X[rows], y[rows])
            else:
                checked = self._checked(self._entry, X, y)
            yield rows, checked
            start = rows.stop

    def _grown_for(self, X: Any, y: Any) -> Checked:
        """One checked row with a new class or feature; the network has grown unless it is bad."""
        with self._network.lock:
            known = None if self.classes is None else len(self.classes)
            entry = self._entry.with_news(X, y)
            checked = self._checked(entry, X, y)
            if len(checked.X):
                self._grow(entry)
            width = self._entry.n_features  # of no row, if it is bad
        return checked._replace(X=checked.X[:, :width], known=known)

    def _grow(self, entry: EntryChecks) -> None:
        """Let the network grow until it has a unit for every feature and class of ``entry``."""
        n, more = self._entry.n_features, entry.n_features - self._entry.n_features
        inputs = self.sizes[0] + more * (2 if self.missing_indicator else 1)
        if (inputs, entry.n_outputs) != (self.sizes[0], self.sizes[-1]):
            kept = np.arange(self.sizes[0])
            kept[n:] += more  # the indicators of missing values come after all features
            self._network = implementation.larger(
                self._network, inputs, entry.n_outputs, kept, self.schedule, self.workers
            )
            if self._compiled_network is not None:
                self._compiled_network = self._network  # type: ignore[assignment]
            self._scaler = self._scaler.widened(inputs, kept)
            if self._filler is not None:
                self._filler = self._filler.widened(entry.n_features)
            self._rates.grown(self._network)
        self._entry = entry
        if entry.classes is not None:
            self._labels = as_array(entry.classes)

    def load_parameters(self, parameters: Mapping[str, Any]) -> None:
        """Take over what `parameters` gave; velocities start at rest."""
        self._network.load_parameters(parameters)  # type: ignore[arg-type]

    def set(self, /, **changes: Any) -> None:
        """Change the learning rate, optimiser or hyperparameters from the next sample on."""
        with self._network.lock:
            self._network.set(**changes)
            self._rates.keep(changes)

    def is_finite(self) -> bool:
        """Whether all that was learned is finite."""
        return self._network.is_finite()

    def _taught(self, X: Array, checked: Checked, masks: Any, noise: Any) -> Scored:
        """Learn from scaled samples; what was predicted of them."""
        truth = checked.truth
        if self.classes is not None:
            outcome = self._network.learn(X, labels=truth, masks=masks, noise=noise)
            if not self._entry.new_classes:
                return Scored(truth, outcome.predicted, outcome.losses)
            known = len(self.classes) if checked.known is None else checked.known
            return Scored(truth, largest(outcome.outputs, known), outcome.losses)
        targets, before = self._targets.learn_transform(truth, self.dtype)
        try:
            outcome = self._network.learn(X, targets=targets, masks=masks, noise=noise)
        except Diverged as error:
            if self._targets.kind == "none":
                error.args = (f"{error}, or the targets (target_scale='running')",)
            raise
        return Scored(truth, before.predictions(outcome.outputs), outcome.losses)


ARGUMENTS = arguments.names(OnlineLearner)
