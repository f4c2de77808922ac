"""Before a run, or when a live stream has begun: what the rule has to say about its rates."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from rate_models.rules import Advice
from streaming.learner import OnlineLearner
from streaming.sources import Source

SAMPLES = 500


def advice(learner: OnlineLearner, X: Any, y: Any) -> list[Advice]:
    """What the learner's rule has to say about its rates, for samples like these."""
    net = learner.network
    if not hasattr(net.module, "advise"):
        return []
    x, target = learner.prepared(X, y)
    found: list[Advice] = net.module.advise(net.spec, net.hyper, net.optimizer, x, target)
    return found


class Adviser:
    """Says once what `advice` finds: a UserWarning if it is serious, else a line by ``say``.

    It looks at the first 500 samples, or at four for each input if those are more.
    """

    def __init__(self, learner: OnlineLearner, say: Callable[[str], None]) -> None:
        self._learner, self._say = learner, say
        self._X: list[Any] = []
        self._y: list[Any] = []
        has_advice = hasattr(learner.network.module, "advise")
        self._left = max(SAMPLES, 4 * learner.sizes[0]) if has_advice else 0

    def before(self, source: Source) -> None:
        """Look into a source that has an end, and so can be read again, before learning."""
        if self._left and source.length is not None:
            for X, y in source.chunks(0):
                self.after(X, y)
                if not self._left:
                    return
            self._tell()

    def after(self, X: Any, y: Any) -> None:
        """Look at samples that went by; when they are enough, say what there is to say."""
        if self._left:
            self._X.append(np.array(X[: self._left]))
            self._y.append(np.array(y[: self._left]))
            self._left -= len(self._y[-1])
            if not self._left:
                self._tell()

    def _tell(self) -> None:
        X, y, self._X, self._y, self._left = self._X, self._y, [], [], 0
        if not X:
            return
        for one in advice(self._learner, np.concatenate(X), np.concatenate(y)):
            if one.serious:
                warnings.warn(one.text, stacklevel=2)
            else:
                self._say(f"note: {one.text}")
