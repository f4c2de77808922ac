"""The reference implementation: the textbook form of a rule, and an optimiser.

It runs on NumPy arrays or torch tensors, whichever the parameters are. It is slow and short, and
all other implementations are tested against it.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from rate_models import rules
from rate_models.model.hyperparameters import checked
from rate_models.model.optimizers import Optimizer, Sgd
from rate_models.network import NetworkSpec, Parameters
from rate_models.rules import Draws, Rule, Update


def initial_parameters(
    spec: NetworkSpec, rule: str | Rule, seed: int, dtype: str = "float64", **hyperparameters: Any
) -> Parameters:
    """The initial parameters of a network and rule. A seed gives the same in all implementations.

    >>> sorted(initial_parameters(NetworkSpec((4, 3, 2)), "pepita", seed=0))
    ['F', 'W', 'b']
    """
    definition = rules.get(rule)
    hyper = checked(definition.hyperparameters(), **hyperparameters)
    rules.check(definition, spec, hyper)
    return mapped(rules.start(definition, spec, hyper, seed), lambda a: np.array(a, dtype))


def mapped(params: Parameters, function: Any) -> Parameters:
    """``params`` with ``function`` applied to every array."""
    return {
        name: [function(a) for a in value] if isinstance(value, list) else function(value)
        for name, value in params.items()
    }


def gradients(
    spec: NetworkSpec, update: Update, params: Parameters, batch_size: int
) -> dict[str, Any]:
    """The updates of one optimiser step: {"W": [ΔW_l], "b": [Δb_l], own array: Δ}.

    ΔW_l = Σ_terms coefficient · postᵀ pre / batch_size, Δb_l the same with pre = 1; None for a
    frozen layer. Where ``params`` hold WF = W_1 F, the result also has its update ΔW_1 F. An
    optimiser that is linear in W and ΔW keeps WF = W_1 F by this update.

    batch_size: the nominal size; the sum over a short last batch is divided by it too.
    """
    delta_w: list[Any] = []
    delta_b: list[Any] = []
    for layer, terms in enumerate(update.terms, start=1):
        if terms is None:
            delta_w.append(None)
            delta_b.append(None)
            continue
        parts = [(t.post, t.pre, t.coefficient / batch_size) for t in terms]
        delta_w.append(_sum(spec.outer(layer, *part) for part in parts))
        if params["b"]:
            delta_b.append(_sum(factor * spec.total(layer, post) for post, _, factor in parts))
    own = {name: delta / batch_size for name, delta in update.own.items()}
    if "WF" in params and (first := update.terms[0]) is not None:
        images = [t.coefficient / batch_size * (t.pre @ params["F"]) for t in first]
        own["WF"] = _sum(t.post.T @ image for t, image in zip(first, images, strict=True))
    return {"W": delta_w, **({"b": delta_b} if params["b"] else {}), **own}


def _sum(arrays: Iterable[Any]) -> Any:
    return reduce(operator.add, arrays)


class Textbook:
    """A network that learns batch after batch by the textbook form of a rule.

    >>> spec = NetworkSpec((4, 3, 2))
    >>> book = Textbook(spec, "pepita", initial_parameters(spec, "pepita", seed=0))
    >>> book.learn(np.eye(4), np.eye(4)[:, :2])
    >>> book.predict(np.eye(4)).shape
    (4, 2)
    """

    def __init__(
        self,
        spec: NetworkSpec,
        rule: str | Rule,
        params: Parameters,
        optimizer: Optimizer | None = None,
        **hyperparameters: Any,
    ) -> None:
        self.spec, self.params = spec, params
        self.definition = rules.get(rule)
        self.hyper = checked(self.definition.hyperparameters(), **hyperparameters)
        self.sgd = Sgd(optimizer or Optimizer())
        self.samples_seen = 0

    def learn(
        self,
        x: Any,
        y: Any,
        masks: Sequence[Any] | None = None,
        noise: Sequence[Any] | None = None,
        batch_size: int | None = None,
    ) -> None:
        """Learn one batch: x (batch, n_0), target vectors y (batch, n_L).

        masks, noise: arrays (batch, n). batch_size: see `gradients`; None: len(x).
        """
        draws = Draws(masks, noise)
        for step in self.definition.batch(self.spec, self.params, self.hyper, x, y, draws):
            delta = gradients(self.spec, step, self.params, batch_size or len(x))
            self.sgd.step(self.params, delta, self.samples_seen)
        self.samples_seen += len(x)

    def predict(self, x: Any) -> Any:
        """The output h_L (batch, n_L) for x (batch, n_0)."""
        return rules.forward(self.definition, self.spec, self.params, self.hyper, x)[1][-1]
