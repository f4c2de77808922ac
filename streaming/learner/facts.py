"""Read-only attributes of a learner, among them all arguments that it was built with."""

from __future__ import annotations

from typing import Any

from streaming.learner import implementation
from streaming.learner.entry import EntryChecks
from streaming.learner.implementation import Network
from streaming.learner.labels import Label
from streaming.learner.named import Name
from streaming.samples.missing import Filler
from streaming.samples.scaling import Scaler
from streaming.samples.target_scaling import TargetScaler


class Facts:
    """The read-only attributes of `OnlineLearner`.

    Every argument of the constructor is an attribute of the same name, with defaults filled in. A
    checkpoint stores these attributes.
    """

    _network: Network
    _entry: EntryChecks
    _scaler: Scaler
    _targets: TargetScaler
    _filler: Filler | None  # None where missing values are refused or skipped
    schedule: str
    workers: int
    batch: int
    on_bad: str
    missing: str
    missing_indicator: bool

    @property
    def network(self) -> Network:
        """The network, which works on arrays. Read it only: changes to it bypass all checks."""
        return self._network

    @property
    def samples_seen(self) -> int:
        """The number of samples learned."""
        return self._network.samples_seen

    @property
    def rule(self) -> str:
        """The name of the learning rule."""
        return self._network.rule

    @property
    def circuit(self) -> str | None:
        """The name of the circuit; None if the learner is not a circuit."""
        return implementation.circuit_of(self._network)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes of all layers, n_0, ..., n_L."""
        return self._network.spec.sizes

    @property
    def lr(self) -> float:
        """The learning rate before any decay. While it adapts, the rate of the next sample."""
        return self._network.optimizer.lr

    @property
    def seed(self) -> int:
        """The seed of weights, feedback, dropout and noise."""
        return self._network.seed

    @property
    def dtype(self) -> str:
        """The precision: float64 or float32."""
        return self._network.dtype

    @property
    def loss(self) -> str:
        """The name of the loss."""
        return self._network.spec.loss

    @property
    def activation(self) -> str | tuple[str, ...]:
        """The activation of all hidden layers, or one name per hidden layer."""
        return self._network.spec.activation

    @property
    def output(self) -> str | None:
        """The activation of the last layer."""
        return self._network.spec.output

    @property
    def bias(self) -> bool:
        """Whether biases are learned."""
        return self._network.spec.bias

    @property
    def classes(self) -> tuple[Label, ...] | None:
        """The label of each output unit, as far as it is known; None for regression."""
        return self._entry.classes

    @property
    def features(self) -> tuple[Name, ...] | None:
        """The name of each feature, as far as it is known; None if samples have no names."""
        return self._entry.features

    @property
    def filled(self) -> int:
        """The number of missing values that were filled in the samples learned."""
        return 0 if self._filler is None else self._filler.filled

    @property
    def task(self) -> str:
        """The task: "regression" or "classification"."""
        return "regression" if self.classes is None else "classification"

    @property
    def scale(self) -> str:
        """The kind of input scaling; see `streaming.samples.scaling`."""
        return self._scaler.kind

    @property
    def maximum(self) -> float:
        """The divisor of the input scaling "range"."""
        return self._scaler.maximum

    @property
    def target_scale(self) -> str:
        """The kind of target scaling; see `streaming.samples.target_scaling`."""
        return self._targets.kind

    def parameters(self) -> dict[str, Any]:
        """Copies of all parameters, {"W": [W_1, ...], "b": [...], "F": F, ...}.

        W_l has shape (n_l, n_{l-1}), also where the network keeps it in structured form.
        """
        return self._network.parameters()

    @property
    def nbytes(self) -> int:
        """The size in bytes of the state in a checkpoint."""
        arrays = [*self._network.state().values(), *self._scaler.state().values()]
        arrays += [] if self._filler is None else self._filler.state().values()
        return sum(array.nbytes for array in arrays)

    def __repr__(self) -> str:
        fields = ("rule", "sizes", "lr", "seed", "dtype", "samples_seen")
        return f"{type(self).__name__}({', '.join(f'{n}={getattr(self, n)!r}' for n in fields)})"
