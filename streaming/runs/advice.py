"""Before a run, or when a live stream has begun: what the rule has to say about its rates."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from rate_models.rules import Advice
from streaming.learner.learner import OnlineLearner
from streaming.sources import Source

SAMPLES = 500


def advice(learner: OnlineLearner, X: Any, y: Any) -> list[Advice]:
    """What the learner's rule has to say about its rates, for samples like these."""
    net = learner.network
    advise = net.definition.advise
    if advise is None:
        return []
    x, target = learner.prepared(X, y)
    return advise(net.spec, net.hyper, net.optimizer, x, target)


class Adviser:
    """Says once what `advice` finds: a UserWarning if it is serious, else a line by ``say``.

    It looks at the first 500 samples, and, since some conditions need more, at the first four for
    each input if those are more.
    """

    def __init__(self, learner: OnlineLearner, say: Callable[[str], None]) -> None:
        self._learner, self._say = learner, say
        self._X: list[Any] = []
        self._y: list[Any] = []
        has_advice = learner.network.definition.advise is not None
        self._looks = sorted({SAMPLES, max(SAMPLES, 4 * learner.sizes[0])}) if has_advice else []
        self._seen, self._said = 0, set[str]()

    def before(self, source: Source) -> None:
        """Look into a source that has an end, and so can be read again, before learning."""
        if not self._looks or source.length is None:
            return
        del self._looks[:-1]
        for X, y in source.chunks(0):
            self.after(X, y)
            if not self._looks:
                return
        self._tell()
        self._looks.clear()

    def after(self, X: Any, y: Any) -> None:
        """Look at samples that went by; when they are enough, say what there is to say."""
        at = 0
        while self._looks and at < len(y):
            part = slice(at, at + self._looks[0] - self._seen)
            self._X.append(np.array(X[part]))
            self._y.append(np.array(y[part]))
            self._seen += len(self._y[-1])
            at += len(self._y[-1])
            if self._seen == self._looks[0]:
                self._tell()
                self._looks.pop(0)
                if not self._looks:
                    self._X.clear()
                    self._y.clear()

    def _tell(self) -> None:
        if not self._X:
            return
        for one in advice(self._learner, np.concatenate(self._X), np.concatenate(self._y)):
            what = one.text.partition(":")[0]  # without the numbers, which samples change
            if what in self._said or (self._said and not one.serious):
                continue
            self._said.add(what)
            if one.serious:
                warnings.warn(one.text, stacklevel=2)
            else:
                self._say(f"note: {one.text}")
