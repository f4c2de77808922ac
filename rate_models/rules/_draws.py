"""Random numbers of samples: dropout masks and a rule's noise, the same in all implementations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import compress
from typing import Any

from array_api_compat import array_namespace, device

from rate_models import network
from rate_models.errors import BadOption
from rate_models.network import NetworkSpec
from rate_models.rules._contract import Description
from rate_models.rules._records import Draws

# (stream, widths) -> uniform numbers in [0, 1), an array (n, width) for each width, NumPy or torch;
# stream: network.MASKS or network.NOISE.
Uniform = Callable[[int, Sequence[int]], list[Any]]


def dropout(hyper: Any) -> float:
    """The probability p that a hidden unit is silent for a sample; 0 for rules without dropout."""
    return float(hyper._asdict().get("dropout", 0.0))


def _as_it_is(what: str, part: Any, width: int) -> Any:
    return part


def masks_and_noise(
    rule: Description,
    spec: NetworkSpec,
    hyper: Any,
    uniform: Uniform,
    masks: Sequence[Any] | None = None,
    noise: Sequence[Any] | None = None,
    given: Callable[[str, Any, int], Any] = _as_it_is,
) -> Draws:
    """Masks and noise of n samples: the given ones, else computed from uniform numbers.

    m_l (n, n_l) = [u ≥ p] / (1 - p), or ones (n_l,) for a layer without dropout; no masks
    where p = 0. noise: an array (n, width) for each of the rule's widths.
    masks, noise: given arrays, one for each of these. ``given``, called with "masks" or "noise",
    an array and its width, checks and converts them. Raises BadOption for another number of arrays.

    >>> from rate_models.model import draws
    >>> from rate_models.rules import get
    >>> rule, spec = get("pepita"), NetworkSpec((4, 3, 2))
    >>> hyper = rule.hyperparameters(dropout=0.5)
    >>> drawn = masks_and_noise(rule, spec, hyper, draws.numbers(seed=0, start=0, n=2))
    >>> sorted(set(drawn.masks[0].ravel().tolist())), drawn.noise
    ([0.0, 2.0], [])
    """
    p, hidden, widths = dropout(hyper), spec.sizes[1:-1], rule.noise.widths(spec, hyper)
    if masks is not None:
        masks = _checked("masks", masks, hidden, given)
    elif p > 0:
        dropped = [spec.drops(layer) for layer in range(1, spec.layers)]
        drawn = [_kept(u, p) for u in uniform(network.MASKS, list(compress(hidden, dropped)))]
        masks = _with_ones(hidden, dropped, drawn) if drawn else None
    if noise is not None:
        noise = _checked("noise", noise, widths, given)
    else:
        noise = [rule.noise.transform(hyper, u) for u in uniform(network.NOISE, widths)]
    return Draws(masks, noise)


def _checked(
    what: str, arrays: Sequence[Any], widths: Sequence[int], given: Callable[[str, Any, int], Any]
) -> list[Any]:
    if len(arrays) != len(widths):
        raise BadOption(what, got=f"{len(arrays)} arrays", expected=f"{len(widths)}")
    return [given(what, part, width) for part, width in zip(arrays, widths, strict=True)]


def _kept(u: Any, p: float) -> Any:
    """[u ≥ p] / (1 - p)"""
    return array_namespace(u).astype(u >= p, u.dtype) / (1 - p)


def _with_ones(widths: Sequence[int], dropped: Sequence[bool], drawn: list[Any]) -> list[Any]:
    """The masks of all hidden layers: drawn ones, and ones for layers without dropout."""
    like, rest = drawn[0], iter(drawn)
    xp, kind = array_namespace(like), {"dtype": like.dtype, "device": device(like)}
    return [
        next(rest) if falls else xp.ones(width, **kind)
        for width, falls in zip(widths, dropped, strict=True)
    ]
