"""Recording does not change learning, and traces agree with other ways to read the same values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from biocircuits import CircuitNetwork, Probe
from rate_models.errors import BadOption, Diverged
from rate_models.network import NetworkSpec

SPEC = NetworkSpec((6, 5, 3), "tanh")
X = np.random.default_rng(0).random((4, 6))
LABELS = [0, 2, 1, 0]
PROBE = Probe(("hidden_1.soma", "output.rate", "W_1[2,3]", "W_2[1,4]"), 2.0, ("W_1", "W_2"))
CONTINUOUS: dict[str, Any] = {"mode": "continuous", "window": 10.0}


@pytest.mark.parametrize("options", [{}, CONTINUOUS, CONTINUOUS | {"form": "time_local"}])
def test_watching_learns_what_learning_learns(options: dict[str, Any]) -> None:
    watched, plain = (CircuitNetwork(SPEC, seed=1, lr=0.1, **options) for _ in range(2))
    watched.watch_many(X, LABELS, probe=PROBE)
    plain.learn(X, LABELS)
    for name, array in plain.state().items():
        assert_array_equal(watched.state()[name], array)


@pytest.mark.parametrize("options", [{}, CONTINUOUS])
def test_watching_without_learning_changes_nothing(options: dict[str, Any]) -> None:
    net = CircuitNetwork(SPEC, seed=1, lr=0.1, **options)
    before = net.state()
    net.watch_many(X, LABELS, probe=PROBE, learn=False)
    for name, array in before.items():
        assert_array_equal(net.state()[name], array)


@pytest.mark.parametrize("options", [{}, CONTINUOUS])
def test_a_trace_of_many_samples_joins_those_of_each(options: dict[str, Any]) -> None:
    many, one = (CircuitNetwork(SPEC, seed=1, lr=0.1, **options) for _ in range(2))
    trace = many.watch_many(X, LABELS, probe=PROBE)
    parts = []
    for t in range(4):
        parts.append(one.watch_many(X[t : t + 1], LABELS[t : t + 1], probe=PROBE))
        for name in ("W_1", "W_2"):
            w = one.parameters()["W"][int(name[-1]) - 1]
            assert trace.weights[name][t] == np.linalg.norm(w)
    assert_array_equal(trace.time, np.concatenate([p.time for p in parts]))
    for name, values in trace.values.items():
        assert_array_equal(values, np.concatenate([p.values[name] for p in parts]))
    assert trace.phases == [phase for p in parts for phase in p.phases]
    assert_array_equal(trace.ends, [p.phases[-1][2] for p in parts])
    assert_array_equal(trace.sample, np.repeat(range(4), [len(p.time) for p in parts]))


def test_rows_of_a_trace_belong_to_their_phases_at_the_interval() -> None:
    trace = CircuitNetwork(SPEC, lr=0.1, **CONTINUOUS).watch_many(X, LABELS, probe=PROBE)
    assert_allclose(trace.time, 2.0 * np.arange(400), rtol=0, atol=0)
    begin, end = (np.array([p[n] for p in trace.phases])[trace.span] for n in (1, 2))
    assert ((begin <= trace.time) & (trace.time < end)).all()
    assert [trace.phases[n][0] for n in trace.span[[0, 49, 50, 99, 100]]] == [
        "standard", "standard", "modulated", "modulated", "standard",
    ]  # fmt: skip


@pytest.mark.parametrize("options", [{}, {"form": "hebbian"}, {"form": "time_local"}])
@pytest.mark.parametrize("commit", ["sample", "step"])
def test_a_synapse_ends_where_its_weight_begins_the_next_sample(
    options: dict[str, Any], commit: str
) -> None:
    net = CircuitNetwork(SPEC, seed=1, lr=0.1, commit=commit, **CONTINUOUS | options)
    for t in range(3):
        before = net.parameters()["W"][0][2, 3]
        trace = net.watch_many(X[t : t + 1], LABELS[t : t + 1], probe=PROBE._replace(interval=1.0))
        synapse = trace.values["W_1[2,3]"][:, 0]
        assert synapse[0] == before
        change = net.parameters()["W"][0][2, 3] - before
        # the last of the ten steps is taken after the last row
        steps = np.diff(np.append(synapse, before + change))
        assert change != 0 and abs(steps.sum() - change) < 1e-15
        moved = set(range(190, 200)) | (set(range(90, 100)) if options else set())
        assert set(np.flatnonzero(steps)) == moved


def test_a_synapse_accumulates_the_product_of_its_local_signals() -> None:
    """Every step of 1 ms in a window of 10: η (r − σ)_i (r_0)_j / 10, from other recordings."""
    net = CircuitNetwork(SPEC, seed=1, lr=0.1, **CONTINUOUS)
    names = ("W_1[2,3]", "hidden_1.rate", "hidden_1.soma", "input.rate")
    values = net.watch_many(X[:1], LABELS[:1], probe=Probe(names)).values
    post = (values["hidden_1.rate"] - values["hidden_1.soma"])[:, 2]
    want = 0.1 * post * values["input.rate"][:, 3] / 10
    assert_allclose(np.diff(values["W_1[2,3]"][:, 0])[190:], want[190:-1], rtol=1e-9)


def test_in_steady_state_the_end_of_every_phase_is_recorded() -> None:
    net = CircuitNetwork(SPEC, seed=1, lr=0.1)
    before = net.parameters()["W"][0]
    trace = net.watch_many(X[:1], LABELS[:1], probe=PROBE)
    assert [trace.phases[n][0] for n in trace.span] == ["standard", "modulated"]
    after = net.parameters()["W"][0]
    assert_allclose(trace.values["W_1[2,3]"][:, 0], [before[2, 3], after[2, 3]], rtol=1e-15)
    stored = np.tanh(before @ X[0])
    assert_allclose(trace.values["hidden_1.soma"], [stored, stored], rtol=1e-14)


def test_an_invalid_probe_is_refused() -> None:
    net = CircuitNetwork(SPEC, lr=0.1)
    for probe, message in (
        (Probe(("hidden_1.axon",)), "dendrite, mask, soma"),
        (Probe(("hidden_7.soma",)), "hidden_1"),
        (Probe(("W_1[5,0]",)), r"at most W_1\[4,5\]"),
        (Probe((), 1.0, ("W_9",)), "W_1, "),
    ):
        with pytest.raises(BadOption, match=message):
            net.watch_many(X, LABELS, probe=probe)
    with pytest.raises(BadOption, match="one or more"):
        net.watch_many(X[:0], [], probe=PROBE)


def test_divergence_during_recording_is_reported() -> None:
    net = CircuitNetwork(SPEC, lr=0.1)
    net.load_parameters({"W": [np.full((5, 6), 1e308), np.ones((3, 5))]})
    with pytest.raises(Diverged, match="sample 0"), np.errstate(all="ignore"):
        net.watch_many(X, LABELS, probe=PROBE)


def test_a_name_that_is_given_twice_is_recorded_once() -> None:
    net = CircuitNetwork(SPEC, lr=0.1)
    trace = net.watch_many(X, LABELS, probe=Probe(("output.rate", "W_1[2,3]", "output.rate")))
    assert [len(v) for v in trace.values.values()] == [8, 8]
