"""A learning rate that nothing was said of follows the size of the input, over the first samples.

`rate_models.defaults` has the formula. What it needs of the input is P, the mean square of what the
network gets. Each of the first `MEASURED` samples is learned from with the rate for all samples up
to and with it; from then on the rate stays.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rate_models import defaults
from rate_models.errors import BadOption
from rate_models.support import bounds
from streaming.learner.realisation import Network

MEASURED = 256
OF_ONE = ("running", "global")  # kinds of scaling after which the mean square is 1


class Power:
    """The mean square of an input to the network, over the first samples.

    >>> power = Power()
    >>> power.add(np.array([[1.0, 2.0]]))
    >>> power.value, power.done
    (2.5, False)
    """

    def __init__(self) -> None:
        self._state = np.zeros(2)  # samples, and the sum of their mean squares

    def add(self, X: NDArray[Any]) -> None:
        """Count the rows of X (N, n_0), as the network gets them."""
        for row in X.astype(np.float64):  # one after another: chunks change no digit
            self._state += 1, np.mean(row * row)

    @property
    def value(self) -> float:
        """P; 1 before the first sample."""
        samples, total = self._state
        return float(total / samples) if samples else 1.0

    @property
    def done(self) -> bool:
        """Whether it has seen enough."""
        return bool(self._state[0] >= MEASURED)

    def state(self) -> NDArray[np.float64]:
        """For a checkpoint."""
        return self._state.copy()

    def load_state(self, state: NDArray[Any]) -> None:
        """Go on from `state`; BadOption where it cannot be one."""
        fit = bounds.fitting({"rate.power": state}, {"rate.power": self._state})
        bounds.check(fit, {"rate.power": (0, [MEASURED - 1, np.finfo(float).max])})
        if not fit["rate.power"][0].is_integer():
            raise BadOption("rate.power", got=fit["rate.power"][0], expected="a number of samples")
        self._state = fit["rate.power"].copy()


class Following:
    """Sets the options of ``network`` that the formula decides and nobody gave.

    labels: whether it learns classes. given: names of options that stay as they are; with ``lr``
    among them all do. scale: kind of input scaling.
    """

    def __init__(self, network: Network, labels: bool, given: Collection[str], scale: str) -> None:
        self._network, self._labels = network, labels
        self._power, self._names = Power(), tuple[str, ...]()
        if "lr" not in given:
            self._names = tuple(name for name in self._found() if name not in given)
            self._set()
        if scale in OF_ONE:
            self._names = ()

    @property
    def open(self) -> bool:
        """Whether the next sample can change the rate: it has to be learned from alone."""
        return bool(self._names)

    def see(self, X: NDArray[Any]) -> None:
        """Set the rate for the sample X (1, n_0), as the network gets it."""
        self._power.add(X)
        self._set()
        if self._power.done:
            self._names = ()

    def keep(self, names: Collection[str]) -> None:
        """These were set, and stay; with ``lr`` all do."""
        self._names = tuple(n for n in self._names if "lr" not in names and n not in names)

    def state(self) -> tuple[dict[str, NDArray[Any]], tuple[str, ...]]:
        """Arrays for a checkpoint, none where the rate stays; the names that follow."""
        return {"power": self._power.state()} if self.open else {}, self._names

    def load_state(self, arrays: Mapping[str, NDArray[Any]], names: Collection[str]) -> None:
        """Go on from `state`; BadOption where it cannot be one."""
        found = tuple(name for name in self._found() if name in names)
        if len(found) != len(names):
            raise BadOption("follows", got=names, expected=f"some of {', '.join(self._found())}")
        self._names = found
        if self.open:
            self._power.load_state(arrays["power"])

    def _found(self) -> dict[str, float]:
        net = self._network
        how = self._labels, self._power.value, net.optimizer.momentum, net.options
        return defaults.options(net.definition, net.spec, *how)

    def _set(self) -> None:
        found, now = self._found(), self._network.options
        changes = {name: found[name] for name in self._names if found[name] != now[name]}
        if changes:
            self._network.set(**changes)
