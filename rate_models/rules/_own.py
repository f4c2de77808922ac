"""A rule's own arrays, beside W and b: their shape, initial values, and what changes them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rate_models import network
from rate_models.errors import BadOption
from rate_models.network import NetworkSpec, Parameters

Array = NDArray[Any]
Axes = tuple[int, ...]  # the layer of each axis of an array; layer 0 is the input


class Start(NamedTuple):
    """The argument of `Own.drawn`: what the initial values of an own array may depend on.

    rng: the generator of all own arrays, which are drawn in the order of their declaration.
    shape: of the array. layers: the layer of each axis. params: W, b, and the own arrays declared
    before it, in double precision.
    """

    rng: np.random.Generator
    shape: tuple[int, ...]
    layers: Axes
    spec: NetworkSpec
    hyper: Any
    params: Parameters


def zeros(start: Start) -> Array:
    """Zeros."""
    return np.zeros(start.shape)


def uniform_feedback(start: Start) -> Array:
    """U(-b, b) with b = κ √(6/n), κ ``feedback_scale``, n the units of the receiving layer.

    For filters (channels, filters, rows, columns), n = channels · rows · columns.
    """
    received = math.prod(start.shape) // start.shape[1]
    scale: float = start.hyper.feedback_scale
    return scale * network.draw("he_uniform", start.rng, start.shape, fan_in=received)


def units(spec: NetworkSpec, layers: Axes) -> tuple[int, ...]:
    """The shape (n_j, n_k, ...) for layers j, k, ...; (1,), a single number, for no layers."""
    return tuple(spec.sizes[layer] for layer in layers) or (1,)


def _number(spec: NetworkSpec, hyper: Any) -> Axes:
    return ()


class Own(NamedTuple):
    """An own array of a rule, or a list of them.

    Kernel state, tensors, velocities, the names in checkpoints and the links that diagnostics
    measure are derived from this declaration.

    name: of the parameter, as in the rule's equations.
    layers(spec, hyper): the layer of each axis of a single array: (0, L) for shape (n_0, n_L);
    () for a single number, of shape (1,). None: no such array with these hyperparameters.
    each(spec, hyper): for a list: the same for each of its arrays; in place of ``layers``.
    drawn(start): the initial values; zeros by default.
    changes: what changes the array. fixed: nothing. learned: the rule itself. stepped: the
    optimiser, as it does W, by `Update.own`. counts: the rule, as a counter of samples, equal in
    all networks that have seen equally many, whatever their seed.
    feedback: whether the array carries signals between its two layers, and can be compared with the
    forward weights. Layers (below, above) mean the shape of Wᵀ, (above, below) that of W.
    shape(spec, layers): the shape, where it is not (n_j, n_k).
    by_columns: whether kernels hold a matrix column after column, which is faster where it takes a
    signal of few numbers to many units.

    In kernels an array X is ``params.X``, flat and row after row, and empty where there is none.
    The arrays of a list are concatenated; array i extends from ``params.X_at[i]`` to
    ``params.X_at[i + 1]``. The velocity of a stepped X is ``params.vX``, initially zero.
    """

    name: str
    layers: Callable[[NetworkSpec, Any], Axes | None] = _number
    each: Callable[[NetworkSpec, Any], Sequence[Axes] | None] | None = None
    drawn: Callable[[Start], Array] = zeros
    changes: Literal["fixed", "learned", "stepped", "counts"] = "fixed"
    feedback: bool = False
    shape: Callable[[NetworkSpec, Axes], tuple[int, ...]] = units
    by_columns: bool = False

    @property
    def begins(self) -> str:
        """The name in kernels of the offsets of the arrays in a list."""
        return f"{self.name}_at"

    @property
    def fields(self) -> tuple[str, ...]:
        """The names in kernels: of the array, of the offsets of a list, of the velocity."""
        begins = () if self.each is None else (self.begins,)
        velocity = (f"v{self.name}",) if self.changes == "stepped" else ()
        return (self.name, *begins, *velocity)

    def axes(self, spec: NetworkSpec, hyper: Any) -> Sequence[Axes]:
        """The layers of each array, one entry per array; empty where there is no array."""
        if self.each is not None:
            return self.each(spec, hyper) or []
        alone = self.layers(spec, hyper)
        return [] if alone is None else [alone]

    def start(
        self, spec: NetworkSpec, hyper: Any, params: Parameters, rng: np.random.Generator
    ) -> Array | list[Array] | None:
        """The initial array or list of arrays; None where there is none.

        Raises BadOption for a shape that is not the declared one.
        """
        if self.each is not None and self.each(spec, hyper) is None:
            return None
        arrays = []
        for layers in self.axes(spec, hyper):
            shape = self.shape(spec, layers)
            array = self.drawn(Start(rng, shape, layers, spec, hyper, params))
            if np.shape(array) != shape:
                got, expected = f"shape {np.shape(array)}", f"{shape}, as declared"
                raise BadOption(f"start of {self.name}", got=got, expected=expected)
            arrays.append(array)
        if self.each is not None:
            return arrays
        return arrays[0] if arrays else None
