"""Samples per second of a circuit by its size, compared with loops over the same equations.

PEPITA's circuit in float32 and one thread: in time, with two phases of 100 ms at dt = 1 ms and
plasticity in the last 10 ms, so that a sample takes 200 time steps; and in steady state. The peers
are loops in NumPy and, compiled by `jax.jit`, in JAX. JAX, too, computes once what does not change
in a loop. Samples come in chunks of one length, so that JAX compiles once; the last chunk is
padded with samples that change nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from biocircuits import CircuitNetwork
from rate_models.compiler.kernel import Array
from rate_models.network import NetworkSpec, one_hot
from rate_models.textbook import initial_parameters

SIZES = ((64, 32, 10), (64, 256, 10), (64, 512, 10), (64, 128, 128, 128, 10))
STEPS, WINDOW, TAU, TAU_MEMORY, LR = 100, 10, 10.0, 1.0, 0.03
FAST, SLOW = -math.expm1(-1 / TAU_MEMORY), -math.expm1(-1 / TAU)
CHUNK = 50  # samples
Runner = Callable[[Array, Array], None]


def peers(sizes: tuple[int, ...]) -> dict[str, Callable[[], Runner] | None]:
    """Functions that make a fresh learner of that size; None where JAX is not installed.

    Peers "in time" are to be compared with each other, and so are those in "steady state".
    """
    spec, jax = NetworkSpec(sizes), find_spec("jax") is not None
    return {
        "circuit in time": partial(_circuit, spec, mode="continuous", window=float(WINDOW)),
        "circuit, steady state": partial(_circuit, spec),
        "NumPy loop in time": partial(_by_hand, spec, "float32"),
        "JAX loop in time": partial(JaxLoop, spec, in_time=True) if jax else None,
        "JAX loop, steady state": partial(JaxLoop, spec, in_time=False) if jax else None,
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
    own: dict[str, Any] = {"tau": TAU, "tau_memory": TAU_MEMORY, **options}
    net = CircuitNetwork(spec, "pepita", dtype="float32", lr=LR, **own)

    def learn(X: Array, labels: Array) -> None:
        net.learn(X, labels=labels)

    return learn


def _by_hand(spec: NetworkSpec, dtype: str = "float64") -> Runner:
    """The equations in time in NumPy, one line each."""
    params = initial_parameters(spec, "pepita", seed=0, dtype=dtype)
    W, F, last = params["W"], params["F"], spec.layers
    d = [np.zeros(n, dtype) for n in spec.sizes[1:]]
    soma = [np.zeros(n, dtype) for n in spec.sizes[1:-1]]
    error = np.zeros(spec.sizes[-1], dtype)

    def rates(x: Array) -> list[Array]:
        out = np.exp(d[-1] - d[-1].max())
        return [x, *(np.maximum(part, 0) for part in d[:-1]), out / out.sum()]

    def step(r: list[Array]) -> None:
        for layer in range(last):
            d[layer] += SLOW * (W[layer] @ r[layer] - d[layer])

    def learn(X: Array, labels: Array) -> None:
        targets = one_hot(labels, spec.sizes[-1], dtype)
        for x, y in zip(X.astype(dtype), targets, strict=True):
            for _ in range(STEPS):
                r = rates(x)
                step(r)
                for kept, rate in zip(soma, r[1:-1], strict=True):
                    kept += FAST * (rate - kept)
                error[...] += FAST * (r[-1] - y - error)
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


class JaxLoop:
    """The same equations as JAX compiles them, in float32: a scan over the samples of a chunk.

    in_time: whether each sample is a loop over time steps; else it is in steady state. weights:
    W_1..W_L as they are now.
    """

    def __init__(self, spec: NetworkSpec, *, in_time: bool) -> None:
        import jax.numpy as jnp

        params = initial_parameters(spec, "pepita", seed=0, dtype="float32")
        self.weights, self._F = [jnp.asarray(w) for w in params["W"]], jnp.asarray(params["F"])
        rest = [jnp.zeros(n) for n in spec.sizes[1:]]
        self._state = rest, rest[:-1], rest[-1]  # dendrites, somata and errors
        self._in_time, self._classes = in_time, spec.sizes[-1]

    def __call__(self, X: Array, labels: Array) -> None:
        import jax

        more, n = -len(X) % CHUNK, len(X)
        X = np.concatenate([X, np.zeros((more, X.shape[1]))]).astype(np.float32)
        Y = one_hot(np.concatenate([labels, np.zeros(more, np.int64)]), self._classes, np.float32)
        real, carried = np.arange(len(X)) < n, (self.weights, self._state)
        for at in range(0, len(X), CHUNK):
            part = slice(at, at + CHUNK)
            carried = _chunk(self._in_time)(carried, self._F, X[part], Y[part], real[part])
        ready: Any = jax.block_until_ready
        self.weights, self._state = ready(carried)


@cache
def _chunk(in_time: bool) -> Any:
    """A compiled function that learns a chunk of samples."""
    import jax

    sample: Any = _sample_in_time if in_time else _sample_in_steady_state

    def run(carried: Any, F: Any, X: Any, Y: Any, real: Any) -> Any:
        def one(before: Any, given: Any) -> Any:
            x, y, counts = given
            after = sample(*before, F, x, y)
            return jax.tree.map(partial(jax.numpy.where, counts), after, before), None

        return jax.lax.scan(one, carried, (X, Y, real))[0]

    return jax.jit(run)


def _rates(x: Any, currents: Any) -> list[Any]:
    import jax
    import jax.numpy as jnp

    return [x, *(jnp.maximum(d, 0) for d in currents[:-1]), jax.nn.softmax(currents[-1])]


def _sample_in_time(W: Any, state: Any, F: Any, x: Any, y: Any) -> Any:
    import jax
    import jax.numpy as jnp

    def moved(d: Any, r: Any) -> Any:
        return [a + SLOW * (w @ below - a) for a, w, below in zip(d, W, r, strict=False)]

    def standard(_: int, state: Any) -> Any:
        d, soma, error = state
        r = _rates(x, d)
        kept = [one + FAST * (rate - one) for one, rate in zip(soma, r[1:-1], strict=True)]
        return moved(d, r), kept, error + FAST * (r[-1] - y - error)

    d, soma, error = jax.lax.fori_loop(0, STEPS, standard, state)
    seen = x + F @ error

    def modulated(_: int, d: Any) -> Any:
        return moved(d, _rates(seen, d))

    def plastic(_: int, state: Any) -> Any:
        d, E = state
        r = _rates(seen, d)
        posts = [*(s - rate for s, rate in zip(soma, r[1:-1], strict=True)), error]
        E = [e + jnp.outer(p / WINDOW, pre) for e, p, pre in zip(E, posts, r, strict=False)]
        return moved(d, r), E

    d = jax.lax.fori_loop(0, STEPS - WINDOW, modulated, d)
    d, E = jax.lax.fori_loop(0, WINDOW, plastic, (d, [jnp.zeros_like(w) for w in W]))
    return [w - LR * e for w, e in zip(W, E, strict=True)], (d, soma, error)


def _sample_in_steady_state(W: Any, state: Any, F: Any, x: Any, y: Any) -> Any:
    import jax.numpy as jnp

    def settled(x: Any) -> list[Any]:
        currents: list[Any] = []
        for w in W:
            below = x if not currents else jnp.maximum(currents[-1], 0)
            currents.append(w @ below)
        return _rates(x, currents)

    soma = settled(x)
    error = soma[-1] - y
    r = settled(x + F @ error)
    posts = [*(s - rate for s, rate in zip(soma[1:-1], r[1:-1], strict=True)), error]
    after = [w - LR * jnp.outer(p, pre) for w, p, pre in zip(W, posts, r, strict=False)]
    return after, state
