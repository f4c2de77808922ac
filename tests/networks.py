"""Small networks and data for the tests of rules: cases, samples, and the comparison itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from rate_models import rules
from rate_models.model import draws
from rate_models.model.optimizers import Optimizer
from rate_models.network import NetworkSpec, one_hot
from rate_models.online.network import OnlineNetwork
from rate_models.rules import nearest
from rate_models.textbook import Textbook, initial_parameters

PLAIN = Optimizer(lr=0.03)
MOMENTUM = Optimizer(lr=0.01, momentum=0.9)
EVERYTHING = Optimizer(lr=0.02, momentum=0.5, weight_decay=1e-2, decay_at=(60, 130))


@dataclass(frozen=True)
class Case:
    """A network under a rule, and what it is fed with."""

    rule: str
    sizes: tuple[int, ...] = (20, 16, 5)
    optimizer: Optimizer = PLAIN
    spec: dict[str, Any] = field(default_factory=dict)
    hyper: dict[str, Any] = field(default_factory=dict)
    structured: bool = True
    density: float = 0.3

    def __str__(self) -> str:
        words = [self.rule, "-".join(map(str, self.sizes)), *map(str, self.spec.values())]
        words += [f"{k}={v}" for k, v in self.hyper.items()]
        words += [] if self.structured else ["plain"]
        words += [] if self.density < 1 else ["dense"]
        moving = {PLAIN: "", MOMENTUM: "momentum", EVERYTHING: "momentum+decay"}
        return " ".join([*words, moving.get(self.optimizer, "")]).strip()

    @cached_property
    def network(self) -> NetworkSpec:
        loss = rules.get(self.rule).loss
        return NetworkSpec(self.sizes, **{"loss": loss, **self.spec})

    def online(self, dtype: str = "float64", seed: int = 0) -> OnlineNetwork:
        return OnlineNetwork(
            self.network, self.rule, seed=seed, dtype=dtype, optimizer=self.optimizer,
            structured=self.structured, **self.hyper,
        )  # fmt: skip

    def textbook(self, seed: int = 0) -> Textbook:
        params = initial_parameters(self.network, self.rule, seed, **self.hyper)
        return Textbook(self.network, self.rule, params, self.optimizer, **self.hyper)

    def samples(self, n: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """X (n, n_0) exact in float32, labels (n,), target vectors (n, n_L)."""
        rng = np.random.default_rng(seed)
        x = rng.random((n, self.sizes[0])) * (rng.random((n, self.sizes[0])) < self.density)
        labels = rng.integers(0, self.sizes[-1], n)
        y = one_hot(labels, self.sizes[-1])
        if self.network.loss == "mse":
            y = rng.normal(size=y.shape)
        return x.astype(np.float32).astype(float), labels, y.astype(np.float32).astype(float)

    def draws(self, t: int, seed: int = 0) -> tuple[list[np.ndarray] | None, list[np.ndarray]]:
        """Masks and noise of sample t as the online network draws them."""
        definition = rules.get(self.rule)
        hyper = definition.hyperparameters(**self.hyper)
        return rules.masks_and_noise(definition, self.network, hyper, draws.numbers(seed, t, 1))

    def learn(self, net: OnlineNetwork, x: np.ndarray, labels: np.ndarray, y: np.ndarray) -> Any:
        if self.network.loss == "mse":
            return net.learn(x, targets=y)
        return net.learn(x, labels=labels)


def suited_network(rule: str, spec: NetworkSpec) -> NetworkSpec:
    """The nearest network to ``spec`` that the rule can learn, with another loss if need be."""
    definition = rules.get(rule)
    near = nearest(definition, spec)
    near = near or nearest(definition, replace(spec, loss=definition.loss, output=None))
    assert near is not None
    return near


def fitting(cases: Iterable[Case]) -> list[Case]:
    """The cases, each with the nearest network that its rule can learn; none of them twice."""
    found: list[Case] = []
    for case in cases:
        near = nearest(rules.get(case.rule), case.network)
        if near is None:
            continue
        fit = case
        if near.sizes != case.sizes:
            fit = replace(fit, sizes=near.sizes)
        if near.bias != case.spec.get("bias", False):
            fit = replace(fit, spec={**case.spec, "bias": near.bias})
        if near.activation != case.network.activation[: near.layers - 1]:
            fit = replace(fit, spec={**fit.spec, "activation": near.activation})
        if fit not in found:
            found.append(fit)
    return found


def split(flat: np.ndarray, widths: Any) -> list[np.ndarray]:
    return np.split(flat, np.cumsum(widths)[:-1], axis=1) if len(widths) else []


def deviation(ours: dict[str, Any], truth: dict[str, Any]) -> float:
    """The largest max|a - b| / max|b| over all arrays."""
    assert ours.keys() == truth.keys()
    worst = 0.0
    for name, value in ours.items():
        pairs = [(value, truth[name])]
        if isinstance(value, list):
            assert len(value) == len(truth[name])
            pairs = list(zip(value, truth[name], strict=True))
        for a, b in pairs:
            assert a.shape == b.shape
            if b.size:
                gap = np.abs(a.astype(float) - b).max()
                assert np.isfinite(gap)
                worst = max(worst, gap / (np.abs(b).max() or 1.0))
    return worst


def state_bytes(net: OnlineNetwork) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in net.state().items()}
