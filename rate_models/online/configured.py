"""A network in compiled form: its arrays, its options and its state."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from rate_models import network, rules
from rate_models.compiler.kernel import DTYPES, Array, aligned
from rate_models.compiler.records import Record
from rate_models.errors import BadOption
from rate_models.kernels import input_synapses, layers
from rate_models.model import optimizers
from rate_models.model.hyperparameters import checked, numeric, unknown
from rate_models.model.optimizers import Optimizer, moves
from rate_models.network import NetworkSpec, Parameters
from rate_models.online import former_states
from rate_models.online import kernel as online_kernel
from rate_models.online.kernel import Options, Parts
from rate_models.online.parameters import Trainable, restored
from rate_models.rules import Own, Rule
from rate_models.support import bounds
from rate_models.support.arguments import check_text

MOST_STRUCTURED = 8192  # outputs


class ConfiguredNetwork(Trainable):
    """The part of `OnlineNetwork` that builds the arrays and changes the options.

    Its arguments are those of `OnlineNetwork`.
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
    def _accumulating(self) -> bool:
        """Whether they come together, at the end of a mini-batch."""
        return False

    def _build(self, params: Parameters) -> None:
        """Arrays for the kernels, holding ``params``; velocities at rest."""
        self._net, self._work = layers.allocate(
            self.spec, self.dtype, moving=self._moving, remembered=self._remembered,
            accumulate=self._accumulating,
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
        self._shapes = {own: _shape(params[own.name])
                        for own in self.definition.own if own.name in params}  # fmt: skip
        fields = [field for own in self.definition.own for field in self._fields(own, params)]
        self._params = self.definition.kernel_params(*(fields or [np.zeros(0, self.dtype)]))
        _, other = layers.allocate(self.spec, self.dtype, moving=False)
        self._work, self._other = layers.in_turn(self._work, other)
        parts = Parts(self._net, self._syn, self._params, self._work, self._other, self._clock)
        self._parts = Record(parts)
        self._predictor = online_kernel.predictor(self.definition, parts)
        self._open()

    def _fields(self, own: Own, params: Parameters) -> list[Array]:
        """An own array as kernels take it, in the order of `Own.fields`."""
        value = params.get(own.name, [])
        flat = aligned(_flat(value, own), self.dtype)
        begins = [np.cumsum([0, *map(np.size, value)], dtype=np.int64)] if own.each else []
        velocity = [aligned(np.zeros(flat.size), self.dtype)] if own.changes == "stepped" else []
        return [flat, *begins, *velocity]

    def _open(self) -> None:
        """The record of ``hyper`` and ``optimizer``, and the kernel."""
        rates = optimizers.rates(self.optimizer)
        follow = online_kernel.follows(self.definition, self.spec, self.hyper)
        hyper = numeric(self.hyper, self.dtype)
        self._options = Record(Options(hyper, rates, int(follow)))
        self._kernel = online_kernel.learner(self.definition, self._parts, self._options)

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
        for own, shape in self._shapes.items():
            params[own.name] = _nested(self._params._asdict()[own.name], shape, own)
        return params

    def set(self, /, **changes: Any) -> None:
        """Change the optimiser or hyperparameters from the next sample on.

        What the initial parameters were drawn by is fixed: BadOption.

        >>> from rate_models.online.network import OnlineNetwork
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

    def _upgraded(self, arrays: dict[str, Array]) -> dict[str, Array]:
        new = former_states.upgraded(arrays)
        for own, shape in self._shapes.items() if new is not arrays else ():
            name, by_rows = f"rule.{own.name}", own._replace(by_columns=False)
            if name in new and new[name].shape == self._arrays()[name].shape:
                new[name] = _flat(_nested(new[name], shape, by_rows), own).astype(self.dtype)
        return new

    def _bounds(self, arrays: dict[str, Array]) -> bounds.Bounds:
        named = {f"input.{name}": ends for name, ends in input_synapses.BOUNDS.items()}
        counts = [f"rule.{name}" for name in self.definition.named("counts")]
        return named | {name: (0, bounds.MOST) for name in ("clock", *counts)}


def _shape(value: Any) -> Any:
    """The shape of an array; of a list of arrays, the list of their shapes."""
    return [np.shape(a) for a in value] if isinstance(value, list) else np.shape(value)


def _flat(value: Any, own: Own) -> Array:
    """An array, or a list of arrays one after another, as kernels hold it."""
    parts = value if isinstance(value, list) else [value]
    return np.concatenate([np.zeros(0), *(np.ravel(a, _order(own)) for a in parts)])


def _nested(flat: Array, shape: Any, own: Own) -> Any:
    """Copies of what `_flat` has laid out."""
    if not isinstance(shape, list):
        return flat.reshape(shape, order=_order(own)).copy("C")
    sizes = [math.prod(one) for one in shape]
    parts = np.split(flat, np.cumsum(sizes))  # the last one is empty
    return [
        part.reshape(one, order=_order(own)).copy("C")
        for part, one in zip(parts, shape, strict=False)
    ]


def _order(own: Own) -> Literal["C", "F"]:
    return "F" if own.by_columns else "C"
