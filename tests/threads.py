"""Networks in threads, for tests: short segments, and comparison of the whole state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from networks import EVERYTHING, MOMENTUM, Case

from rate_models.errors import Diverged
from rate_models.model.optimizers import Optimizer
from rate_models.online.network import OnlineNetwork
from streaming.schedule.items import Schedule
from streaming.threads.network import ScheduledNetwork

SEGMENT = 128  # shorter than outside of tests
PIPELINED = Schedule("pipelined")
UNEVEN = (30, 21, 9, 33, 12, 40, 8, 17, 5)
CASES = [
    Case("pepita", (30, 16, 5)),
    Case("pepita", UNEVEN),
    Case("pepita", (*UNEVEN[:4], 5), MOMENTUM, density=1.0),
    Case("pepita", (*UNEVEN[:6], 5), EVERYTHING, {"bias": True}, {"dropout": 0.2}),
    Case("pepita", (*UNEVEN[:3], 5), hyper={"dropout": 0.5}, structured=False),
    Case("pepita", UNEVEN, hyper={"presynaptic": "standard", "sign": -1}),
    Case("pepita", UNEVEN, hyper={"form": "time_local", "feedback_scale": 0.1}),
    Case("pepita", UNEVEN, spec={"loss": "mse"}, hyper={"form": "hebbian", "dropout": 0.1},
         optimizer=Optimizer(lr=1e-3)),
    Case("pepita", UNEVEN, hyper={"inject": 2}),
    Case("pepita", UNEVEN, hyper={"modulation": "random", "perturbation": 0.1}),
    Case("pepita", (*UNEVEN[:4], 5), hyper={"init": "he_normal", "sign": -1, "mirror_before": 90}),
    Case("pepita", (*UNEVEN[:4], 5), hyper={"init": "he_normal", "sign": -1, "mirror_every": 50}),
]  # fmt: skip


def scheduled(case: Case, workers: int, dtype: str = "float64", **more: Any) -> ScheduledNetwork:
    more = {"schedule": PIPELINED, **more}
    return ScheduledNetwork(
        case.network, case.rule, dtype=dtype, optimizer=case.optimizer, workers=workers,
        structured=case.structured, **more, **case.hyper,
    )  # fmt: skip


def delayed(delay: int, weights: Any = "stash") -> Schedule:
    return Schedule("delayed", delay, weights=weights)


def contents(net: OnlineNetwork, outcome: Any = ()) -> list[bytes]:
    return [array.tobytes() for array in (*net.state().values(), *outcome)]


def same(case: Case, workers: int, dtype: str = "float64", n: int = SEGMENT + 60) -> None:
    """State and outcome are those of one thread, after one call and after several."""
    samples = case.samples(n)
    plain, net, pieces = case.online(dtype), *(scheduled(case, workers, dtype) for _ in range(2))
    wanted = contents(plain, case.learn(plain, *samples))
    assert contents(net, case.learn(net, *samples)) == wanted
    assert net.measured is not None
    for at in (slice(0, 40), slice(40, 41), slice(41, n)):
        case.learn(pieces, *(part[at] for part in samples))
    assert contents(pieces) == contents(net)


def tried(net: ScheduledNetwork, best: str = "layers") -> ScheduledNetwork:
    """The network with all its trials finished, so that one visit executes many segments."""
    net.trials.paces = {mode: [1.0 if mode == best else 2.0] * 2 for mode in net.trials.modes}
    return net


@contextmanager
def divergence() -> Iterator[pytest.ExceptionInfo[Diverged]]:
    with pytest.raises(Diverged) as raised, np.errstate(all="ignore"):
        yield raised
