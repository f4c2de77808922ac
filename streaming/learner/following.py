"""A default learning rate that adapts to the magnitude of the input over the first samples.

`rate_models.defaults` has the formula. It depends on P, the mean square of the input of the network
(after scaling). Each of the first `MEASURED` samples is learned with the rate for the mean over all
samples up to and including it. After them the rate is constant.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rate_models import defaults
from rate_models.errors import BadOption
from rate_models.support import bounds
from streaming.learner.implementation import Network

MEASURED = 256
OF_ONE = ("running", "global")  # kinds of scaling after which the mean square is 1


class Power:
    """The mean square P of the input of the network, over the first samples.

    >>> power = Power()
    >>> power.add(np.array([[1.0, 2.0]]))
    >>> power.value, power.done
    (2.5, False)
    """

    def __init__(self) -> None:
        self._state = np.zeros(2)  # samples, and the sum of their mean squares

    def add(self, X: NDArray[Any]) -> None:
        """Add the rows of X (N, n_0), scaled as the input of the network."""
        for row in X.astype(np.float64):  # one after another: the result does not depend on chunks
            self._state = self._state + np.array([1, np.mean(row * row)])

    @property
    def value(self) -> float:
        """P; 1 before the first sample."""
        samples, total = self._state
        return float(total / samples) if samples else 1.0

    @property
    def done(self) -> bool:
        """Whether `MEASURED` samples were added."""
        return bool(self._state[0] >= MEASURED)

    def state(self) -> NDArray[np.float64]:
        """The state for a checkpoint: number of samples, sum of their mean squares."""
        return self._state.copy()

    def load_state(self, state: NDArray[Any], most: int) -> None:
        """Restore what `state` returned. Raises BadOption for an invalid state.

        most: the largest possible number of samples.
        """
        fit = bounds.fitting({"rate.power": state}, {"rate.power": self._state})
        bounds.check(fit, {"rate.power": (0, [most, np.finfo(float).max])})
        if not fit["rate.power"][0].is_integer():
            raise BadOption("rate.power", got=fit["rate.power"][0], expected="a number of samples")
        self._state = fit["rate.power"].copy()


class Following:
    """Sets those options of ``network`` that have no given value, by the formula.

    labels: whether the network learns classes. given: names of options that are not changed; if
    ``lr`` is among them, none is changed. scale: kind of input scaling. grows: whether the
    network may be replaced by a larger one, see `grown`.
    """

    def __init__(
        self,
        network: Network,
        labels: bool,
        given: Collection[str],
        scale: str,
        grows: bool = False,
    ) -> None:
        self._network, self._labels = network, labels
        self._power, self._names = Power(), tuple[str, ...]()
        if "lr" not in given:
            self._names = tuple(name for name in self._computed() if name not in given)
            self._set()
        self._by_formula = self._names if grows else ()  # also those that are constant by now
        if scale in OF_ONE:
            self._names = ()

    @property
    def open(self) -> bool:
        """Whether the next sample can change the rate, so that it has to be learned alone."""
        return bool(self._names)

    def see(self, X: NDArray[Any]) -> None:
        """Set the rate for the sample X (1, n_0), scaled as the input of the network."""
        self._power.add(X)
        self._set()
        if self._power.done:
            self._names = ()

    def keep(self, names: Collection[str]) -> None:
        """Keep these options, which were set by the user, constant; with ``lr`` all options."""
        for kind in ("_names", "_by_formula"):
            now = getattr(self, kind)
            setattr(self, kind, tuple(n for n in now if "lr" not in names and n not in names))

    def grown(self, network: Network) -> None:
        """Set the options of ``network``, which takes the place of a smaller one, by the formula.

        Options that have become constant are computed anew too, for the new sizes.
        """
        self._network = network
        adapting, self._names = self._names, self._by_formula
        self._set()
        self._names = adapting

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, tuple[str, ...]]]:
        """Arrays for a checkpoint, and the names of options: still adapting, and by the formula."""
        names = {"follows": self._names, "by_formula": self._by_formula}
        measured = self.open or self._by_formula
        return {"power": self._power.state()} if measured else {}, names

    def load_state(self, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> None:
        """Restore what `state` returned. Raises BadOption for an invalid state."""
        self._names = self._known(meta.get("follows", ()))  # older checkpoints have none
        self._by_formula = self._known(meta.get("by_formula", ()))
        if self.open or self._by_formula:
            self._power.load_state(arrays["power"], MEASURED - self.open)

    def _known(self, names: Collection[str]) -> tuple[str, ...]:
        computed = self._computed()
        known = tuple(name for name in computed if name in names)
        if len(known) != len(names):
            raise BadOption("follows", got=names, expected=f"some of {', '.join(computed)}")
        return known

    def _computed(self) -> dict[str, float]:
        """The options by the formula, for the mean square so far."""
        net = self._network
        how = self._labels, self._power.value, net.optimizer.momentum, net.options
        return defaults.options(net.definition, net.spec, *how)

    def _set(self) -> None:
        new, now = self._computed(), self._network.options
        changes = {name: new[name] for name in self._names if new[name] != now[name]}
        if changes:
            self._network.set(**changes)
