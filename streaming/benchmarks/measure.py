"""Timing: all peers of a scenario take turns, so that a busy machine slows all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from streaming.benchmarks.scenario import Array, Runner, Samples, Scenario

WARM = 50  # samples that compile a learner and touch its memory


class Speed(NamedTuple):
    """Samples per second: the median over the turns, and the quartiles. None where ``skipped``
    says why there is none."""

    median: float | None
    low: float | None = None
    high: float | None = None
    skipped: str | None = None


def speeds(
    scenario: Scenario, seconds: float, repeats: int, tell: Callable[[str], object]
) -> dict[str, Speed]:
    """The speed of every peer: ``repeats`` turns of about ``seconds`` each, with fresh learners.

    tell: called with the peer before each of repeats + 1 steps of each peer. A peer that fails is
    skipped, with its error as the reason.
    """
    samples = scenario.samples()
    sizes: dict[str, int] = {}
    makers: dict[str, Callable[[], Runner]] = {}
    reasons: dict[str, str] = {}
    for name, make in scenario.peers.items():
        tell(name)
        if isinstance(make, str):
            reasons[name] = make
            continue
        try:
            first = min(scenario.least, len(samples.X))
            speed = _speed(make, samples, first)
            sizes[name] = int(np.clip(seconds * speed, first, len(samples.X)))
            makers[name] = make
        except Exception as error:  # whatever libraries raise here; the other peers are measured
            reasons[name] = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
    rates: dict[str, list[float]] = {name: [] for name in sizes}
    for _ in range(repeats):
        for name in scenario.peers:
            tell(name)
            if name in makers:
                rates[name].append(_speed(makers[name], samples, sizes[name]))
    return {
        name: Speed(None, skipped=reasons[name]) if name in reasons else _spread(rates[name])
        for name in scenario.peers
    }


def _spread(rates: list[float]) -> Speed:
    low, high = np.quantile(rates, (0.25, 0.75))
    return Speed(statistics.median(rates), float(low), float(high))


def _speed(make: Callable[[], Runner], samples: Samples, n: int) -> float:
    """Samples per second of a fresh learner that has learned a few samples before."""
    learn = make()
    learn(samples.X[:WARM], samples.labels[:WARM])
    return n / seconds_of(learn, samples.X[:n], samples.labels[:n])


def seconds_of(learn: Runner, X: Array, labels: Array) -> float:
    """How long it takes, or what it says itself."""
    start = time.perf_counter()
    counted = learn(X, labels)
    return counted if isinstance(counted, float) else time.perf_counter() - start
