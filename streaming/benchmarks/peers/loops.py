"""Loops in Python over samples, which change the arrays in place: NumPy and eager torch.

Unlike the learner they compute neither the class nor the loss of a sample.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import numpy as np

from rate_models import rules
from rate_models.model.optimizers import Optimizer
from rate_models.network import NetworkSpec, one_hot
from rate_models.textbook import Textbook, initial_parameters, mapped
from streaming.benchmarks.peers import equations
from streaming.benchmarks.peers.equations import Array, Ops


class Loop:
    """Learns from samples by a rule of `equations.RULES`, in float32.

    library: numpy or torch. parameters: all arrays as they are now. compiled: the step as
    torch.compile makes it.
    """

    def __init__(
        self, spec: NetworkSpec, rule: str, lr: float, library: str, compiled: bool = False
    ) -> None:
        params = initial_parameters(spec, rule, 0, "float32")
        self._rule, self._outputs = rule, spec.sizes[-1]
        self._rng, self._width = np.random.default_rng(0), equations.noise_width(rule, spec)
        self._torch = library == "torch"
        self.parameters = mapped(params, _tensor) if self._torch else params
        self._step = _compiled_step(spec, rule, lr) if compiled else _step(rule, lr, library)

    def __call__(self, X: Array, labels: Array, noise: Array | None = None) -> None:
        Y = one_hot(labels, self._outputs, np.float32)
        if noise is None:
            noise = equations.draw(self._rule, self._rng, len(X), self._width)
        if not self._torch:
            self._all(X, Y, noise)
            return
        import torch

        with torch.no_grad():
            self._all(torch.from_numpy(X), torch.from_numpy(Y), torch.from_numpy(noise))

    def _all(self, X: Any, Y: Any, noise: Any) -> None:
        for x, y, one in zip(X, Y, noise, strict=True):
            self._step(self.parameters, x, y, one)


def _step(rule: str, lr: float, library: str) -> Any:
    ops, apply = (_torch_ops(), _apply_torch) if library == "torch" else (NUMPY, _apply_numpy)
    hyper = rules.get(rule).hyperparameters()

    def step(p: Any, x: Any, y: Any, noise: Any) -> None:
        for change in equations.step(ops, rule, p, x, y, noise, lr, hyper)[1]:
            apply(p, *change)

    return step


@cache
def _compiled_step(spec: NetworkSpec, rule: str, lr: float) -> Any:
    """The step as torch.compile makes it, which needs a C++ compiler; once for all learners."""
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")  # no processes beside this one
    import torch

    return torch.compile(_step(rule, lr, "torch"), dynamic=False)


def _exp(a: Array) -> Array:
    return np.exp(a - a.max())  # type: ignore[no-any-return]


def _softmax(a: Array) -> Array:
    out = _exp(a)
    return out / out.sum()  # type: ignore[no-any-return]


NUMPY = Ops(
    lambda a: np.maximum(a, 0), _softmax, lambda a: np.log(_exp(a).sum()) + a.max(),
    np.cumsum, np.tanh, np.sign,
)  # fmt: skip


def _apply_numpy(
    p: Any, name: str, index: int | None, rate: Any, post: Array, pre: Any, keep: Any
) -> None:
    array = p[name] if index is None else p[name][index]
    if keep != 1:
        array *= np.float32(keep)
    post = np.float32(rate) * post
    array += post if pre is None else np.multiply.outer(post, pre)


def _tensor(array: Array) -> Any:
    import torch

    return torch.tensor(array)


def _torch_ops() -> Ops:
    import torch

    def softmax(a: Any) -> Any:
        return torch.softmax(a, 0)

    def log_sum_exp(a: Any) -> Any:
        return torch.logsumexp(a, 0)

    def cumulative(a: Any) -> Any:
        return torch.cumsum(a, 0)

    return Ops(torch.relu, softmax, log_sum_exp, cumulative, torch.tanh, torch.sign)


def _apply_torch(
    p: Any, name: str, index: int | None, rate: Any, post: Any, pre: Any, keep: Any
) -> None:
    array = p[name] if index is None else p[name][index]
    if pre is None:
        array.add_(post, alpha=rate)
    else:
        array.addr_(post, pre, beta=keep, alpha=rate)


class Autograd:
    """Backpropagation by torch's autograd at batch 1, with torch's own SGD."""

    def __init__(self, spec: NetworkSpec, rule: str, lr: float) -> None:
        import torch

        parameters = initial_parameters(spec, rule, 0, "float32")
        parts: list[Any] = []
        for w in parameters["W"]:
            layer = torch.nn.Linear(w.shape[1], w.shape[0], bias=False)
            layer.weight = torch.nn.Parameter(torch.tensor(w))
            parts += [layer, torch.nn.ReLU()]
        self._net = torch.nn.Sequential(*parts[:-1])
        self._sgd = torch.optim.SGD(self._net.parameters(), lr=lr)
        self.parameters = {"W": [layer.weight.detach() for layer in parts[::2]]}

    def __call__(self, X: Array, labels: Array, noise: Array | None = None) -> None:
        import torch

        xs, ys = torch.from_numpy(X), torch.from_numpy(np.asarray(labels, np.int64))
        for x, y in zip(xs[:, None], ys[:, None], strict=True):
            self._sgd.zero_grad()
            loss = torch.nn.functional.cross_entropy(self._net(x), y)
            loss.backward()  # type: ignore[no-untyped-call]
            self._sgd.step()


class Book:
    """The textbook form of any rule, in NumPy, in batches of one sample."""

    def __init__(self, spec: NetworkSpec, rule: str, lr: float) -> None:
        self.parameters = initial_parameters(spec, rule, 0, "float32")
        self._book = Textbook(spec, rule, self.parameters, Optimizer(lr))
        self._outputs, self._rng = spec.sizes[-1], np.random.default_rng(0)
        definition = rules.get(rule)
        self._hyper, self._noise = definition.hyperparameters(), definition.noise
        self._widths = self._noise.widths(spec, self._hyper)

    def __call__(self, X: Array, labels: Array, noise: Array | None = None) -> None:
        Y = one_hot(labels, self._outputs, np.float32)
        for t in range(len(X)):
            uniform = (self._rng.random((1, n), np.float32) for n in self._widths)
            draws = [self._noise.transform(self._hyper, u) for u in uniform]
            self._book.learn(X[t : t + 1], Y[t : t + 1], noise=draws or None)
