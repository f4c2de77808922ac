"""Parameters and state of a network that learns: to read, to load, to copy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rate_models.compiler.kernel import Array, coerce
from rate_models.errors import BadOption, quoted
from rate_models.model.hyperparameters import unknown
from rate_models.model.optimizers import Optimizer
from rate_models.network import Parameters
from rate_models.support import bounds
from rate_models.support.arguments import elements
from rate_models.support.locks import new_lock


def class_indices(labels: ArrayLike, n: int, classes: int) -> NDArray[np.int64]:
    """``labels`` as n class indices; BadOption names one that is none or out of range.

    >>> class_indices([0, 2], 2, 3).tolist()
    [0, 2]
    """
    given = np.asarray(labels)
    if given.dtype.kind not in "biu":
        try:
            given = given.astype(float)
        except (TypeError, ValueError):
            expected = "class indices, whole numbers"
            raise BadOption("labels", got=f"an array of {given.dtype}", expected=expected) from None
        odd = given[~(given == np.round(given))]
        if odd.size:
            raise BadOption("labels", got=odd.flat[0], expected="class indices, whole numbers")
    index = coerce("labels", given, np.int64, (n,))
    if n and (index.min() < 0 or index.max() >= classes):
        bad = index[(index < 0) | (index >= classes)][0]
        raise BadOption("labels", got=bad, expected=f"0 to {classes - 1}")
    return index


class Trainable(ABC):
    """Parameters by their names in the papers; and all of the state, by name, for checkpoints.

    lock: of the thread that learns or reads, so that readers find the state between two samples.
    """

    kind = "network"  # what errors call it
    dtype: str
    optimizer: Optimizer
    lock: Any
    _clock: Array

    def __new__(cls, *args: Any, **options: Any) -> Self:
        made = super().__new__(cls)
        made.lock = new_lock()
        return made

    @property
    def samples_seen(self) -> int:
        """How many samples the network has learned from."""
        return int(self._clock[0])

    @abstractmethod
    def parameters(self) -> Parameters:
        """Copies of all parameters, {name: array or list of arrays}; changes nothing."""

    @abstractmethod
    def _build(self, params: Parameters) -> None:
        """Start from ``params``, with all else at rest."""

    @abstractmethod
    def _arrays(self) -> dict[str, Array]:
        """All arrays of the state, not copied."""

    @property
    def remedy(self) -> str:
        """What to do where it diverges."""
        return f"lower the learning rate (lr={self.optimizer.lr:g}) or scale the input"

    def load_parameters(self, params: Parameters) -> None:
        """Take over parameters of the same names and shapes; all else starts at rest.

        Names that are absent keep their values. Raises BadOption when a shape differs or a number
        is not finite.
        """
        with self.lock:
            self._take_over(params)

    def _take_over(self, params: Parameters) -> None:
        new = self.parameters()
        for name, value in _named(params, new):
            if not isinstance(name, str) or name not in new:
                raise unknown(name, list(new))
            old = new[name]
            if not isinstance(old, list):
                new[name] = _taken(name, value, self.dtype, old.shape)
                continue
            several = elements(name, value, f"a list of {len(old)} arrays")
            if len(several) != len(old):
                raise BadOption(name, got=f"{len(several)} arrays", expected=f"{len(old)}")
            new[name] = [_taken(f"{name}[{i}]", v, self.dtype, o.shape)
                         for i, (v, o) in enumerate(zip(several, old, strict=True))]  # fmt: skip
        for name, value in new.items():
            held = value if isinstance(value, list) else [value]
            if not all(np.isfinite(a).all() for a in held):
                raise BadOption(name, got="NaN or infinite numbers", expected="finite numbers")
        self._build(new)

    def state(self) -> dict[str, Array]:
        """Copies of all arrays that a bit-identical continuation needs, by name."""
        with self.lock:
            return {name: array.copy() for name, array in self._arrays().items()}

    def load_state(self, arrays: dict[str, Array]) -> None:
        """Load what `state` returned.

        Raises BadOption when names or shapes do not fit, or a counter or index is out of bounds.
        """
        mine, arrays = self._arrays(), self._upgraded(arrays)
        if mine.keys() != arrays.keys():
            odd = ", ".join(sorted(mine.keys() ^ arrays.keys()))
            expected = f"those of this {self.kind}"
            raise BadOption("state", got=f"other arrays ({odd})", expected=expected)
        given = bounds.fitting(arrays, mine)
        bounds.check(given, self._bounds(given))
        with self.lock:
            for name, array in given.items():
                mine[name][...] = array

    def _upgraded(self, arrays: dict[str, Array]) -> dict[str, Array]:
        """The same state as this release stores it."""
        return arrays

    @abstractmethod
    def _bounds(self, arrays: dict[str, Array]) -> bounds.Bounds:
        """What the numbers of a state may be, of all whole numbers at least; see `bounds`."""

    def is_finite(self) -> bool:
        """Whether every number that is part of the state is finite."""
        return all(bool(np.isfinite(array).all()) for array in self._arrays().values())


def _named(params: Any, new: Parameters) -> list[tuple[Any, Any]]:
    """Names and values that were passed; BadOption for values without names."""
    if not isinstance(params, Mapping):
        expected = f"a dict of {', '.join(new)}, as parameters() gives it"
        raise BadOption("parameters", got=quoted(params), expected=expected)
    return list(params.items())


def _taken(what: str, value: Any, dtype: str, shape: tuple[int, ...]) -> Array:
    """A parameter that was passed, of this shape; BadOption for any other."""
    expected = f"numbers of shape {shape}"
    given = getattr(value, "shape", shape)  # of what is no array, it is known after the conversion
    if given != shape and given is not None:
        raise BadOption(what, got=f"shape {quoted(given)}", expected=expected)
    try:
        with np.errstate(over="ignore"):
            return coerce(what, value, dtype, shape)
    except BadOption:
        raise
    except Exception:  # whatever a foreign object raises when asked to be an array
        raise BadOption(what, got=quoted(value), expected=expected) from None


def restored(kind: Any, made_with: dict[str, Any], state: dict[str, Array]) -> Any:
    """A network of this kind in this state."""
    net = kind(**made_with)
    net.load_state(state)
    return net
