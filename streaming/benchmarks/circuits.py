"""Samples per second of a circuit in continuous time by its size, compared with a NumPy loop.

PEPITA's circuit, two phases of 100 ms at dt = 1 ms, plasticity in the last 10 ms, float64, one
thread. A sample takes 200 time steps, each of which reads every synapse once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from biocircuits import CircuitNetwork
from rate_models.compiler.kernel import Array
from rate_models.network import NetworkSpec, one_hot
from rate_models.textbook import initial_parameters

SIZES = ((64, 32, 10), (64, 128, 10), (64, 512, 10), (64, 128, 128, 128, 10))
STEPS, WINDOW, TAU, TAU_MEMORY, LR = 100, 10, 10.0, 1.0, 0.03
Runner = Callable[[Array, Array], None]


def peers(sizes: tuple[int, ...]) -> dict[str, Callable[[], Runner]]:
    """Functions that make a fresh learner of that size."""
    spec = NetworkSpec(sizes)
    return {
        "circuit in time": partial(_circuit, spec, mode="continuous", window=float(WINDOW)),
        "circuit, steady state": partial(_circuit, spec),
        "NumPy loop in time": partial(_by_hand, spec),
    }


def scenario(sizes: tuple[int, ...]) -> str:
    """
    >>> scenario((64, 32, 10))
    'pepita-circuit-64-32-10'
    """
    return f"pepita-circuit-{'-'.join(map(str, sizes))}"


def data(samples: int = 2000) -> tuple[Array, Array]:
    """Random inputs of the size of digits, and random labels."""
    rng = np.random.default_rng(0)
    return rng.random((samples, 64)), rng.integers(0, 10, samples)


def _circuit(spec: NetworkSpec, **options: Any) -> Runner:
    net = CircuitNetwork(spec, "pepita", lr=LR, tau=TAU, tau_memory=TAU_MEMORY, **options)

    def learn(X: Array, labels: Array) -> None:
        net.learn(X, labels=labels)

    return learn


def _by_hand(spec: NetworkSpec) -> Runner:
    """The same equations in NumPy, one line each."""
    params = initial_parameters(spec, "pepita", seed=0)
    W, F, last = params["W"], params["F"], spec.layers
    fast, slow = -math.expm1(-1 / TAU_MEMORY), -math.expm1(-1 / TAU)
    d = [np.zeros(n) for n in spec.sizes[1:]]
    soma, error = [np.zeros(n) for n in spec.sizes[1:-1]], np.zeros(spec.sizes[-1])

    def rates(x: Array) -> list[Array]:
        out = np.exp(d[-1] - d[-1].max())
        return [x, *(np.maximum(part, 0) for part in d[:-1]), out / out.sum()]

    def step(r: list[Array]) -> None:
        for layer in range(last):
            d[layer] += slow * (W[layer] @ r[layer] - d[layer])

    def learn(X: Array, labels: Array) -> None:
        for x, y in zip(X, one_hot(labels, spec.sizes[-1]), strict=True):
            for _ in range(STEPS):
                r = rates(x)
                step(r)
                for kept, rate in zip(soma, r[1:-1], strict=True):
                    kept += fast * (rate - kept)
                error[...] += fast * (r[-1] - y - error)
            E = [np.zeros_like(w) for w in W]
            seen = x + F @ error
            for t in range(STEPS):
                r = rates(seen)
                if t >= STEPS - WINDOW:
                    for layer in range(last - 1):
                        E[layer] += np.outer((soma[layer] - r[layer + 1]) / WINDOW, r[layer])
                    E[-1] += np.outer(error / WINDOW, r[-2])
                step(r)
            for w, e in zip(W, E, strict=True):
                w -= LR * e

    learn.weights = W  # type: ignore[attr-defined]
    return learn
