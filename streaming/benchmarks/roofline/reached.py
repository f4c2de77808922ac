"""How near our kernels are to the roofline, and where the time of a sample goes.

Two smaller networks of the same rule are measured too: one with one unit in every layer but the
last, whose time no width decides (loop, softmax, loss, error), and one with a single input. So the
time of a sample has three parts: fixed, layers above the first with all elementwise work, and the
first layer.
"""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np

from streaming.benchmarks import networks
from streaming.benchmarks.measure import seconds_of
from streaming.benchmarks.roofline import model
from streaming.benchmarks.roofline.limits import Limits

SAMPLES, TURNS, RATE = 20_000, 5, 1e-5
Sizes = tuple[int, ...]


class Reached:
    """Rows for networks; smaller networks that several have in common are measured once.

    seconds: duration of a measurement.
    """

    def __init__(self, limits: Limits, seconds: float) -> None:
        self._limits, self._seconds = limits, seconds / TURNS
        self._known: dict[tuple[str, Sizes], float] = {}

    def row(self, scenario: str, rule: str, sizes: Sizes, density: float, rate: float) -> Any:
        """rate: our samples per second. The row has all of `model.Bound`, and

        fraction: the least time over the measured time. fixed_share, above_share, first_share:
        parts of the measured time, see the module. first_fraction: of the first layer's least time
        alone over its part.
        """
        bound = model.bound(rule, sizes, density, self._limits)
        inner = (1, *sizes[1:])
        fixed, without = (
            self._time(rule, (*[1] * (len(sizes) - 1), sizes[-1])),
            self._time(rule, inner),
        )
        without = min(max(without, fixed), 1 / rate)
        first = max(bound.seconds - model.bound(rule, inner, 1.0, self._limits).seconds, 0.0)
        part = 1 - rate * without
        return {
            "scenario": scenario,
            "density": density,
            **bound._asdict(),
            "fraction": rate * bound.seconds,
            "fixed_share": min(rate * fixed, 1.0),
            "above_share": rate * without - min(rate * fixed, 1.0),
            "first_share": part,
            "first_fraction": min(rate * first / part, 1.0) if part > 0 else 1.0,
        }

    def _time(self, rule: str, sizes: Sizes) -> float:
        """Median seconds of a sample of a dense network."""
        if (rule, sizes) not in self._known:
            spec = networks.spec_of(rule, sizes)
            assert spec is not None
            X = np.ones((SAMPLES, sizes[0]), np.float32)
            labels = np.arange(SAMPLES) % sizes[-1]
            learn, some = networks.Online(spec, rule, RATE), networks.CHUNK
            seconds_of(learn, X[:some], labels[:some])
            once = seconds_of(learn, X[:some], labels[:some]) / some
            n = int(np.clip(self._seconds / once, some, SAMPLES))
            turns = [seconds_of(learn, X[:n], labels[:n]) / n for _ in range(TURNS)]
            self._known[rule, sizes] = statistics.median(turns)
        return self._known[rule, sizes]
