"""A network that learns one sample at a time, in compiled kernels: arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rate_models import rules
from rate_models.compiler import foreign
from rate_models.compiler.kernel import Array, coerce
from rate_models.compiler.records import Record
from rate_models.errors import BadOption, Diverged
from rate_models.kernels.layers import Work
from rate_models.model import draws
from rate_models.online.configured import ConfiguredNetwork
from rate_models.online.parameters import class_indices

OUTPUT = (("soma", "h"), ("teaching signal", "delta"))


class Outcome(NamedTuple):
    """The answers to some samples, each from before the network learned from it, without
    dropout or noise.

    predicted: index of the largest output, (N,). losses: (N,). outputs: h_L, (N, n_L).
    """

    predicted: NDArray[np.int64]
    losses: NDArray[np.float64]
    outputs: Array


class Single(NamedTuple):
    """Memory for one sample and its outcome; see `OnlineNetwork.learn_one`."""

    X: Array  # (1, n_0)
    labels: NDArray[np.int64]  # (1,)
    Y: Array  # (1, 0): no target vector
    masks: Array  # (1, hidden units) or (1, 0)
    noise: Array  # (1, width)
    outcome: Outcome


class OnlineNetwork(ConfiguredNetwork):
    """A network, a rule and an optimiser in compiled form.

    spec: the network. rule: a name in `rate_models.rules`, the path of a file of one's own, or a
    `Rule`; the rule must have a kernel. seed: of weights, feedback, masks and noise.
    dtype: float64 or float32. structured: False for the plain form of the first layer
    (see `input_synapses`), which more than 8,192 outputs always have. Any field of the rule's
    Hyperparameters by name.

    Raises UnknownName and BadOption for invalid arguments; learning raises Diverged.

    >>> from rate_models.network import NetworkSpec
    >>> net = OnlineNetwork(NetworkSpec((4, 8, 3)), "pepita", seed=0)
    >>> net.learn(np.eye(4), labels=[0, 1, 2, 0]).outputs.shape
    (4, 3)
    >>> net.samples_seen
    4
    """

    _swapped = False  # whether the last sample had the other scratch

    def learn(
        self,
        X: ArrayLike,
        labels: ArrayLike | None = None,
        targets: ArrayLike | None = None,
        *,
        masks: Sequence[ArrayLike] | None = None,
        noise: Sequence[ArrayLike] | None = None,
    ) -> Outcome:
        """Learn from the rows of X (N, n_0) in order: the same as N calls with one row each.

        labels (N,) class indices, or targets (N, n_L). masks, noise: one array per hidden layer
        (per list entry of the rule's noise), (n,) or (N, n), in place of the seed's own.
        Raises Diverged, with the outcome so far as its ``outcome``, where activity is not finite.
        """
        sizes = self.spec.sizes
        X = coerce("X", X, self.dtype, (None, sizes[0]))
        n = len(X)
        if (labels is None) == (targets is None):
            raise BadOption("learn", expected="either labels or targets")
        y = np.zeros((n, 0)) if targets is None else targets
        width = 0 if targets is None else sizes[-1]
        y = coerce("targets", y, self.dtype, (n, width))
        index = class_indices(np.zeros(n) if labels is None else labels, n, sizes[-1])
        outcome = self._blank_outcome(n)
        with self.lock:
            learned = self._learn(X, index, y, *self._draws(n, masks, noise), outcome)
            if learned < n:
                predicted, losses, outputs = outcome
                so_far = Outcome(predicted[:learned], losses[:learned], outputs[:learned])
                raise self._diverged(so_far)
        return outcome

    def learn_one(self, label: int) -> None:
        """`learn` from one checked sample, which is in ``single.X``, of the class ``label``.

        The caller holds ``lock`` from before it fills ``single`` until it has read the outcome.
        """
        with self.lock:
            one = self.single
            one.labels[0] = label
            if one.masks.size or one.noise.size:
                one.masks[...], one.noise[...] = self._draws(1, None, None)
            if not self._learn(*one):
                raise self._diverged(self._blank_outcome(0))

    def _learn(
        self, X: Array, labels: Array, Y: Array, masks: Array, noise: Array, outcome: Outcome
    ) -> int:
        """Learn from checked samples in order, fill ``outcome``; how many were learned from."""
        return self._learn_with(self._parts, X, labels, Y, masks, noise, *outcome)

    def _learn_with(self, parts: Record, X: Array, *arrays: Array) -> int:
        """`_learn` with these arrays of the network in the kernel."""
        try:
            learned: int = self._kernel(parts.address, self._options.address, X, *arrays)
        except foreign.UNCOMPILED as error:  # in a file of one's own
            where, got = f"kernel of rule {self.rule}", foreign.explained(error)
            raise BadOption(where, got=got, expected="what numba compiles") from error
        self._swapped = learned % 2 == 0 < learned  # samples take the two of them in turn
        if learned < len(X) and learned % 2:
            self._work.a[...] = self._other.a  # for `_diverged`
        return learned

    def _open(self) -> None:
        super()._open()
        self._make_single()

    def _make_single(self) -> None:
        x, y = np.zeros((1, self.spec.sizes[0]), self.dtype), np.zeros((1, 0), self.dtype)
        draws = self._draws(1, None, None)
        self.single = Single(x, np.zeros(1, np.int64), y, *draws, self._blank_outcome(1))

    def _blank_outcome(self, n: int) -> Outcome:
        outputs = np.zeros((n, self.spec.sizes[-1]), self.dtype)
        return Outcome(np.zeros(n, np.int64), np.zeros(n), outputs)

    def _draws(
        self, n: int, masks: Sequence[ArrayLike] | None, noise: Sequence[ArrayLike] | None
    ) -> tuple[Array, Array]:
        """Masks (n, hidden units or 0) and noise (n, width) of the next n samples."""

        def given(what: str, part: ArrayLike, width: int) -> Array:
            alike = np.shape(part) == (width,)  # for all samples
            whole = np.broadcast_to(part, (n, width)) if alike else part
            return coerce(what, whole, self.dtype, (n, width))

        numbers = draws.numbers(self.seed, self.samples_seen, n)
        drawn = rules.masks_and_noise(
            self.definition, self.spec, self.hyper, numbers, masks, noise, given
        )
        return self._joined("masks", drawn.masks, n), self._joined("noise", drawn.noise, n)

    def _joined(self, what: str, parts: Sequence[Array] | None, n: int) -> Array:
        whole = np.hstack([np.zeros((n, 0), self.dtype), *(parts or ())])
        return coerce(what, whole, self.dtype, whole.shape)

    def _diverged(self, outcome: Outcome) -> Diverged:
        found = f"the loss {self.spec.loss}"
        with np.errstate(all="ignore"):
            weights = self.parameters()["W"]
        for what, arrays in (("activity", self._activity()), ("weights", weights)):
            bad = [i for i, x in enumerate(arrays, start=1) if not np.isfinite(x).all()]
            found = f"{what} of layer {bad[0]}" if bad else found
        error = Diverged(
            f"sample {self.samples_seen}",
            got=f"{found} not finite",
            remedy=f"lower the learning rate (lr={self.optimizer.lr:g}) or scale the input",
        )
        error.outcome = outcome
        return error

    def _activity(self) -> list[Array]:
        """a_1..a_L of the last sample."""
        net, a = self._net, self._work.a
        return [a[at:][:n] for at, n in zip(net.unit[1:], net.sizes[1:], strict=True)]

    def activities(self) -> dict[str, dict[str, Array]]:
        """{layer: {compartment: (n_l,)}} of the last sample, copies; see `rules.Rule.activities`.

        >>> from rate_models.network import NetworkSpec
        >>> net = OnlineNetwork(NetworkSpec((4, 8, 3)), "pepita", seed=0)
        >>> {layer: [*parts] for layer, parts in net.activities().items()}
        {'layer 1': ['soma', 'dendrite'], 'output': ['soma', 'teaching signal']}
        """
        with self.lock:
            work, net, last = self._last_work(), self._net, self.spec.layers
            shown: dict[str, dict[str, Array]] = {}
            for layer in range(1, last + 1):
                # the second pass of a rule ends below the output
                pairs = self.definition.activities if layer < last else OUTPUT
                shown[f"layer {layer}" if layer < last else "output"] = {
                    name: getattr(work, field)[net.unit[layer] :][: net.sizes[layer]].copy()
                    for name, field in pairs
                }
        return shown

    def _last_work(self) -> Work:
        """The activities of the last sample that was learned."""
        return self._other if self._swapped else self._work

    def predict(self, X: ArrayLike) -> Array:
        """h_L (N, n_L) for the rows of X (N, n_0); never changes what is learned."""
        X = coerce("X", X, self.dtype, (None, self.spec.sizes[0]))
        out = np.zeros((len(X), self.spec.sizes[-1]), self.dtype)
        with self.lock:  # one scratch for all
            self._predict(X, out)
        return out

    def predict_one(self) -> Array:
        """h_L (1, n_L) of the checked sample in ``single.X``; the caller holds ``lock``."""
        with self.lock:
            one = self.single
            self._predict(one.X, one.outcome.outputs)
            return one.outcome.outputs.copy()

    def _predict(self, X: Array, out: Array) -> None:
        kernel, parts = self._predictor
        kernel(parts.address, X, out)
