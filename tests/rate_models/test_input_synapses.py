"""Structured input synapses against the textbook on inputs made to be awkward."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import EVERYTHING, PLAIN, Case, deviation, state_bytes

from rate_models.kernels import input_synapses
from rate_models.model.optimizers import Optimizer
from rate_models.network import one_hot

OPTIMIZERS = [PLAIN, Optimizer(0.02, momentum=0.9), Optimizer(0.02, weight_decay=0.01), EVERYTHING]


def stream(n0: int, samples: int, density: float, silence: int, seed: int) -> np.ndarray:
    """x (samples, n_0): inputs silent at random; input 0 speaks every ``silence`` samples only."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(samples, n0)) * (rng.random((samples, n0)) < density)
    x[:, 0] = (np.arange(samples) % silence == 0) * rng.normal(size=samples)
    return x


@given(
    sizes=st.tuples(st.integers(1, 9), st.integers(1, 6), st.integers(1, 5)),
    density=st.sampled_from([0.0, 0.05, 0.5, 1.0]),
    silence=st.sampled_from([1, 2, 50, 127, 128, 129, 200]),
    optimizer=st.sampled_from(OPTIMIZERS),
    rule=st.sampled_from(["pepita", "backprop"]),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=40, deadline=None)
def test_structured_equals_textbook(
    sizes: tuple[int, ...], density: float, silence: int, optimizer: Optimizer, rule: str, seed: int
) -> None:
    case = Case(rule, sizes, optimizer, spec={"activation": "tanh"})
    net, book = case.online(), case.textbook()
    x = stream(sizes[0], 300, density, silence, seed)
    labels = np.random.default_rng(seed).integers(sizes[-1], size=300)
    y = one_hot(labels, sizes[-1], np.float64)
    for at in range(0, 300, 50):
        net.learn(x[at : at + 50], labels=labels[at : at + 50])
        for t in range(at, at + 50):
            book.learn(x[t : t + 1], y[t : t + 1])
        assert deviation(net.parameters(), book.params) < 1e-10
        assert np.allclose(net.predict(x[:4]), book.predict(x[:4]), rtol=1e-9, atol=1e-12)


@given(
    cuts=st.lists(st.integers(0, 300), max_size=12).map(sorted),
    reload=st.sets(st.integers(0, 12)),
    optimizer=st.sampled_from(OPTIMIZERS),
    silence=st.sampled_from([1, 100, 128, 250]),
    dtype=st.sampled_from(["float32", "float64"]),
)
@settings(max_examples=30, deadline=None)
def test_any_cut_gives_the_same_bits(
    cuts: list[int], reload: set[int], optimizer: Optimizer, silence: int, dtype: str
) -> None:
    case = Case("pepita", (9, 7, 3), optimizer)
    x = stream(9, 300, 0.2, silence, 3)
    labels = np.random.default_rng(4).integers(3, size=300)
    whole, net = case.online(dtype), case.online(dtype)
    whole.learn(x, labels=labels)
    for number, (start, end) in enumerate(zip([0, *cuts], [*cuts, 300], strict=True)):
        net.learn(x[start:end], labels=labels[start:end])
        net.parameters()
        net.predict(x[:2])
        if number in reload:
            fresh = case.online(dtype)
            fresh.load_state(net.state())
            net = fresh
    assert state_bytes(net) == state_bytes(whole)


@pytest.mark.parametrize("shift", [4, 20, 48])
def test_where_arrays_lie_in_memory_changes_no_bit(
    shift: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A compiled loop has a vector form and a scalar form, chosen by how close its arrays lie."""
    case = Case("pepita", (40, 70, 5))
    x, labels, _ = case.samples(200)
    near = case.online("float32")

    def tight(array: Any, dtype: Any) -> np.ndarray:
        array = np.asarray(array, dtype)
        room = np.zeros(array.nbytes + 64, np.uint8)
        copy = room[shift : shift + array.nbytes].view(array.dtype).reshape(array.shape)
        copy[...] = array
        return copy

    monkeypatch.setattr(input_synapses, "aligned", tight)
    far = case.online("float32")
    near.learn(x, labels=labels)
    far.learn(x, labels=labels)
    assert state_bytes(near) == state_bytes(far)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_network_sure_of_itself_makes_no_subnormal_numbers(dtype: str) -> None:
    case = Case("backprop", (20, 16, 5), Optimizer(lr=1e-3))
    net, (x, labels, _) = case.online(dtype), case.samples(200)
    W = net.parameters()["W"]
    tiny, sure = np.finfo(dtype).tiny, -np.log(np.finfo(dtype).tiny)
    net.load_parameters({"W": [W[0], W[1] * sure]})  # errors from 1 down to below the normal range
    p = net.predict(x)
    assert ((p > 0) & (p < tiny)).any()
    for t in range(200):
        net.learn(x[t : t + 1], labels=labels[t : t + 1])
        for name, array in {**net.state(), "e": net._work.e, "delta": net._work.delta}.items():
            if array.dtype == dtype:
                assert not ((array != 0) & (abs(array) < tiny)).any(), name
