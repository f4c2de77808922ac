"""The random numbers of samples: dropout masks and a rule's noise, alike in every realisation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from array_api_compat import array_namespace, device

from rate_models import network
from rate_models.network import NetworkSpec
from rate_models.rules._contract import Description
from rate_models.rules._records import Draws

# (stream, widths) -> uniform numbers in [0, 1), an array (n, width) for each width, NumPy or torch;
# stream: network.MASKS or network.NOISE.
Uniform = Callable[[int, Sequence[int]], list[Any]]


def dropout(hyper: Any) -> float:
    """The probability p that a hidden unit is silent for a sample; 0 for rules without dropout."""
    return float(hyper._asdict().get("dropout", 0.0))


def masks_and_noise(
    rule: Description,
    spec: NetworkSpec,
    hyper: Any,
    uniform: Uniform,
    masks: Sequence[Any] | None = None,
    noise: Sequence[Any] | None = None,
) -> Draws:
    """Masks and noise of n samples, where they are not given, from uniform numbers.

    m_l (n, n_l) = [u ≥ p] / (1 - p), or ones (n_l,) where no dropout falls on the layer; no masks
    where p = 0. noise: an array (n, width) for each of the rule's widths.

    >>> from rate_models.model import draws
    >>> from rate_models.rules import get
    >>> rule, spec = get("pepita"), NetworkSpec((4, 3, 2))
    >>> hyper = rule.hyperparameters(dropout=0.5)
    >>> drawn = masks_and_noise(rule, spec, hyper, draws.numbers(seed=0, start=0, n=2))
    >>> sorted(set(drawn.masks[0].ravel().tolist())), drawn.noise
    ([0.0, 2.0], [])
    """
    p = dropout(hyper)
    if masks is None and p > 0:
        layers = range(1, spec.layers)
        widths = [spec.sizes[layer] for layer in layers if spec.drops(layer)]
        drawn = [_kept(u, p) for u in uniform(network.MASKS, widths)]
        rest = iter(drawn)
        masks = [next(rest) if spec.drops(layer) else _ones(spec.sizes[layer], drawn)
                 for layer in layers] if drawn else None  # fmt: skip
    if noise is None:
        widths = rule.noise.widths(spec, hyper)
        noise = [rule.noise.transform(hyper, u) for u in uniform(network.NOISE, widths)]
    return Draws(masks, noise)


def _kept(u: Any, p: float) -> Any:
    """[u ≥ p] / (1 - p)"""
    return array_namespace(u).astype(u >= p, u.dtype) / (1 - p)


def _ones(width: int, drawn: list[Any]) -> Any:
    """A mask (width,) that keeps all, of the kind of those that are drawn."""
    like = drawn[0]
    return array_namespace(like).ones(width, dtype=like.dtype, device=device(like))
