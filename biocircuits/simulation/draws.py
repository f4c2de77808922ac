"""The random numbers that clamp a circuit for one sample: dropout masks and the rule's noise."""

from __future__ import annotations

from typing import Any

import numpy as np

from rate_models import network
from rate_models.model import draws
from rate_models.network import NetworkSpec
from rate_models.rules import Description


def of_sample(
    spec: NetworkSpec,
    rule: Description,
    hyper: Any,
    seed: int,
    sample: int,
    row: int,
    masks: Any,
    noise: Any,
) -> dict[str, Any]:
    """{"mask.0": m_1, ..., "noise.0": ...} of a sample, by its number.

    masks, noise: handed in for row ``row`` of a call, or None for the seed's own.
    """
    hidden, dropout = list(spec.sizes[1:-1]), getattr(hyper, "dropout", 0.0)
    widths = rule.noise.widths(spec, hyper)
    if masks is None and dropout:
        u = draws.uniform(seed, network.MASKS, sample, 1, sum(hidden))
        masks = np.split(draws.dropout_masks(u, dropout)[0], np.cumsum(hidden)[:-1])
    elif masks is None:
        masks = [np.ones(n) for n in hidden]
    else:
        masks = [part[row] if np.ndim(part) == 2 else part for part in masks]
    if noise is None:
        u = draws.uniform(seed, network.NOISE, sample, 1, sum(widths))
        noise = np.split(rule.noise.transform(hyper, u)[0], np.cumsum(widths)[:-1])
    else:
        noise = [part[row] if np.ndim(part) == 2 else part for part in noise]
    given = {f"mask.{i}": part for i, part in enumerate(masks)}
    return given | {f"noise.{i}": part for i, part in enumerate(noise[: len(widths)])}
