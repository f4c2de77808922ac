"""`set` within a stream, and copies: no update is lost, and a refused call changes nothing."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rate_models.errors import BadOption
from streaming import OnlineLearner

X = np.random.default_rng(0).random((40, 4))
Y = np.arange(40) % 3
HOW: list[dict[str, Any]] = [
    {},
    {"schedule": "delayed:3:current"},
    {"batch": 4},
    {"batch": 4, "workers": 2, "schedule": "pipelined"},
    {"circuit": "pepita"},
]
NAMES = ["plain", "delayed", "batches", "pipelined", "circuit"]


def learner(**options: Any) -> OnlineLearner:
    return OnlineLearner(sizes=(4, 5, 5, 3), **{"lr": 0.1, **options})


def weights(of: OnlineLearner) -> list[np.ndarray]:
    return [w for name in ("W", "b") for w in of.parameters()[name]]


@pytest.mark.parametrize("how", HOW[:-1], ids=NAMES[:-1])
@pytest.mark.parametrize(("before", "after"), [(0.0, 1e-15), (1e-15, 0.0)])
def test_velocities_come_and_go_and_samples_stay(
    how: dict[str, Any], before: float, after: float
) -> None:
    """A tiny momentum changes almost nothing, at any sample where it is set."""
    changed, plain = (learner(**how, momentum=before) for _ in range(2))
    for of in (changed, plain):
        of.learn_many(X[:10], Y[:10])
    changed.set(momentum=after)
    for of in (changed, plain):
        of.learn_many(X[10:27], Y[10:27])
    for a, b in zip(weights(changed), weights(plain), strict=True):
        assert np.abs(a - b).max() < 1e-12
    assert changed.samples_seen == plain.samples_seen == 27


def test_a_set_that_is_refused_changes_nothing(tmp_path: Path) -> None:
    of = learner(schedule="delayed:3")
    of.learn_many(X[:10], Y[:10])
    before = of.network.state()
    with pytest.raises(BadOption, match="momentum"):
        of.set(momentum=0.9)
    after = of.network.state()
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert of.network.optimizer.momentum == 0
    of.save(tmp_path / "c")
    assert OnlineLearner.load(tmp_path / "c").samples_seen == 10


@pytest.mark.parametrize("how", HOW, ids=NAMES)
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda of: pickle.loads(pickle.dumps(of))])
def test_a_copy_goes_on_as_the_first_and_leaves_it_alone(how: dict[str, Any], copied: Any) -> None:
    momentum = 0.0 if "circuit" in how else 0.5
    first = learner(**how, momentum=momentum, scale="running", bias=True, seed=3)
    first.learn_many(X[:10], Y[:10])
    twin = copied(first)
    before = weights(first)
    twin.learn_many(X[10:], Y[10:])
    assert all(map(np.array_equal, before, weights(first)))
    first.learn_many(X[10:], Y[10:])
    assert all(map(np.array_equal, weights(twin), weights(first)))
    assert not any(map(np.array_equal, before[:1], weights(first)[:1]))


def test_scalars_of_numpy_can_be_saved(tmp_path: Path) -> None:
    options: dict[str, Any] = {"scale": "range", "maximum": np.float32(255), "bias": np.bool_(True)}
    for i, more in enumerate(({}, {"batch": np.int64(2)}, {"maximum": np.uint8(255)})):
        of = learner(**{**options, **more})
        of.learn_many(X, Y)
        of.save(tmp_path / str(i))
        again = OnlineLearner.load(tmp_path / str(i))
        assert all(map(np.array_equal, weights(of), weights(again)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bias": "False"}, "bias: got 'False'; expected true or false"),
        ({"activation": 3}, "activation: got 3"),
        ({"activation": (None,)}, "activation: got None"),
        ({"sizes": 64}, "sizes: got"),
        ({"maximum": None}, "maximum: got None"),
        ({"batch": 1.5}, r"batch: got 1\.5"),
        ({"workers": 0}, "workers: got 0"),
        ({"missing_indicator": np.ones(3)}, "missing_indicator: got "),
        ({"workers": 2, "dtype": [[["float32"]]]}, "dtype: got "),
    ],
)
def test_options_of_another_kind(options: dict[str, Any], message: str) -> None:
    with pytest.raises(BadOption, match=message):
        OnlineLearner(**{"sizes": (4, 5, 3), **options})


@pytest.mark.parametrize("circuit", [None, "pepita"])
def test_class_indices_are_whole_numbers(circuit: str | None) -> None:
    net = OnlineLearner(sizes=(4, 5, 3), circuit=circuit).network
    net.learn(X[:2], labels=[0.0, 2.0])
    for labels in ([0.9, 1.7], [0, np.nan], ["a", "b"], [0, 3]):
        with pytest.raises(BadOption, match="labels: got"):
            net.learn(X[:2], labels=labels)
    assert net.samples_seen == 2
