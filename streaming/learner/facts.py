"""What a learner is: everything that can be read of it, and what builds one like it."""

from __future__ import annotations

from typing import Any

from streaming.learner import realisation
from streaming.learner.entry import Door
from streaming.learner.labels import Label
from streaming.learner.realisation import Network
from streaming.samples.scaling import Scaler
from streaming.samples.target_scaling import TargetScaler


class Facts:
    """The read-only side of `OnlineLearner`.

    Every argument that a learner is built with is an attribute of the same name, with the default
    filled in: that is how a checkpoint stores them.
    """

    _network: Network
    _door: Door
    _scaler: Scaler
    _targets: TargetScaler
    schedule: str
    workers: int
    batch: int
    on_bad: str

    @property
    def network(self) -> Network:
        """What learns inside, on arrays; to be read: changing it bypasses all checks."""
        return self._network

    @property
    def samples_seen(self) -> int:
        """How many samples were learned from."""
        return self._network.samples_seen

    @property
    def rule(self) -> str:
        """The learning rule's name."""
        return self._network.rule

    @property
    def circuit(self) -> str | None:
        """The circuit's name; None for a learner that is none."""
        return realisation.circuit_of(self._network)

    @property
    def sizes(self) -> tuple[int, ...]:
        """n_0, ..., n_L."""
        return self._network.spec.sizes

    @property
    def lr(self) -> float:
        """The learning rate, before any decay; of the next sample, while it follows the input."""
        return self._network.optimizer.lr

    @property
    def seed(self) -> int:
        """Of weights, feedback, dropout and noise."""
        return self._network.seed

    @property
    def dtype(self) -> str:
        """float64 or float32."""
        return self._network.dtype

    @property
    def loss(self) -> str:
        """The loss's name."""
        return self._network.spec.loss

    @property
    def activation(self) -> str | tuple[str, ...]:
        """Of the hidden layers, or of each."""
        return self._network.spec.activation

    @property
    def output(self) -> str | None:
        """The activation of the last layer."""
        return self._network.spec.output

    @property
    def bias(self) -> bool:
        """Whether biases learn."""
        return self._network.spec.bias

    @property
    def classes(self) -> tuple[Label, ...] | None:
        """The label of each output unit; None for regression."""
        return self._door.classes

    @property
    def task(self) -> str:
        """Regression or classification."""
        return "regression" if self.classes is None else "classification"

    @property
    def scale(self) -> str:
        """Kind of the input scaling; see `streaming.samples.scaling`."""
        return self._scaler.kind

    @property
    def maximum(self) -> float:
        """What the input scaling "range" divides by."""
        return self._scaler.maximum

    @property
    def target_scale(self) -> str:
        """Kind of the target scaling; see `streaming.samples.target_scaling`."""
        return self._targets.kind

    def parameters(self) -> dict[str, Any]:
        """{"W": [W_1, ...], "b": [...], "F": F, ...}: folded copies, W_l (n_l, n_{l-1})."""
        return self._network.parameters()

    @property
    def nbytes(self) -> int:
        """Bytes of all state that a checkpoint has."""
        arrays = [*self._network.state().values(), *self._scaler.state().values()]
        return sum(array.nbytes for array in arrays)

    def __repr__(self) -> str:
        fields = ("rule", "sizes", "lr", "seed", "dtype", "samples_seen")
        return f"{type(self).__name__}({', '.join(f'{n}={getattr(self, n)!r}' for n in fields)})"
