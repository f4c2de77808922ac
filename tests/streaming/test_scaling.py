"""Scaling: running moments against their definition, for any chunks and checkpoints."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rate_models.errors import BadOption
from streaming.samples.scaling import Scaler, _global, _running

LEARNED = st.sampled_from(["running", "global"])
values = st.floats(-1e6, 1e6, allow_subnormal=False)


@settings(deadline=None)
@given(arrays(np.float64, st.tuples(st.integers(1, 20), st.just(3)), elements=values))
def test_running_is_the_mean_and_deviation_so_far(X: np.ndarray) -> None:
    scaler = Scaler("running", 3)
    scaled = scaler.learn_transform(X)
    for t in range(len(X)):
        seen = X[: t + 1]
        spread = seen.std(axis=0)
        moving = spread > 1e-6 * (1 + np.abs(seen).max(axis=0))  # else rounding decides
        want = (X[t] - seen.mean(axis=0))[moving] / spread[moving]
        np.testing.assert_allclose(scaled[t][moving], want, rtol=1e-6, atol=1e-6)
        assert (scaled[t][np.ptp(seen, axis=0) == 0] == 0).all()
    np.testing.assert_allclose(scaler.state()["mean"], X.mean(axis=0), rtol=1e-9, atol=1e-6)


@settings(deadline=None)
@given(arrays(np.float64, st.tuples(st.integers(1, 20), st.just(3)), elements=values))
def test_global_is_one_mean_and_deviation_so_far(X: np.ndarray) -> None:
    scaler = Scaler("global", 3)
    scaled = scaler.learn_transform(X)
    for t in range(len(X)):
        seen = X[: t + 1]
        if seen.std() > 1e-6 * (1 + np.abs(seen).max()):  # else rounding decides
            want = (X[t] - seen.mean()) / seen.std()
            np.testing.assert_allclose(scaled[t], want, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(scaler.state()["mean"], [X.mean()], rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(scaler.state()["m2"], [X.var() * X.size], rtol=1e-6, atol=1e-4)


@settings(deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=10), st.integers(1, 50), LEARNED)
def test_chunks_and_checkpoints_change_nothing(
    sizes: list[int], n_features: int, kind: str
) -> None:
    X = np.random.default_rng(0).normal(3, 2, (sum(sizes), n_features))
    whole = Scaler(kind, n_features)
    want = whole.learn_transform(X)
    parts, scaler, at = [], Scaler(kind, n_features), 0
    for size in sizes:
        parts.append(scaler.learn_transform(X[at : at + size]))
        scaler.transform(X * 10)  # looking changes nothing
        state, scaler = scaler.state(), Scaler(kind, n_features)
        scaler.load_state(state)
        at += size
    assert np.array_equal(np.concatenate(parts), want)
    assert all(np.array_equal(scaler.state()[k], v) for k, v in whole.state().items())
    assert np.array_equal(scaler.transform(X[-1:]), want[-1:])


@pytest.mark.parametrize("kind", ["running", "global"])
def test_a_constant_feature_is_zero(kind: str) -> None:
    scaler = Scaler(kind, 7)
    assert (scaler.transform(np.full((1, 7), 3.0)) == 0).all()
    assert (scaler.learn_transform(np.full((10_000, 7), 0.1)) == 0).all()


def test_none_and_range() -> None:
    X = np.array([[0, 51, 255]], np.uint8)
    scaler = Scaler("range", 3, maximum=255)
    for scaled in (scaler.transform(X, np.float32), scaler.learn_transform(X, np.float32)):
        assert scaled.dtype == np.float32 and scaled.tolist() == [[0, np.float32(0.2), 1]]
    assert Scaler("none", 3).learn_transform(X).tolist() == [[0, 51, 255]]
    assert scaler.state() == {}
    scaler.load_state({})


@pytest.mark.parametrize(("kind", "compiled"), [("running", _running), ("global", _global)])
def test_one_compiled_signature_after_mixed_calls(kind: str, compiled: Any) -> None:
    scaler = Scaler(kind, 2)
    X = np.arange(8.0).reshape(4, 2)
    frozen = X.copy()
    frozen.flags.writeable = False
    for mixed in (X, X.astype(np.uint8), X.astype(np.float32), X[::2], X.T[:, :2].T, frozen):
        scaler.learn_transform(mixed, np.float32)
        scaler.transform(mixed)
    assert len(compiled.signatures) == 1


@pytest.mark.parametrize(
    "arguments",
    [("standard", 2), ("range", 2, 0.0), ("range", 2, -1.0), ("range", 2, np.inf)],
)
def test_bad_options(arguments: tuple) -> None:
    with pytest.raises(BadOption, match=r"got .*expected"):
        Scaler(*arguments)


@pytest.mark.parametrize("kind", ["none", "range", "running", "global"])
def test_shapes_are_checked(kind: str) -> None:
    scaler = Scaler(kind, 3)
    for bad in (np.zeros((2, 4)), np.zeros(3)):
        with pytest.raises(BadOption, match="expected shape"):
            scaler.learn_transform(bad)
    with pytest.raises(BadOption, match="scaling state"):
        scaler.load_state(Scaler("running", 4).state())
