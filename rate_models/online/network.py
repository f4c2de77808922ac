"""A network that learns one sample at a time, in compiled kernels: arrays in, arrays out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rate_models import network, rules
from rate_models.compiler import foreign
from rate_models.compiler.kernel import DTYPES, Array, aligned, coerce
from rate_models.compiler.records import Record
from rate_models.errors import BadOption, Diverged
from rate_models.kernels import input_synapses, layers
from rate_models.model import draws, optimizers
from rate_models.model.hyperparameters import checked, numeric, unknown
from rate_models.model.optimizers import Optimizer, moves
from rate_models.network import NetworkSpec, Parameters
from rate_models.online import kernel as online_kernel
from rate_models.online.kernel import Options, Parts
from rate_models.online.parameters import Trainable, class_indices, restored
from rate_models.rules import Own, Rule
from rate_models.support import bounds
from rate_models.support.arguments import check_text

MOST_STRUCTURED = 8192  # outputs


class Outcome(NamedTuple):
    """What the network said of each sample before learning from it, without dropout or noise.

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


class OnlineNetwork(Trainable):
    """A network, a rule and an optimiser in compiled form.

    spec: the network. rule: a name in `rate_models.rules`, the path of a file of one's own, or a
    `Rule`; it has a kernel. seed: of weights, feedback, masks and
    noise. dtype: float64 or float32. structured: False for the plain form of the first layer
    (see `input_synapses`), which more than 8,192 outputs always have. Any field of the rule's
    Hyperparameters by name.

    Raises UnknownName and BadOption for what cannot be; learning raises Diverged.

    >>> net = OnlineNetwork(NetworkSpec((4, 8, 3)), "pepita", seed=0)
    >>> net.learn(np.eye(4), labels=[0, 1, 2, 0]).outputs.shape
    (4, 3)
    >>> net.samples_seen
    4
    """

    def __init__(
        self,
        spec: NetworkSpec,
        rule: str | Rule = "pepita",
        *,
        seed: int = 0,
        dtype: str = "float64",
        optimizer: Optimizer | None = None,
        structured: bool = True,
        **hyperparameters: Any,
    ) -> None:
        check_text("dtype", dtype, f"one of {', '.join(DTYPES)}")
        if dtype not in DTYPES:
            raise BadOption("dtype", got=repr(dtype), expected=f"one of {', '.join(DTYPES)}")
        network.check_seed(seed)
        network.check_dense("OnlineNetwork", spec)
        self.definition = rules.get(rule)
        self._check_kernel()
        self.spec, self.rule, self.seed, self.dtype = spec, self.definition.name, int(seed), dtype
        self.optimizer = checked(Optimizer(), **(optimizer or Optimizer())._asdict())
        self.hyper = checked(self.definition.hyperparameters(), **hyperparameters)
        rules.check(self.definition, spec, self.hyper)
        # KᵀK of the structured form grows with the square of the outputs
        self.structured = structured and spec.sizes[-1] <= MOST_STRUCTURED
        self._clock = np.zeros(1, np.int64)
        self._build(rules.start(self.definition, spec, self.hyper, self.seed))

    def _check_kernel(self) -> None:
        """Refuse a rule that cannot learn here."""
        if not self.definition.compiled:
            remedy = "rate_models.online.textbook.TextbookNetwork learns by it, slowly"
            raise BadOption(f"rule {self.definition.name}", got="no kernel: batch alone",
                            expected="teach and tasks as well", remedy=remedy)  # fmt: skip

    @property
    def options(self) -> dict[str, Any]:
        """All that `set`, or a new network, takes by name."""
        return {**self.optimizer._asdict(), **self.hyper._asdict()}

    @property
    def _moving(self) -> bool:
        return moves(self.optimizer)

    @property
    def _remembered(self) -> int:
        """How many updates the layers remember."""
        return 0

    @property
    def _gathering(self) -> bool:
        """Whether they come together, at the end of a mini-batch."""
        return False

    def _build(self, params: Parameters) -> None:
        """Arrays for the kernels, holding ``params``; velocities at rest."""
        self._net, self._work = layers.allocate(
            self.spec, self.dtype, moving=self._moving, remembered=self._remembered,
            gather=self._gathering,
        )  # fmt: skip
        flat = [np.ravel(w) for w in params["W"][1:]]
        self._net.W[:] = np.concatenate(flat) if flat else 0
        self._net.b[:] = np.concatenate(params["b"]) if params["b"] else 0
        feedback = self.definition.input_feedback(params, self.hyper)
        if feedback is None:
            feedback = np.zeros((self.spec.sizes[0], 0))
        self._syn = input_synapses.allocate(
            np.asarray(params["W"][0], self.dtype),
            np.asarray(feedback, self.dtype),
            moving=self._moving,
            structured=self.structured,
        )
        self._shapes = {own.name: _shape(params[own.name])
                        for own in self.definition.own if own.name in params}  # fmt: skip
        fields = [field for own in self.definition.own for field in self._fields(own, params)]
        self._params = self.definition.kernel_params(*(fields or [np.zeros(0, self.dtype)]))
        parts = Parts(self._net, self._syn, self._params, self._work, self._clock)
        self._parts = Record(parts)
        self._predictor = online_kernel.predictor(self.definition, parts)
        self._open()

    def _open(self) -> None:
        """The record of ``hyper`` and ``optimizer``, the kernel, and memory for one sample."""
        rates = optimizers.rates(self.optimizer)
        self._options = Record(Options(numeric(self.hyper, self.dtype), rates))
        self._kernel = online_kernel.learner(self.definition, self._parts, self._options)
        self._make_single()

    def _make_single(self) -> None:
        x, y = np.zeros((1, self.spec.sizes[0]), self.dtype), np.zeros((1, 0), self.dtype)
        draws = self._draws(1, None, None)
        self.single = Single(x, np.zeros(1, np.int64), y, *draws, self._blank_outcome(1))

    def _blank_outcome(self, n: int) -> Outcome:
        outputs = np.zeros((n, self.spec.sizes[-1]), self.dtype)
        return Outcome(np.zeros(n, np.int64), np.zeros(n), outputs)

    def _fields(self, own: Own, params: Parameters) -> list[Array]:
        """An own array as kernels take it, in the order of `Own.fields`."""
        value = params.get(own.name, [])
        flat = aligned(_flat(value), self.dtype)
        begins = [np.cumsum([0, *map(np.size, value)], dtype=np.int64)] if own.each else []
        velocity = [aligned(np.zeros(flat.size), self.dtype)] if own.changes == "stepped" else []
        return [flat, *begins, *velocity]

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
        said = self._blank_outcome(n)
        with self.lock:
            learned = self._learn(X, index, y, *self._draws(n, masks, noise), said)
            if learned < n:
                predicted, losses, outputs = said
                so_far = Outcome(predicted[:learned], losses[:learned], outputs[:learned])
                raise self._diverged(so_far)
        return said

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
        self, X: Array, labels: Array, Y: Array, masks: Array, noise: Array, said: Outcome
    ) -> int:
        """Learn from checked samples in order, fill ``said``; how many were learned from."""
        try:
            learned: int = self._kernel(
                self._parts.address, self._options.address, X, labels, Y, masks, noise, *said
            )
        except foreign.UNCOMPILED as error:  # in a file of one's own
            where, got = f"kernel of rule {self.rule}", foreign.explained(error)
            raise BadOption(where, got=got, expected="what numba compiles") from error
        return learned

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

    def parameters(self) -> Parameters:
        """Copies of all parameters, as the plain form would hold them; changes nothing."""
        with self.lock:
            return self._parameters()

    def _parameters(self) -> Parameters:
        net, shapes = self._net, self.spec.shapes
        above = [net.W[net.weight[i] :][: n * m].reshape(n, m).copy()
                 for i, (n, m) in enumerate(shapes[1:], start=2)]  # fmt: skip
        biases = [net.b[net.unit[i] :][:n].copy() for i, (n, _) in enumerate(shapes, start=1)]
        params: Parameters = {"W": [input_synapses.folded(self._syn), *above]}
        params["b"] = biases if self.spec.bias else []
        for name, shape in self._shapes.items():
            params[name] = _nested(self._params._asdict()[name], shape)
        return params

    def set(self, /, **changes: Any) -> None:
        """Change the optimiser or hyperparameters from the next sample on.

        What the initial parameters were drawn by is fixed: BadOption.

        >>> net = OnlineNetwork(NetworkSpec((4, 8, 3)))
        >>> net.set(lr=0.01, momentum=0.9)
        >>> net.optimizer.momentum
        0.9
        """
        for name in changes:
            if name in self.definition.fixed:
                raise BadOption(name, expected="to be set when the network is built")
            if name not in (*Optimizer._fields, *self.hyper._fields):
                raise unknown(name, [*Optimizer._fields, *self.hyper._fields])
        mine = {k: v for k, v in changes.items() if k in Optimizer._fields}
        rest = {k: v for k, v in changes.items() if k not in mine}
        with self.lock:
            optimizer, hyper = checked(self.optimizer, **mine), checked(self.hyper, **rest)
            self._admit(optimizer, hyper)
            before, self.optimizer, self.hyper = self._moving, optimizer, hyper
            if self._moving != before:  # velocities appear or go
                self._rebuild()
            self._open()

    def _admit(self, optimizer: Optimizer, hyper: Any) -> None:
        """Refuse what the network cannot learn with."""
        rules.check(self.definition, self.spec, hyper)

    def _rebuild(self) -> None:
        self._build(self.parameters())

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies are built as this one was, and take over its state."""
        return restored, (type(self), self._made_with(), self.state())

    def _made_with(self) -> dict[str, Any]:
        """The arguments that make a network like this one."""
        return {
            "spec": self.spec, "rule": self.definition, "seed": self.seed, "dtype": self.dtype,
            "optimizer": self.optimizer, "structured": self.structured, **self.hyper._asdict(),
        }  # fmt: skip

    def _arrays(self) -> dict[str, Array]:
        named = {f"input.{name}": getattr(self._syn, name) for name in input_synapses.STATE}
        named |= {f"layers.{name}": getattr(self._net, name) for name in ("W", "vW", "b", "vb")}
        begins = {own.begins for own in self.definition.own}
        named |= {f"rule.{k}": v for k, v in self._params._asdict().items() if k not in begins}
        return {**named, "clock": self._clock}

    def _bounds(self, arrays: dict[str, Array]) -> bounds.Bounds:
        named = {f"input.{name}": ends for name, ends in input_synapses.BOUNDS.items()}
        counts = [f"rule.{name}" for name in self.definition.named("counts")]
        return named | {name: (0, bounds.MOST) for name in ("clock", *counts)}


def _shape(value: Any) -> Any:
    """The shape of an array; of a list of arrays, the list of their shapes."""
    return [np.shape(a) for a in value] if isinstance(value, list) else np.shape(value)


def _flat(value: Any) -> Array:
    """An array, or a list of arrays one after another, row by row."""
    parts = value if isinstance(value, list) else [value]
    return np.concatenate([np.zeros(0), *(np.ravel(a) for a in parts)])


def _nested(flat: Array, shape: Any) -> Any:
    """Copies of what `_flat` has laid out."""
    if not isinstance(shape, list):
        return flat.reshape(shape).copy()
    sizes = [math.prod(one) for one in shape]
    parts = np.split(flat, np.cumsum(sizes))  # the last one is empty
    return [part.reshape(one).copy() for part, one in zip(parts, shape, strict=False)]
