"""A scenario: peers that learn the same samples, and the samples."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rate_models.errors import MissingData
from streaming.sources import ArraySource, open_source

Array = NDArray[Any]
Runner = Callable[[Array, Array], object]  # learns from samples X (N, n_0) with labels (N,)
# A function that makes a fresh learner; or the reason why there is none here.
Peer = Callable[[], Runner] | str
SAMPLES = 200_000  # of small networks
IMAGES = 20_000
ZEROS = 0.81  # share of the pixels of MNIST that are zero


class Samples(NamedTuple):
    """X (N, n_0) and labels (N,). density: the share of inputs that are not zero. about: where
    they are from. power: the mean of ‖x‖², by which rates are chosen."""

    X: Array
    labels: Array
    about: str

    @property
    def density(self) -> float:
        """The share of inputs that are not zero."""
        return float((self.X[:2000] != 0).mean())

    @property
    def power(self) -> float:
        """The mean of ‖x‖²."""
        return float((self.X[:2000] ** 2).sum(1).mean())


class Scenario(NamedTuple):
    """name: never changes, so that numbers can be compared across versions.

    peers: by name, the first ``ours`` of them parts of this project. samples: called when the
    scenario is measured. least: how many samples a measurement has at least. rule, sizes: of a
    network whose roofline is computed.
    """

    name: str
    peers: Mapping[str, Peer]
    samples: Callable[[], Samples]
    least: int = 20
    rule: str | None = None
    sizes: tuple[int, ...] | None = None
    ours: int = 1


@cache
def images() -> Samples:
    """MNIST's first training samples, or random ones with its share of zero pixels."""
    with contextlib.suppress(MissingData):
        source = open_source("mnist")
        assert isinstance(source, ArraySource)
        X, y = source.train_arrays()
        return Samples((X[:IMAGES] / 255).astype(np.float32), y[:IMAGES], "mnist")
    X = sparse(784, 1 - ZEROS, IMAGES)
    labels = np.random.default_rng(1).integers(0, 10, IMAGES)
    return Samples(X, labels, f"random, {1 - ZEROS:.0%} not zero as in MNIST, which is not here")


@cache
def digits() -> Samples:
    """The bundled digits, again and again."""
    source = open_source("digits")
    assert isinstance(source, ArraySource)
    X, y = source.train_arrays()
    times = -(-SAMPLES // len(X))
    X = np.tile(X / X.max(), (times, 1))[:SAMPLES]
    return Samples(X.astype(np.float32), np.tile(y, times)[:SAMPLES], "digits")


@cache
def dense(inputs: int, samples: int) -> Samples:
    """Random inputs, none of which is zero."""
    labels = np.random.default_rng(1).integers(0, 10, samples)
    return Samples(sparse(inputs, 1.0, samples), labels, "random")


def sparse(inputs: int, density: float, samples: int) -> Array:
    """Uniform inputs with this share that is not zero, and ‖x‖² about 100."""
    rng = np.random.default_rng(0)
    X = rng.random((samples, inputs), np.float32)
    X *= np.float32(np.sqrt(300 / (inputs * density)))
    if density < 1:
        X *= rng.random((samples, inputs), np.float32) < density
    return X
