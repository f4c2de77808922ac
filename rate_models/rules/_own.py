"""A rule's own arrays, beside W and b: their shape, how they start, what changes them."""

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
Axes = tuple[int, ...]  # a layer for each axis of an array; layer 0 is the input


class Start(NamedTuple):
    """What an own array is drawn by.

    rng: the generator of all own arrays, which are drawn in the order of their declaration.
    shape: of the array. layers: those that belong to its axes. params: W, b, and the own arrays
    declared before it, in double precision.
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
    """U(-b, b) with b = κ √(6/n), κ ``feedback_scale``, n the units of the layer that receives.

    Of a filter (channels, filters, rows, columns), n = channels · rows · columns: what it sees.
    """
    received = math.prod(start.shape) // start.shape[1]
    scale: float = start.hyper.feedback_scale
    return scale * network.draw("he_uniform", start.rng, start.shape, fan_in=received)


def units(spec: NetworkSpec, layers: Axes) -> tuple[int, ...]:
    """(n_j, n_k, ...) of the layers j, k, ...; (1,) of none: a single number."""
    return tuple(spec.sizes[layer] for layer in layers) or (1,)


def _number(spec: NetworkSpec, hyper: Any) -> Axes:
    return ()


class Own(NamedTuple):
    """An own array, or a list of them. Kernel state, tensors, velocities, the names in checkpoints
    and the links that diagnostics measure follow from this.

    name: of the parameter, as in the rule's equations.
    layers(spec, hyper): the layers that belong to the axes of one array, (0, L) for (n_0, n_L);
    () for a single number, of shape (1,). None: these hyperparameters need no such array.
    each(spec, hyper): of a list, the same for each of its arrays; in place of ``layers``.
    drawn(start): its start. Without it, zeros.
    changes: fixed: never. learned: by the rule itself. stepped: by the optimiser as W is, by what
    `Stage.own` has. counts: the rule counts samples with it, alike in all networks that have seen
    as many, whatever their seed.
    feedback: whether it carries signals between its two layers, and could be compared with the
    forward weights: (below, above) says Wᵀ's shape, (above, below) that of W.
    shape(spec, layers): where the shape is not (n_j, n_k).

    In kernels an array X lies flat, row by row, as ``params.X``, empty where there is none. Of a
    list all arrays lie one after another; array i lies from ``params.X_at[i]`` to
    ``params.X_at[i + 1]``. The velocity of a stepped X is ``params.vX``, zero at the start.
    """

    name: str
    layers: Callable[[NetworkSpec, Any], Axes | None] = _number
    each: Callable[[NetworkSpec, Any], Sequence[Axes] | None] | None = None
    drawn: Callable[[Start], Array] = zeros
    changes: Literal["fixed", "learned", "stepped", "counts"] = "fixed"
    feedback: bool = False
    shape: Callable[[NetworkSpec, Axes], tuple[int, ...]] = units

    @property
    def begins(self) -> str:
        """The name in kernels of where the arrays of a list begin."""
        return f"{self.name}_at"

    @property
    def fields(self) -> tuple[str, ...]:
        """The names in kernels: of the array, of where each of a list begins, of the velocity."""
        begins = () if self.each is None else (self.begins,)
        velocity = (f"v{self.name}",) if self.changes == "stepped" else ()
        return (self.name, *begins, *velocity)

    def axes(self, spec: NetworkSpec, hyper: Any) -> Sequence[Axes]:
        """The layers of each array; none where there is no array."""
        if self.each is not None:
            return self.each(spec, hyper) or []
        alone = self.layers(spec, hyper)
        return [] if alone is None else [alone]

    def start(
        self, spec: NetworkSpec, hyper: Any, params: Parameters, rng: np.random.Generator
    ) -> Array | list[Array] | None:
        """The array or list as drawn; None where there is none.

        Raises BadOption for a shape that is not the declared one.
        """
        if self.each is not None and self.each(spec, hyper) is None:
            return None
        made = []
        for layers in self.axes(spec, hyper):
            shape = self.shape(spec, layers)
            array = self.drawn(Start(rng, shape, layers, spec, hyper, params))
            if np.shape(array) != shape:
                got, expected = f"shape {np.shape(array)}", f"{shape}, as declared"
                raise BadOption(f"start of {self.name}", got=got, expected=expected)
            made.append(array)
        if self.each is not None:
            return made
        return made[0] if made else None
