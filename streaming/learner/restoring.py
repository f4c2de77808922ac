"""Validation of a stored learner before it is built: a crafted file may contain anything."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rate_models.errors import BadOption
from rate_models.network import check_whole
from rate_models.support.bounds import MOST

# The largest usable magnitude: products of two larger numbers may overflow the dtype.
USABLE = {"float64": 1e200, "float32": 1e30}
FINITE = float(np.finfo(float).max)
RAW = ("scaler.", "targets.", "rate.", "filler.")
MOST_WAITING, MOST_WORKERS = 100_000, 4096


def check_count(what: str, value: Any, most: int = MOST) -> int:
    """``value`` if it is a whole number from 0 to ``most``. Raises BadOption otherwise.

    >>> check_count("lines", 3)
    3
    """
    check_whole(what, value, 0)
    if value > most:
        raise BadOption(what, got=value, expected=f"{most} at most")
    return int(value)


def check_room(learner: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Refuse a learner that would need more memory than its stored arrays.

    learner: arguments of `OnlineLearner`. Raises BadOption.
    """
    sizes, batch = learner["sizes"], learner.get("batch", 1)
    for size in sizes:
        check_count("sizes", size)
    weights = sum(math.prod(two) for two in pairwise(sizes))
    stored = sum(a.size for name, a in arrays.items() if name.startswith("network."))
    if weights > stored:
        raise BadOption("sizes", got=f"{weights:,} weights", expected=f"{stored:,} numbers at most")
    if check_count("batch", batch) > 1 and len(arrays["network.layers.change"]) != batch:
        kept = len(arrays["network.layers.change"])
        raise BadOption("batch", got=batch, expected=f"{kept}, as many as there are updates kept")
    _, _, delay = str(learner.get("schedule", "")).partition("delayed:")
    if delay and int(delay.partition(":")[0]) > MOST_WAITING:
        raise BadOption("schedule", got=learner["schedule"], expected=f"a delay to {MOST_WAITING}")
    if check_count("workers", learner.get("workers", 1)) > MOST_WORKERS:
        raise BadOption("workers", got=learner["workers"], expected=f"{MOST_WORKERS} at most")


def beyond(arrays: Mapping[str, NDArray[Any]], dtype: str) -> str:
    """The name of the first array with an unusable number; empty if there is none.

    A number is unusable if it is NaN, infinite or above the limit of the dtype in `USABLE`.

    >>> beyond({"W": np.array([1.0, -1e31])}, "float32"), beyond({"W": np.ones(2)}, "float32")
    ('W', '')
    """
    for name, a in arrays.items():
        # squares of raw inputs may be larger than any number in a network
        most = FINITE if name.startswith(RAW) else USABLE[dtype]
        if a.dtype.kind == "f" and a.size and not -most <= a.min() <= a.max() <= most:
            return name
    return ""
