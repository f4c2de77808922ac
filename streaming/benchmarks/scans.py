"""The loop over samples as JAX compiles it: a jitted `lax.scan` of the same equations.

Each rule is a function of the weights, its feedback and one sample; the scan carries the weights.
Samples come in blocks of one length, so that JAX compiles once. At the end of the last block stand
samples with a learning rate of zero.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np

from rate_models.compiler.kernel import Array
from rate_models.network import NetworkSpec, one_hot
from rate_models.textbook import initial_parameters

RULES = ("pepita", "backprop", "direct_feedback_alignment")
BLOCK = 500  # samples


class Scan:
    """Learns from samples by a rule of `RULES`, in float32, with ReLU and softmax.

    weights: W_1..W_L as they are now.
    """

    def __init__(self, spec: NetworkSpec, rule: str, lr: float) -> None:
        import jax.numpy as jnp

        params = initial_parameters(spec, rule, seed=0, dtype="float32")
        self.weights = [jnp.asarray(w) for w in params["W"]]
        own = params.get("F", params.get("B", []))
        self._feedback = [jnp.asarray(one) for one in own] if isinstance(own, list) else own
        self._rule, self._lr = rule, lr

    def __call__(self, X: Array, labels: Array) -> None:
        import jax

        more = -len(X) % BLOCK
        X = np.concatenate([X, np.zeros((more, X.shape[1]), X.dtype)])
        Y = one_hot(np.concatenate([labels, np.zeros(more, np.int64)]), 10, np.float32)
        rates = np.full(len(X), self._lr, np.float32)
        rates[len(X) - more :] = 0
        for at in range(0, len(X), BLOCK):
            part = slice(at, at + BLOCK)
            self.weights = _scan(self._rule)(
                self.weights, self._feedback, X[part], Y[part], rates[part]
            )
        jax.block_until_ready(self.weights)


def peer(rule: str, spec: NetworkSpec, lr: float) -> Callable[[], Scan] | None:
    """A function that makes a fresh `Scan`; None if JAX is not installed."""
    return None if find_spec("jax") is None else lambda: Scan(spec, rule, lr)


@cache
def _scan(rule: str) -> Any:
    """The compiled scan of a rule; it returns the weights after the last sample.

    What was said of each sample is computed too, as a learner has to: the class and the loss.
    """
    import jax
    import jax.numpy as jnp

    teaching = {
        "pepita": _pepita, "backprop": _backprop, "direct_feedback_alignment": _direct
    }[rule]  # fmt: skip

    def run(weights: Any, feedback: Any, X: Any, Y: Any, rates: Any) -> Any:
        def step(weights: Any, sample: Any) -> Any:
            x, y, rate = sample
            h = [x]
            for w in weights[:-1]:
                h.append(jnp.maximum(w @ h[-1], 0))
            a = weights[-1] @ h[-1]
            h.append(jax.nn.softmax(a))
            said = jnp.argmax(a), jax.nn.logsumexp(a) - a @ y
            posts, pres = teaching(jnp, weights, feedback, h, h[-1] - y)
            after = [
                w - rate * jnp.outer(post, pre)
                for w, post, pre in zip(weights, posts, pres, strict=True)
            ]
            return after, said

        return jax.lax.scan(step, weights, (X, Y, rates))

    compiled = jax.jit(run)
    return lambda *arguments: compiled(*arguments)[0]


def _pepita(jnp: Any, weights: Any, F: Any, h: Any, e: Any) -> Any:
    """δ_l = h_l - p_l with p_0 = x + F e, and p_{l-1}; see `rules.pepita`."""
    p = [h[0] + F @ e]
    for w in weights[:-1]:
        p.append(jnp.maximum(w @ p[-1], 0))
    return [*(one - other for one, other in zip(h[1:-1], p[1:], strict=True)), e], p


def _backprop(jnp: Any, weights: Any, feedback: Any, h: Any, e: Any) -> Any:
    """δ_{l-1} = s' ∘ W_lᵀ δ_l, and h_{l-1}."""
    deltas = [e]
    for w, below in zip(weights[:0:-1], h[-2:0:-1], strict=True):
        deltas.insert(0, (w.T @ deltas[0]) * (below > 0))
    return deltas, h[:-1]


def _direct(jnp: Any, weights: Any, B: Any, h: Any, e: Any) -> Any:
    """δ_l = s' ∘ B_l e, and h_{l-1}."""
    return [*((b @ e) * (one > 0) for b, one in zip(B, h[1:-1], strict=True)), e], h[:-1]
