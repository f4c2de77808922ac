"""The learner: labels, dicts and raw numbers outside; a compiled network inside."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rate_models.errors import (
    BadOption,
    BadSample,
    DamagedCheckpoint,
    Diverged,
    MissingData,
    OtherFile,
    UserError,
)
from rate_models.network import NetworkSpec, one_hot
from rate_models.rules import Description, forward
from rate_models.support.arguments import check_text
from streaming.files import checkpoint
from streaming.learner import realisation
from streaming.learner.entry import Checked, Door, Label, as_array, draws, labels_of, pair, several
from streaming.learner.following import Following
from streaming.learner.realisation import Network
from streaming.learner.restoring import beyond, check_count, check_room
from streaming.samples.scaling import Scaler
from streaming.samples.target_scaling import TargetScaler, settled
from streaming.scores.evaluate import Scored, joined, losses_of

Array = NDArray[Any]
Draws = Sequence[ArrayLike] | None

# Rows converted and checked at a time: what bounds the memory of a call.
BLOCK = 1024
NUMBERS = 2**22  # outputs at a time, where there are many classes


class OnlineLearner:
    """A network that learns from one sample at a time.

    rule: a name in `rate_models.rules`, the path of a file of one's own, or a `Rule`; None: pepita,
    or the rule of the circuit. sizes: n_0, ..., n_L. lr: learning rate; the rule's own rates are
    scaled by it; None takes what suits rule and input, see `streaming.following`. seed: of weights,
    feedback, dropout and noise. dtype: float64, float32. loss: cross_entropy, binary_cross_entropy
    or mse; activation: of the hidden layers; None takes the rule's own. output: of the last layer,
    None takes the loss's own. bias: whether biases learn.
    rule: a name in `rate_models.rules`; None: pepita, or the rule of the circuit. sizes: n_0, ...,
    n_L. lr: learning rate; the rule's own rates are scaled by it; None takes what suits rule and
    input, see `learner.following`. seed: of weights, feedback, dropout and noise. dtype: float64,
    float32. loss: cross_entropy, binary_cross_entropy or mse; activation: of the hidden layers;
    None takes the rule's own. output: of the last layer, None takes the loss's own. bias: whether
    biases learn.
    classes: the label of each output unit (text, whole number or boolean), 0, 1, ... when None.
    task: "regression": y and predictions are vectors (n_L,), the loss is mse and targets are
    scaled as "running". "classification": y are labels. None: ``loss="mse"`` without classes is a
    regression on targets as they are.
    circuit: a name in `biocircuits.circuits`, or the path of a file, to learn as neurons and
    synapses (in float64), or None. schedule, workers: how samples overlap, in how many threads;
    batch: samples per update: see `streaming.scheduled`.
    scale, maximum: see `streaming.scaling`. target_scale: the same for the targets of a regression;
    circuit: a name in `biocircuits.circuits`, to learn as neurons and synapses (in float64), or
    None. schedule, workers: how samples overlap, in how many threads; batch: samples per update:
    see `streaming.threads.network`.
    scale, maximum: see `samples.scaling`. target_scale: the same for the targets of a regression;
    predictions are in the targets' own units, losses in those of the network: see
    `samples.target_scaling`. on_bad: "raise" on a bad sample, or "skip" and
    count it. options: momentum, weight_decay, decay_at, decay_factor, decay_time, the rule's
    hyperparameters and a circuit's settings.

    A bad sample raises BadSample and changes nothing; learning raises Diverged.
    Several threads may use one learner: they learn one after another, and whoever predicts, reads
    or saves finds the state between two samples.

    >>> learner = OnlineLearner(sizes=(2, 8, 2), classes=("no", "yes"))
    >>> learner.learn_one([0.5, 1.0], "yes")
    >>> learner.learn_one({"a": 0.1, "b": 0.2}, "no")
    >>> learner.predict_one({"b": 1.0, "a": 0.5}) in ("no", "yes"), learner.samples_seen
    (True, 2)
    """

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
        classes: Sequence[Any] | None = None,
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
        **options: Any,
    ) -> None:
        for what, text in {
            "on_bad": on_bad, "circuit": circuit, "dtype": dtype, "loss": loss,
            "output": output, "schedule": schedule, "scale": scale, "task": task,
            "target_scale": target_scale,
        }.items():  # fmt: skip
            check_text(what, text)
        if on_bad not in ("raise", "skip"):
            raise BadOption("on_bad", got=repr(on_bad), expected="raise or skip")
        definition = realisation.rule_of(rule, circuit)
        names = definition.defaults.activation if activation is None else activation
        if loss is None:
            loss = "mse" if task == "regression" else definition.loss
        spec = NetworkSpec(sizes, names, loss, bias, output)  # type: ignore[arg-type]
        regression, target_scale = settled(spec, task, classes, target_scale)
        options = options if lr is None else {"lr": lr, **options}
        self._network = realisation.build(
            definition, spec, circuit, seed, dtype, options, schedule, workers, batch
        )
        self._how = {"schedule": schedule, "workers": int(workers), "batch": int(batch)}
        labels = None if regression else labels_of(classes, spec.sizes[-1])
        self._labels = None if labels is None else as_array(labels)
        self._door = Door(spec.sizes, labels, dtype)
        self._scaler = Scaler(scale, spec.sizes[0], maximum)
        self._targets = TargetScaler(target_scale, spec.sizes[-1], maximum)
        self.on_bad, self.skipped = on_bad, 0
        self._rates = Following(self._network, not regression, options, scale)

    def learn_one(self, x: Any, y: Any, masks: Draws = None, noise: Draws = None) -> None:
        """Learn from one sample: x (n_0,) or {feature: value}, y a label or vector.

        masks, noise: the random draws of this step, one array per hidden layer (or list entry of
        the rule's noise), in place of the seed's own.
        """
        self.learn_scored([x], [y], masks, noise)

    def learn_many(
        self, X: Any, y: Any, masks: Draws = None, noise: Draws = None
    ) -> tuple[Array, NDArray[np.float64]]:
        """Exactly the loop of `learn_one` over the rows of X (N, n_0) and y, compiled.

        Returns what was predicted before learning each sample (labels, or vectors for
        regression), and its losses. With ``on_bad="raise"`` the samples before a bad one are
        learned; with "skip" the results cover the good ones alone.
        """
        _, predicted, losses = self.learn_scored(X, y, masks, noise)
        return self._said(predicted), losses

    def learn_scored(self, X: Any, y: Any, masks: Draws = None, noise: Draws = None) -> Scored:
        """As `learn_many`, in class indices and with the truth: ``metrics.update(*...)``.

        What was predicted of scaled targets before there was one to learn their scale by is NaN.
        A BadSample has what was learned before it in this call as its ``scored``.
        """
        X, y = pair(X, y)
        network, n, parts = self._network, len(y), []
        masks = draws("masks", masks, network.spec.sizes[1:-1], n)
        widths = network.definition.noise.widths(network.spec, network.hyper)
        noise = draws("noise", noise, widths, n)
        for rows, checked in self._blocks(X, y, learning=True):
            drawn = [part and [p[rows][checked.good] for p in part] for part in (masks, noise)]
            with network.lock:  # a reader finds scaling and weights after the same sample
                scaled = self._scaler.learn_transform(checked.X, network.dtype)
                if self._rates.open:
                    self._rates.see(scaled)
                parts.append(self._taught(scaled, checked.truth, *drawn))
                if checked.bad is not None:
                    self._complain(checked, f"sample {self.samples_seen + self.skipped}", parts)
                    self.skipped += int((~checked.good).sum())
        return joined(parts)

    def score_many(self, X: Any, y: Any) -> Scored:
        """As `learn_scored` without learning: nothing changes, what is skipped is not counted."""
        parts = []
        for rows, checked in self._blocks(*pair(X, y)):
            self._complain(checked, f"row {rows.start + int(checked.good.sum())}", [])
            with self._network.lock:
                outputs = self._outputs(checked.X)
                predicted = self._predicted(outputs)
                truth = checked.truth if self.classes else self._targets.transform(checked.truth)
            losses = losses_of(self._network.spec.loss, outputs, truth)
            parts.append(Scored(checked.truth, predicted, losses))
        return joined(parts)

    def predict_one(self, x: Any) -> Any:
        """The label, or the output vector for regression; never changes what is learned."""
        with self._network.lock:
            predicted = self._predicted(self._outputs(self._door.sample(x)[None]))
        return self._said(predicted)[0] if self.classes is None else self.classes[int(predicted[0])]

    def predict_many(self, X: Any) -> Array:
        """The labels (N,), or output vectors (N, n_L) for regression, of the rows of X."""
        if self.classes is not None:
            return self._said(self._predicted(self._outputs_many(X)))
        with self._network.lock:  # outputs and their units belong to one sample
            return self._said(self._predicted(self._outputs_many(X)))

    def predict_proba_one(self, x: Any) -> dict[Label, float]:
        """{label: probability}; BadOption where the outputs are no probabilities."""
        labels = self._labelled()
        outputs = self._outputs(self._door.sample(x)[None])[0]
        return dict(zip(labels, outputs.tolist(), strict=True))

    def predict_proba_many(self, X: Any) -> Array:
        """Probabilities (N, n_L), columns in the order of `classes`."""
        self._labelled()
        return self._outputs_many(X)

    def activities(self, X: Any) -> list[Array]:
        """[h_1, ..., h_L], h_l (N, n_l): what every layer says of the rows of X (N, n_0).

        h_L of a regression is in the network's units: targets are scaled by ``target_scale``.
        """
        net = self._network
        with net.lock:
            x, parameters = self.scaled(X), self.parameters()
        return forward(net.definition, net.spec, parameters, net.hyper, x)[1][1:]

    def scaled(self, X: Any) -> Array:
        """What the network gets for the rows of X (N, n_0)."""
        return self._scaler.transform(self._door.rows(several("X", X), 0), self.dtype)

    def prepared(self, X: Any, y: Any) -> tuple[Array, Array]:
        """What the network gets for the good rows: scaled x (m, n_0), target vectors (m, n_L).

        Before anything was learned these rows are all that the scaling knows.
        """
        checked = self._door.check(*pair(X, y), to_first=False)
        scaler, targets, truth = self._scaler, self._targets, checked.truth
        if not self.samples_seen:
            scaler = Scaler(scaler.kind, scaler.n_features, scaler.maximum)
            scaler.learn_transform(checked.X)
            if self.classes is None:
                targets = TargetScaler(targets.kind, self.sizes[-1], scaler.maximum)
                targets.learn_transform(truth)
        x = scaler.transform(checked.X, self.dtype)
        return x, one_hot(truth, self.sizes[-1]) if self.classes else targets.transform(truth)

    def parameters(self) -> dict[str, Any]:
        """{"W": [W_1, ...], "b": [...], "F": F, ...}: folded copies, W_l (n_l, n_{l-1})."""
        return self._network.parameters()

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

    def save(
        self,
        folder: str | os.PathLike[str],
        extra_arrays: Mapping[str, Array] | None = None,
        extra_meta: Mapping[str, Any] | None = None,
    ) -> None:
        """Write a checkpoint; what is loaded from it goes on bit for bit.

        extra_arrays, extra_meta: kept beside the learner, read by `checkpoint.read`.
        Raises Diverged, with what is there left as it is, where a number of the state is not finite
        or beyond all use.
        """
        with self._network.lock:
            arrays, meta = self._stored()
        if odd := beyond(arrays, self.dtype):
            raise Diverged(
                f"{odd} after {meta['samples_seen']} samples", got="infinite, NaN or huge numbers",
                remedy=f"it is not saved; lower the learning rate (lr={self.lr:g})",
            )  # fmt: skip
        checkpoint.write(folder, arrays | dict(extra_arrays or {}), meta | dict(extra_meta or {}))

    def _stored(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Arrays and meta of a checkpoint: copies, as things stand now."""
        network, scaler = self._network, self._scaler
        arrays = {f"network.{name}": a for name, a in network.state().items()}
        arrays |= {f"scaler.{name}": a for name, a in scaler.state().items()}
        arrays |= {f"targets.{name}": a for name, a in self._targets.state().items()}
        measured, follows = self._rates.state()
        arrays |= {f"rate.{name}": a for name, a in measured.items()}
        spec = network.spec
        learner = {
            **realisation.named(network.definition, realisation.circuit_of(network)),
            "sizes": spec.sizes, "seed": network.seed,
            "dtype": network.dtype, "loss": spec.loss, "activation": spec.activation,
            "bias": spec.bias, "output": spec.output, "classes": self.classes,
            "scale": scaler.kind, "maximum": scaler.maximum, "on_bad": self.on_bad,
            "target_scale": self._targets.kind,
            **self._how, **network.options,
        }  # fmt: skip
        meta = {
            "learner": learner,
            "features": self._door.features,
            "skipped": self.skipped,
            "samples_seen": self.samples_seen,
            "follows": follows,
        }
        return arrays, meta

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> OnlineLearner:
        """The learner of a checkpoint; DamagedCheckpoint when there is none that is whole."""
        return cls.restored(*checkpoint.read(folder), folder)

    @classmethod
    def restored(
        cls, arrays: Mapping[str, Array], meta: Mapping[str, Any], folder: str | os.PathLike[str]
    ) -> OnlineLearner:
        """The learner of what `checkpoint.read` gave; DamagedCheckpoint where it cannot be one."""
        try:
            made_with = meta["learner"]
            check_room(made_with, arrays)
            learner = cls(**made_with)
            learner._network.load_state(checkpoint.part("network.", arrays))
            learner._scaler.load_state(checkpoint.part("scaler.", arrays))
            learner._targets.load_state(checkpoint.part("targets.", arrays))
            follows = meta.get("follows", ())  # checkpoints of before have none
            learner._rates.load_state(checkpoint.part("rate.", arrays), follows)
            learner._door.take_features(meta["features"])
            learner.skipped = check_count("skipped", meta["skipped"])
            mine = learner._stored()[0]
            if odd := beyond(mine, learner.dtype):
                raise BadOption(odd, got="infinite, NaN or huge numbers", expected="finite numbers")
        except (OtherFile, MissingData):  # the checkpoint is whole
            raise
        except Exception as problem:  # a file that someone made can raise whatever there is
            clear = isinstance(problem, UserError | LookupError | TypeError)
            raise DamagedCheckpoint(
                f"checkpoint {folder}",
                got=problem if clear else f"{type(problem).__name__} ({problem})",
                expected="the learner of this version of dendrostream",
            ) from problem
        return learner

    @property
    def network(self) -> Network:
        """What learns inside, on arrays; to be read: changing it bypasses all checks."""
        return self._network

    @property
    def samples_seen(self) -> int:
        """How many samples were learned from."""
        return self._network.samples_seen

    @property
    def lr(self) -> float:
        """The learning rate, before any decay; of the next sample, while it follows the input."""
        return self._network.optimizer.lr

    @property
    def seed(self) -> int:
        """Of weights, feedback, dropout and noise."""
        return self._network.seed

    @property
    def rule(self) -> str:
        """The learning rule's name."""
        return self._network.rule

    @property
    def sizes(self) -> tuple[int, ...]:
        """n_0, ..., n_L."""
        return self._network.spec.sizes

    @property
    def nbytes(self) -> int:
        """Bytes of all state that a checkpoint has."""
        arrays = [*self._network.state().values(), *self._scaler.state().values()]
        return sum(array.nbytes for array in arrays)

    @property
    def scaling(self) -> tuple[str, float]:
        """Kind of the input scaling, and what "range" divides by; see `samples.scaling`."""
        return self._scaler.kind, self._scaler.maximum

    @property
    def classes(self) -> tuple[Label, ...] | None:
        """The label of each output unit; None for regression."""
        return self._door.classes

    @property
    def dtype(self) -> str:
        """float64 or float32."""
        return self._network.dtype

    def __repr__(self) -> str:
        fields = ("rule", "sizes", "lr", "seed", "dtype", "samples_seen")
        return f"OnlineLearner({', '.join(f'{name}={getattr(self, name)!r}' for name in fields)})"

    def _blocks(self, X: Any, y: Any, learning: bool = False) -> Iterator[tuple[slice, Checked]]:
        """Rows checked; one at a time while the rate follows the samples that are learned from."""
        start = 0
        while start < max(len(y), 1):
            rows = slice(start, start + (1 if learning and self._rates.open else self._block))
            yield rows, self._door.check(X[rows], y[rows], to_first=self.on_bad == "raise")
            start = rows.stop

    @property
    def _block(self) -> int:
        """Rows at a time."""
        return max(1, min(BLOCK, NUMBERS // self.sizes[-1]))

    def _complain(self, checked: Checked, where: str, learned: list[Scored]) -> None:
        if checked.bad is not None and self.on_bad == "raise":
            error = BadSample(f"{where}: {checked.bad}")
            error.scored = joined(learned) if learned else None  # type: ignore[attr-defined]
            raise error

    def _taught(self, X: Array, truth: Array, masks: Any, noise: Any) -> Scored:
        """Learn from scaled samples; what was predicted of them."""
        if self.classes is not None:
            said = self._network.learn(X, labels=truth, masks=masks, noise=noise)
            return Scored(truth, said.predicted, said.losses)
        targets, before = self._targets.learn_transform(truth, self.dtype)
        try:
            said = self._network.learn(X, targets=targets, masks=masks, noise=noise)
        except Diverged as error:
            if self._targets.kind == "none":
                error.args = (f"{error}, or the targets (target_scale='running')",)
            raise
        return Scored(truth, before.predictions(said.outputs), said.losses)

    def _outputs(self, X: NDArray[np.float64]) -> Array:
        with self._network.lock:
            return self._network.predict(self._scaler.transform(X, self.dtype))

    def _predicted(self, outputs: Array) -> Array:
        """Class indices, or predictions in the targets' own units."""
        if self.classes is None:
            return self._targets.units().predictions(outputs)
        indices: Array = outputs.argmax(axis=1)
        return indices

    def _outputs_many(self, X: Any) -> Array:
        X = several("X", X)
        size = self._block
        starts = range(0, max(len(X), 1), size)
        return np.concatenate([self._outputs(self._door.rows(X[i : i + size], i)) for i in starts])

    def _said(self, predicted: Array) -> Array:
        """Labels for class indices; numbers as they are, 0 for those that are not known yet."""
        if self._labels is not None:
            return self._labels[predicted]
        return predicted if self._targets.kind == "none" else np.nan_to_num(predicted)

    def _labelled(self) -> tuple[Label, ...]:
        """The classes, if outputs are their probabilities."""
        if self.classes is None or self._network.spec.output != "softmax":
            raise BadOption(
                "predict_proba",
                got=f"loss {self._network.spec.loss}, output {self._network.spec.output}",
                expected="outputs that are probabilities of classes: loss='cross_entropy'",
            )
        return self.classes
