"""Warnings of a rule about its learning rates, before a run or early in a live stream."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from rate_models.rules import RateWarning
from streaming.learner.learner import OnlineLearner
from streaming.sources import Source

SAMPLES = 500  # in the first check


def rate_warnings(learner: OnlineLearner, X: Any, y: Any) -> list[RateWarning]:
    """Warnings and notes of the learner's rule about its rates, for samples such as X and y."""
    net = learner.network
    if (check := net.definition.rate_warnings) is None:
        return []
    x, target = learner.prepared(X, y)
    return check(net.spec, net.hyper, net.optimizer, x, target)


class RateChecks:
    """Reports every result of `rate_warnings` once: a UserWarning if serious, else by ``notify``.

    The rates are checked for the first 500 samples. Some conditions need more samples. So a second
    check follows after four samples per input, if these are more than 500.
    """

    def __init__(self, learner: OnlineLearner, notify: Callable[[str], None]) -> None:
        self._learner, self._notify = learner, notify
        self._X: list[Any] = []
        self._y: list[Any] = []
        has_checks = learner.network.definition.rate_warnings is not None
        # the numbers of samples at which to check
        self._due = sorted({SAMPLES, max(SAMPLES, 4 * learner.sizes[0])}) if has_checks else []
        self._seen, self._reported = 0, set[str]()

    def before(self, source: Source) -> None:
        """Check the rates before learning, once, if the source has an end and can be read again."""
        if not self._due or source.length is None:
            return
        del self._due[:-1]
        for X, y in source.chunks(0):
            self.after(X, y)
            if not self._due:
                return
        self._report()
        self._due.clear()

    def after(self, X: Any, y: Any) -> None:
        """Collect samples of the stream, and check the rates as soon as there are enough."""
        at = 0
        while self._due and at < len(y):
            part = slice(at, at + self._due[0] - self._seen)
            self._X.append(np.array(X[part]))
            self._y.append(np.array(y[part]))
            self._seen += len(self._y[-1])
            at += len(self._y[-1])
            if self._seen == self._due[0]:
                self._report()
                self._due.pop(0)
                if not self._due:
                    self._X.clear()
                    self._y.clear()

    def _report(self) -> None:
        if not self._X:
            return
        X, y = np.concatenate(self._X), np.concatenate(self._y)
        for one in rate_warnings(self._learner, X, y):
            kind = one.text.partition(":")[0]  # without its numbers, which depend on the samples
            if kind in self._reported or (self._reported and not one.serious):
                continue
            self._reported.add(kind)
            if one.serious:
                warnings.warn(one.text, stacklevel=2)
            else:
                self._notify(f"note: {one.text}")
