"""The loop over samples as JAX compiles it: a jitted `lax.scan` of the equations.

The scan carries all arrays that learn. Samples come in chunks of one length, so that JAX compiles
once. The last chunk is padded with samples whose rates are zero. The prediction for each sample and
its loss are computed too, as a learner has to.

Products use one thread if JAX was not imported before this module's first `Scan`.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from typing import Any

import numpy as np

from rate_models import rules
from rate_models.network import NetworkSpec, one_hot
from rate_models.textbook import initial_parameters
from streaming.benchmarks.peers import equations
from streaming.benchmarks.peers.equations import Array, Ops

ONE_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
NUMBERS = 2_000_000  # multiply-adds of a chunk, about: a chunk takes some milliseconds
CHUNKS = (20, 500)  # samples


def one_thread_in_jax() -> None:
    """Let JAX use one thread, unless it was imported before and cannot be told any more."""
    flags = os.environ.get("XLA_FLAGS", "")
    if "jax" not in sys.modules and ONE_THREAD not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {ONE_THREAD}".strip()


class Scan:
    """Learns from samples by a rule of `equations.RULES`, in float32.

    parameters: all arrays as they are now.
    """

    def __init__(self, spec: NetworkSpec, rule: str, lr: float) -> None:
        one_thread_in_jax()
        import jax.numpy as jnp

        from rate_models.textbook import mapped

        self.parameters = mapped(initial_parameters(spec, rule, 0, "float32"), jnp.asarray)
        self._rule, self._lr, self._outputs = rule, lr, spec.sizes[-1]
        self._rng, self._width = np.random.default_rng(0), equations.noise_width(rule, spec)
        self._chunk_size = int(np.clip(NUMBERS // sum(map(np.prod, spec.shapes)), *CHUNKS))

    def __call__(self, X: Array, labels: Array, noise: Array | None = None) -> None:
        import jax

        if noise is None:
            noise = equations.draw(self._rule, self._rng, len(X), self._width)
        for at in range(0, len(X), self._chunk_size):
            part = slice(at, at + self._chunk_size)
            Y = one_hot(labels[part], self._outputs, np.float32)
            rates = np.full(len(Y), 1, np.float32)
            chunk = [self._padded(array) for array in (X[part], Y, noise[part], rates)]
            self.parameters = _scan(self._rule, self._lr)(self.parameters, *chunk)
        jax.block_until_ready(self.parameters)

    def _padded(self, array: Array) -> Array:
        if len(array) == self._chunk_size:
            return array
        more = np.zeros((self._chunk_size - len(array), *array.shape[1:]), array.dtype)
        return np.concatenate([array, more])


@cache
def _scan(rule: str, lr: float) -> Any:
    """The compiled scan of a rule; it returns the parameters after the last sample."""
    import jax
    import jax.numpy as jnp

    ops = Ops(
        lambda a: jnp.maximum(a, 0), jax.nn.softmax, jax.nn.logsumexp, jnp.cumsum, jnp.tanh,
        jnp.sign,
    )  # fmt: skip
    hyper = rules.get(rule).hyperparameters()

    def step(p: Any, sample: Any) -> Any:
        x, y, noise, learns = sample
        a, changes = equations.step(ops, rule, p, x, y, noise, lr, hyper)
        after = {name: list(v) if isinstance(v, list) else v for name, v in p.items()}
        for name, index, rate, post, pre, keep in changes:
            old = after[name] if index is None else after[name][index]
            change = post if pre is None else jnp.outer(post, pre)
            new = (old if keep == 1.0 else (1 + learns * (keep - 1)) * old) + learns * rate * change
            if index is None:
                after[name] = new
            else:
                after[name][index] = new
        return after, (jnp.argmax(a), jax.nn.logsumexp(a) - a @ y)

    def run(p: Any, *samples: Any) -> Any:
        return jax.lax.scan(step, p, samples)

    compiled = jax.jit(run)
    return lambda *arguments: compiled(*arguments)[0]
