"""The random clamps of a circuit for one sample: dropout masks and the noise of the rule."""

from __future__ import annotations

from typing import Any

import numpy as np

from rate_models.model.draws import numbers
from rate_models.network import NetworkSpec
from rate_models.rules import Description, masks_and_noise


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
    """{"mask.0": m_1, ..., "noise.0": ...} of the sample with number ``sample``.

    masks, noise: values that the caller gives, of which row ``row`` is taken; None: drawn from the
    seed.
    """

    def given(what: str, part: Any, width: int) -> Any:
        return part[row] if np.ndim(part) == 2 else part  # or what is for all samples alike

    drawn = masks_and_noise(rule, spec, hyper, numbers(seed, sample, 1), masks, noise, given)
    ones = [np.ones(n) for n in spec.sizes[1:-1]]
    found = {f"mask.{i}": np.ravel(m) for i, m in enumerate(drawn.masks or ones)}
    return found | {f"noise.{i}": np.ravel(part) for i, part in enumerate(drawn.noise or ())}
