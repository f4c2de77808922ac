"""Rules for one sample, written once for NumPy, torch and JAX: the textbook without batches.

A rule takes the parameters, one sample and its noise, and returns the changes of all arrays, which
the caller applies: in place (`loops`) or as new arrays (`scans`). Symbols are those of the rules'
own files in `rate_models.rules`. ReLU in hidden layers; softmax and cross-entropy, for drtp sigmoid
and binary cross-entropy, for bmvr a linear output and the squared error; no biases; default
hyperparameters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rate_models import rules
from rate_models.network import NetworkSpec

Array = NDArray[Any]


class Ops(NamedTuple):
    """What the three libraries call differently.

    relu, softmax, log_sum_exp, cumulative: of a vector. tanh: of a number. sign: of a matrix.
    """

    relu: Callable[[Any], Any]
    softmax: Callable[[Any], Any]
    log_sum_exp: Callable[[Any], Any]
    cumulative: Callable[[Any], Any]
    tanh: Callable[[Any], Any]
    sign: Callable[[Any], Any]


class Change(NamedTuple):
    """array ← keep · array + rate · post preᵀ; for a vector pre is None: + rate · post.

    name, place: of the array in the parameters; place None where it is not a list.
    """

    name: str
    place: int | None
    rate: Any
    post: Any
    pre: Any
    keep: Any = 1.0


class Passed(NamedTuple):
    """h_0..h_{L-1}, a_L and h_L of the standard pass."""

    h: list[Any]
    a: Any
    out: Any


Equations = Callable[..., list[Change]]


def standard_pass(ops: Ops, p: Any, x: Any) -> Passed:
    """h_l = ReLU(W_l h_{l-1}), a_L = W_L h_{L-1}, softmax."""
    h = [x]
    for w in p["W"][:-1]:
        h.append(ops.relu(w @ h[-1]))
    a = p["W"][-1] @ h[-1]
    return Passed(h, a, ops.softmax(a))


def pepita(ops: Ops, p: Any, at: Passed, y: Any, noise: Any, lr: Any, hyper: Any) -> list[Change]:
    """δ_l = h_l − p_l with p_0 = x + F e; ΔW_l = δ_l p_{l-1}ᵀ."""
    e, W = at.out - y, p["W"]
    below = at.h[0] + p["F"] @ e
    changes = []
    for i, h in enumerate(at.h[1:]):
        above = ops.relu(W[i] @ below)
        changes.append(Change("W", i, -lr, h - above, below))
        below = above
    return [*changes, Change("W", len(W) - 1, -lr, e, below)]


def backprop(ops: Ops, p: Any, at: Passed, y: Any, noise: Any, lr: Any, hyper: Any) -> list[Change]:
    """δ_{l-1} = s' ∘ W_lᵀ δ_l; ΔW_l = δ_l h_{l-1}ᵀ."""
    return _down(at, y, lr, lambda i, delta: p["W"][i].T @ delta)


def feedback_alignment(
    ops: Ops, p: Any, at: Passed, y: Any, noise: Any, lr: Any, hyper: Any
) -> list[Change]:
    """δ_{l-1} = s' ∘ B_l δ_l; ΔW_l = δ_l h_{l-1}ᵀ."""
    return _down(at, y, lr, lambda i, delta: p["B"][i - 1] @ delta)


def sign_symmetry(
    ops: Ops, p: Any, at: Passed, y: Any, noise: Any, lr: Any, hyper: Any
) -> list[Change]:
    """δ_{l-1} = s' ∘ √(1.5 / n_{l-1}) sign(W_l)ᵀ δ_l; ΔW_l = δ_l h_{l-1}ᵀ."""

    def back(i: int, delta: Any) -> Any:
        w = p["W"][i]
        return (1.5 / w.shape[1]) ** 0.5 * (ops.sign(w).T @ delta)

    return _down(at, y, lr, back)


def _down(at: Passed, y: Any, lr: Any, back: Callable[[int, Any], Any]) -> list[Change]:
    """Errors travel down; back: what W[i]'s δ sends to the layer below."""
    delta, changes = at.out - y, []
    for i in range(len(at.h) - 1, -1, -1):
        changes.append(Change("W", i, -lr, delta, at.h[i]))
        if i:
            delta = back(i, delta) * (at.h[i] > 0)
    return changes


def direct_feedback_alignment(
    ops: Ops, p: Any, at: Passed, y: Any, noise: Any, lr: Any, hyper: Any
) -> list[Change]:
    """δ_l = s' ∘ B_l e; ΔW_l = δ_l h_{l-1}ᵀ."""
    return _from_output(p, at, y, at.out - y, lr)


def drtp(ops: Ops, p: Any, at: Passed, y: Any, noise: Any, lr: Any, hyper: Any) -> list[Change]:
    """δ_l = s' ∘ B_l y; ΔW_l = δ_l h_{l-1}ᵀ."""
    return _from_output(p, at, y, y, lr)


def _from_output(p: Any, at: Passed, y: Any, signal: Any, lr: Any) -> list[Change]:
    hidden = [
        Change("W", i, -lr, (b @ signal) * (h > 0), at.h[i])
        for i, (b, h) in enumerate(zip(p["B"], at.h[1:], strict=True))
    ]
    return [*hidden, Change("W", len(hidden), -lr, at.out - y, at.h[-1])]


def adaptive_feedback_alignment(
    ops: Ops, p: Any, at: Passed, y: Any, noise: Any, lr: Any, hyper: Any
) -> list[Change]:
    """δ_0 = −s F e, δ_l = s' ∘ W_l δ_{l-1}; ΔW_l = δ_l h_{l-1}ᵀ."""
    e, changes = at.out - y, []
    delta = -hyper.sign * (p["F"] @ e)
    for i, h in enumerate(at.h[1:]):
        delta = (p["W"][i] @ delta) * (h > 0)
        changes.append(Change("W", i, -lr, delta, at.h[i]))
    return [*changes, Change("W", len(changes), -lr, e, at.h[-1])]


def node_perturbation(
    ops: Ops, p: Any, at: Passed, y: Any, noise: Any, lr: Any, hyper: Any
) -> list[Change]:
    """λ̂_l = (L̃ − L) ξ_l / c; λ_l = B_{l+1}ᵀ ẽ_{l+1} learns to predict it. noise: ξ."""
    W, signal = p["W"], at.out - y
    estimated = _estimated(ops, p, at, y, noise, hyper)
    changes = [Change("W", len(W) - 1, -lr, signal, at.h[-1])]
    for i in range(len(W) - 2, -1, -1):
        predicted = p["B"][i].T @ signal
        changes.append(Change("B", i, -hyper.eta_b, signal, predicted - estimated[i]))
        signal = predicted * (at.h[i + 1] > 0)
        changes.append(Change("W", i, -lr, signal, at.h[i]))
    return changes


def reinforce(
    ops: Ops, p: Any, at: Passed, y: Any, noise: Any, lr: Any, hyper: Any
) -> list[Change]:
    """δ_l = s' ∘ λ̂_l; ΔW_l = δ_l h_{l-1}ᵀ."""
    estimated = _estimated(ops, p, at, y, noise, hyper)
    hidden = [
        Change("W", i, -lr, one * (at.h[i + 1] > 0), at.h[i]) for i, one in enumerate(estimated)
    ]
    return [*hidden, Change("W", len(hidden), -lr, at.out - y, at.h[-1])]


def _estimated(ops: Ops, p: Any, at: Passed, y: Any, noise: Any, hyper: Any) -> list[Any]:
    """λ̂_l = (L̃ − L) ξ_l / c of every hidden layer."""
    W, xi, begin = p["W"], [], 0
    for h in at.h[1:]:
        xi.append(noise[begin : begin + len(h)])
        begin += len(h)
    noisy = at.h[1] + hyper.c * xi[0]
    for w, one in zip(W[1:-1], xi[1:], strict=True):
        noisy = ops.relu(w @ noisy) + hyper.c * one
    d = W[-1] @ noisy - at.a
    rise = (ops.log_sum_exp(at.a + d) - ops.log_sum_exp(at.a) - d @ y) / hyper.c
    return [rise * one for one in xi]


def bmvr(ops: Ops, p: Any, at: Passed, y: Any, noise: Any, lr: Any, hyper: Any) -> list[Change]:
    """p = W_2ᵀ y − Q n teaches W_1; W_2, Q and R follow averages, and so does z̄."""
    (_, W_2), Q, R = p["W"], p["Q"], p["R"]
    x, r = at.h
    z = r - p["mean"]
    n = R @ z
    apical, inhibition = lr * hyper.eta_apical, lr * hyper.eta_q
    return [
        Change("W", 0, lr, (y @ W_2 - Q @ n) * (r > 0), x),
        Change("W", 1, apical, y, z, 1 - apical),
        Change("Q", None, inhibition, z, n, 1 - inhibition),
        Change("R", None, inhibition, n, z, 1 - inhibition),
        Change("mean", None, hyper.mean_rate, z, None),
    ]


def forward_forward(
    ops: Ops, p: Any, at: Passed, y: Any, noise: Any, lr: Any, hyper: Any
) -> list[Change]:
    """A pass with the right label and one with a wrong label. noise: chooses the wrong one."""
    W, K = p["W"], p["K"]
    upto = ops.cumulative((1 - y) * (at.out + 1e-6))
    wrong = (1.0 * (upto >= (1 - noise[0]) * upto[-1])).argmax()
    neutral = at.h[0] - K.sum(1) / len(y)
    good, bad = neutral + K @ y, neutral + K[:, wrong]
    changes, rate, temperature = [], lr * hyper.eta_hidden, hyper.temperature
    for i, w in enumerate(W[:-1]):
        factor = rate * (hyper.eta_above / w.shape[1] if i else 1)
        u, v = ops.relu(w @ good), ops.relu(w @ bad)
        right = 0.5 + 0.5 * ops.tanh((hyper.threshold - _goodness(u)) / temperature / 2)
        false = 0.5 + 0.5 * ops.tanh((_goodness(v) - hyper.threshold) / temperature / 2)
        changes += [
            Change("W", i, factor, right * u, good),
            Change("W", i, -factor, false * v, bad),
        ]
        good, bad = normalised(u), normalised(v)
    last = len(W) - 1
    rate = -lr * (hyper.eta_above / W[last].shape[1])
    return [*changes, Change("W", last, rate, at.out - y, at.h[-1])]


def _goodness(v: Any) -> Any:
    return v @ v / len(v)


def normalised(v: Any) -> Any:
    """N(v) = v / (√G(v) + 10⁻⁴)"""
    return v / (_goodness(v) ** 0.5 + 1e-4)


def forward_forward_pass(ops: Ops, p: Any, x: Any) -> Passed:
    """h_l = N(ReLU(W_l h_{l-1}))"""
    h = [x]
    for w in p["W"][:-1]:
        h.append(normalised(ops.relu(w @ h[-1])))
    a = p["W"][-1] @ h[-1]
    return Passed(h, a, ops.softmax(a))


def sigmoid_pass(ops: Ops, p: Any, x: Any) -> Passed:
    """The standard pass with σ(a_L)."""
    h, a, _ = standard_pass(ops, p, x)
    return Passed(h, a, 0.5 + 0.5 * ops.tanh(a / 2))


def bmvr_pass(ops: Ops, p: Any, x: Any) -> Passed:
    """r = ReLU(W_1 x), ŷ = W_2 (r − z̄)"""
    r = ops.relu(p["W"][0] @ x)
    a = p["W"][1] @ (r - p["mean"])
    return Passed([x, r], a, a)


RULES: dict[str, Equations] = {
    "pepita": pepita,
    "backprop": backprop,
    "feedback_alignment": feedback_alignment,
    "sign_symmetry": sign_symmetry,
    "direct_feedback_alignment": direct_feedback_alignment,
    "drtp": drtp,
    "adaptive_feedback_alignment": adaptive_feedback_alignment,
    "node_perturbation": node_perturbation,
    "reinforce": reinforce,
    "bmvr": bmvr,
    "forward_forward": forward_forward,
}
OWN_PASS = {"drtp": sigmoid_pass, "forward_forward": forward_forward_pass, "bmvr": bmvr_pass}


def step(ops: Ops, rule: str, p: Any, x: Any, y: Any, noise: Any, lr: Any, hyper: Any) -> Any:
    """(a_L, changes) of one sample."""
    at = OWN_PASS.get(rule, standard_pass)(ops, p, x)
    return at.a, RULES[rule](ops, p, at, y, noise, lr, hyper)


def noise_width(rule: str, spec: NetworkSpec) -> int:
    """How many random numbers a sample takes."""
    definition = rules.get(rule)
    return sum(definition.noise.widths(spec, definition.hyperparameters()))


def draw(rule: str, rng: np.random.Generator, n: int, width: int) -> Array:
    """Noise of n samples (n, width): N(0, 1), for forward_forward uniform in [0, 1)."""
    if rule == "forward_forward":
        return rng.random((n, width), np.float32)
    return rng.standard_normal((n, width), np.float32)
