"""How the time of a sample grows with width, depth, density, classes and the samples known ahead.

The exponent of a series is the slope of log time over log size for its larger sizes, where time is
no longer that of the smallest layers. The theory is the same for the least times of `roofline`; for
samples known ahead, with as many in a block.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from rate_models.network import NetworkSpec
from rate_models.support.estimates import free_memory
from streaming.benchmarks import networks
from streaming.benchmarks.measure import seconds_of
from streaming.benchmarks.roofline import model
from streaming.benchmarks.roofline.limits import Limits
from streaming.benchmarks.scenario import sparse

RULES = ("pepita", "backprop", "direct_feedback_alignment")
SECONDS, TURNS, LEAST = 0.05, 3, 8  # of a measurement; how many; samples: a whole block
RATE = 1e-6  # so small that sixteen layers do not diverge; no time depends on it
LARGER = 3  # sizes that the exponent is fitted to
DRAWN = 8 + 8 + 3 * 4  # bytes for each weight while a network is made


class Axis(NamedTuple):
    """What grows, its values, and the network and the density of each.

    ahead: how many samples the kernel is given at a time; None: as many as in a stream.
    """

    name: str
    values: Sequence[float]
    network: Callable[[Any], tuple[int, ...]]
    density: Callable[[float], float]
    shown: str
    ahead: Callable[[float], int | None] = lambda n: None


AXES = (
    Axis("width", (32, 64, 128, 256, 512, 1024, 2048, 4096, 8192),
         lambda n: (64, n, n, 10), lambda n: 1.0, "64-n-n-10"),
    Axis("depth", (1, 2, 4, 8, 16),
         lambda n: (64, *[256] * n, 10), lambda n: 1.0, "64-256×n-10"),
    Axis("density", (0.01, 0.03, 0.1, 0.3, 1.0),
         lambda n: (784, 1024, 10), lambda n: n, "784-1024-10, share n of the inputs"),
    Axis("classes", (2, 10, 30, 100, 300, 1000),
         lambda n: (64, 256, n), lambda n: 1.0, "64-256-n"),
    Axis("chunk", (1, 2, 4, 8),
         lambda n: (784, 1024, 10), lambda n: 1.0, "784-1024-10, n samples at a time", int),
)  # fmt: skip


def steps(quick: bool) -> int:
    """How many measurements `measured` takes."""
    return sum(len(_values(axis, quick)) for axis in AXES) * len(RULES)


def measured(
    limits: Limits, quick: bool, tell: Callable[[str], object] = lambda what: None
) -> list[dict[str, Any]]:
    """Series {axis, network, rule, points: [{value, seconds, bound}], exponent, theory}.

    quick: the smallest sizes only. tell: called before each measurement.
    """
    series = []
    for axis in AXES:
        for rule in RULES:
            points = []
            for value in _values(axis, quick):
                tell(f"{rule}, {axis.name} {value:g}")
                sizes, density, ahead = axis.network(value), axis.density(value), axis.ahead(value)
                blocks = model.BLOCKS if ahead is None else (ahead,)
                if not _fits(sizes):
                    continue
                points.append(
                    {"value": value, "seconds": _seconds(rule, sizes, density, ahead, quick),
                     "bound": model.bound(rule, sizes, density, limits, blocks).seconds}
                )  # fmt: skip
            series.append(
                {"axis": axis.name, "network": axis.shown, "rule": rule, "points": points,
                 "exponent": exponent(points, "seconds"), "theory": exponent(points, "bound")}
            )  # fmt: skip
    return series


def _values(axis: Axis, quick: bool) -> Sequence[float]:
    return axis.values[:2] if quick else axis.values


def _fits(sizes: tuple[int, ...]) -> bool:
    """Whether half of the free memory holds a network while it is made."""
    free = free_memory()
    weights = sum(map(np.prod, NetworkSpec(sizes).shapes))
    return free is None or DRAWN * weights < free / 2


def _seconds(
    rule: str, sizes: tuple[int, ...], density: float, ahead: int | None, quick: bool
) -> float:
    """Seconds of a sample, the median of some turns."""
    spec = NetworkSpec(sizes)
    X = sparse(sizes[0], density, 2000)
    labels = np.random.default_rng(1).integers(0, sizes[-1], len(X))
    learn = networks.Online(spec, rule, RATE, ahead or networks.CHUNK)
    once = seconds_of(learn, X[:LEAST], labels[:LEAST]) / LEAST
    once = seconds_of(learn, X[:LEAST], labels[:LEAST]) / LEAST
    n = LEAST if quick else int(np.clip(SECONDS / once, LEAST, len(X)))
    turns = [seconds_of(learn, X[:n], labels[:n]) / n for _ in range(1 if quick else TURNS)]
    return statistics.median(turns)


def exponent(points: Sequence[dict[str, float]], of: str) -> float | None:
    """The slope of log ``of`` over log value for the larger sizes; None for fewer than two.

    >>> exponent([{"value": n, "seconds": 3 * n**2} for n in (1.0, 10.0, 100.0)], "seconds")
    2.0
    """
    some = points[-LARGER:]
    if len(some) < 2:
        return None
    x, y = (np.log([point[name] for point in some]) for name in ("value", of))
    return round(float(np.polyfit(x, y, 1)[0]), 6)
