"""Predictions, probabilities, scores and activities of a learner."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rate_models.errors import BadOption, BadSample
from rate_models.network import one_hot
from rate_models.online.network import OnlineNetwork
from rate_models.rules import forward
from streaming.learner.entry import Checked, EntryChecks
from streaming.learner.facts import Facts
from streaming.learner.following import Following
from streaming.learner.inputs import pair, several
from streaming.learner.labels import Label
from streaming.samples.scaling import Scaler
from streaming.samples.target_scaling import TargetScaler
from streaming.scores.evaluate import losses_of
from streaming.scores.metrics import Scored, joined

Array = NDArray[Any]

# Rows that are converted and checked at a time. This limits the memory of a call.
CHUNK = 1024
NUMBERS = 2**22  # outputs at a time: fewer rows if there are many classes


class Answers(Facts):
    """The methods of `OnlineLearner` that do not change it."""

    _labels: Array | None
    _compiled_network: OnlineNetwork | None  # the network if it has a compiled step of one sample
    _plain: bool  # whether a sample of plain numbers needs no further preparation
    _rates: Following

    def score_many(self, X: Any, y: Any) -> Scored:
        """As `learn_scored`, without learning. Nothing changes; skipped samples are not counted.

        With ``classes="grow"`` every label that is not known yet has the index after the last one.
        """
        parts = []
        X, y = pair(X, y)
        for rows, checked in self._chunks(X, y):
            self._complain(checked, f"row {rows.start + int(checked.good.sum())}", [])
            with self._network.lock:
                outputs = self._outputs(checked.X)
                predicted = self._predicted(outputs)
                truth = checked.truth
                if self.classes is None:
                    truth = self._targets.transform(truth)
            if self._entry.new_classes:  # a label that is not known has no output unit
                outputs = np.pad(outputs, ((0, 0), (0, 1)))
            losses = losses_of(self._network.spec.loss, outputs, truth)
            parts.append(Scored(checked.truth, predicted, losses))
        return joined(parts)

    def predict_one(self, x: Any) -> Any:
        """The predicted label, or the output vector for regression. The learner is not changed.

        None as long as no label is known, with ``classes="grow"``.
        """
        with self._network.lock:
            predicted = self._predicted(self._outputs_one(x))
            if self.classes is None:
                return self._as_labels(predicted)[0]
            return self.classes[int(predicted[0])] if self.classes else None

    def predict_many(self, X: Any) -> Array:
        """The predicted labels (N,) of the rows of X, or output vectors (N, n_L) for regression."""
        if self.classes is not None and not self._entry.grows:
            return self._as_labels(self._predicted(self._outputs_many(X)))
        with self._network.lock:  # outputs, labels and target scaling of the same moment
            return self._as_labels(self._predicted(self._outputs_many(X)))

    def predict_proba_one(self, x: Any) -> dict[Label, float]:
        """{label: probability} of one sample. Raises BadOption if outputs are not probabilities."""
        with self._network.lock:
            labels = self._labelled()
            return dict(zip(labels, self._shares(self._outputs_one(x))[0].tolist(), strict=True))

    def predict_proba_many(self, X: Any) -> Array:
        """Probabilities (N, n_L) of the rows of X; the columns are in the order of `classes`."""
        self._labelled()
        return self._shares(self._outputs_many(X))

    def activities(self, X: Any) -> list[Array]:
        """The activities [h_1, ..., h_L] of all layers, h_l (N, n_l), for the rows of X (N, n_0).

        For regression h_L is in the units of the scaled targets; see ``target_scale``.
        """
        net = self._network
        with net.lock:
            x, parameters = self.scaled(X), self.parameters()
        return forward(net.definition, net.spec, parameters, net.hyper, x)[1][1:]

    def scaled(self, X: Any) -> Array:
        """The input of the network, scaled, for the rows of X (N, n_0)."""
        return self._scaler.transform(
            self._filled(self._entry.rows(several("X", X), 0)), self.dtype
        )

    def prepared(self, X: Any, y: Any) -> tuple[Array, Array]:
        """The input of the network for the good rows: scaled x (m, n_0), target vectors (m, n_L).

        Before the first sample is learned the scaling is estimated from these rows alone.
        """
        checked = self._entry.check(*pair(X, y), to_first=False)
        scaler, targets, truth = self._scaler, self._targets, checked.truth
        X = self._filled(checked.X)
        if not self.samples_seen:
            scaler = Scaler(scaler.kind, scaler.n_features, scaler.maximum)
            scaler.learn_transform(X)
            if self.classes is None:
                targets = TargetScaler(targets.kind, self.sizes[-1], scaler.maximum)
                targets.learn_transform(truth)
        x = scaler.transform(X, self.dtype)
        if self.classes is None:
            return x, targets.transform(truth)
        return x, one_hot(truth, self.sizes[-1])

    def _chunks(self, X: Any, y: Any) -> Iterator[tuple[slice, Checked]]:
        """Checked chunks of rows, to be scored."""
        start = 0
        while start < max(len(y), 1):
            rows = slice(start, start + self._chunk_size)
            yield rows, self._checked(self._entry, X[rows], y[rows], score=True)
            start = rows.stop

    def _checked(self, entry: EntryChecks, X: Any, y: Any, score: bool = False) -> Checked:
        """Checked rows, without those that lack values if such rows are to be skipped."""
        checked = entry.check(X, y, to_first=self.on_bad == "raise", score=score)
        if self.missing != "skip":
            return checked
        whole = ~np.isnan(checked.X).any(axis=1)
        good = checked.good.copy()
        good[good] = whole
        return checked._replace(X=checked.X[whole], truth=checked.truth[whole], good=good)

    def _filled(self, X: NDArray[np.float64], learn: bool = False) -> NDArray[np.float64]:
        """Rows that were checked as input for the scaling: missing values filled.

        Rows are widened if the learner has got new features since they were checked.
        """
        if X.shape[1] < self._entry.n_features:
            X = np.pad(X, ((0, 0), (0, self._entry.n_features - X.shape[1])))
        if self._filler is not None:
            return self._filler(X, np.full(len(X), learn))
        if self.missing == "skip" and np.isnan(X).any():
            raise BadSample(
                "x", got="a missing value", expected="a number, for a prediction",
                remedy="missing='mean' or 'zero' fills it in",
            )  # fmt: skip
        return X

    @property
    def _chunk_size(self) -> int:
        """The number of rows in a chunk."""
        return max(1, min(CHUNK, NUMBERS // self.sizes[-1]))

    def _complain(self, checked: Checked, where: str, learned: list[Scored]) -> None:
        """Raise BadSample, with the scores so far, if a sample is bad and ``on_bad`` is "raise"."""
        if checked.bad is not None and self.on_bad == "raise":
            error = BadSample(f"{where}: {checked.bad}")
            error.scored = joined(learned) if learned else None  # type: ignore[attr-defined]
            raise error

    def _outputs(self, X: NDArray[np.float64]) -> Array:
        with self._network.lock:
            return self._network.predict(self._scaler.transform(self._filled(X), self.dtype))

    def _predicted(self, outputs: Array) -> Array:
        """Class indices, or predictions in the units of the raw targets.

        Output units without a label are left out; -1 if no unit has a label.
        """
        if self.classes is None:
            return self._targets.units().predictions(outputs)
        return largest(outputs, len(self.classes))

    def _outputs_one(self, x: Any) -> Array:
        """h_L (1, n_L) of one sample."""
        with self._network.lock:
            network = self._compiled_network if self._plain else None
            if network is None or (sample := self._entry.plain_sample(x)) is None:
                return self._outputs(self._entry.sample(x)[None])
            self._scaler.scale_one(sample, network.single.X[0], learn=False)
            return network.predict_one()

    def _outputs_many(self, X: Any) -> Array:
        X = several("X", X)
        size = self._chunk_size
        starts = range(0, max(len(X), 1), size)
        return np.concatenate([self._outputs(self._entry.rows(X[i : i + size], i)) for i in starts])

    def _as_labels(self, predicted: Array) -> Array:
        """Labels of class indices; numbers unchanged, with 0 for those that are not known yet."""
        if self._labels is not None:
            if len(predicted) and predicted.min() < 0:  # from before the first label
                labels = [*(self.classes or ()), None]
                return np.array([labels[i] for i in predicted], object)
            return self._labels[predicted]
        return predicted if self._targets.kind == "none" else np.nan_to_num(predicted)

    def _shares(self, outputs: Array) -> Array:
        """The probabilities of the known classes, of outputs that also have units without label."""
        known = len(self.classes or ())
        if known == outputs.shape[1]:
            return outputs
        shares: Array = outputs[:, :known] / outputs[:, :known].sum(axis=1, keepdims=True)
        return shares

    def _labelled(self) -> tuple[Label, ...]:
        """The classes. Raises BadOption if the outputs are not their probabilities."""
        if self.classes is None or self._network.spec.output != "softmax":
            raise BadOption(
                "predict_proba",
                got=f"loss {self._network.spec.loss}, output {self._network.spec.output}",
                expected="outputs that are probabilities of classes: loss='cross_entropy'",
            )
        return self.classes


def largest(outputs: Array, known: int) -> Array:
    """The index of the largest of the first ``known`` outputs (N, n_L); -1 if there are none."""
    if not known:
        return np.full(len(outputs), -1)
    return np.asarray(outputs[:, :known].argmax(axis=1))
