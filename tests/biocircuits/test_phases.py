"""What is computed once a phase, or gathered over it, is what every step by itself computes."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from by_steps import BySteps
from numpy.testing import assert_array_equal

from biocircuits import (
    Circuit,
    CircuitNetwork,
    Compartment,
    Coupling,
    Phase,
    Plasticity,
    Population,
    Probe,
    Projection,
    Settings,
    Simulator,
)
from biocircuits.catalogue import CIRCUITS
from biocircuits.description.signals import Local, activation
from biocircuits.simulation import operations
from rate_models.network import NetworkSpec
from rate_models.support import lookup

NAMES = lookup.names(CIRCUITS)
MODES: dict[str, dict[str, Any]] = {
    "at the end": {"window": 0.0},
    "in a window": {"window": 5.0},
    "every step": {"window": 5.0, "commit": "step"},
    "always, every step": {"window": 20.0, "commit": "step", "reset": True},
}
RNG = np.random.default_rng(0)


def network(circuit: str, **options: Any) -> CircuitNetwork:
    """A small network of the circuit, with as many hidden layers as it has."""
    for sizes in ((6, 5, 4, 3), (6, 4, 3)):
        for loss in ("cross_entropy", "mse"):
            try:
                spec = NetworkSpec(sizes, loss=loss)
                return CircuitNetwork(spec, circuit, lr=0.05, mode="continuous", phase=20.0,
                                      **options)  # fmt: skip
            except Exception as error:  # a shape that the circuit has no neurons for
                refused = error
    raise refused


def off(ours: np.ndarray, truth: np.ndarray) -> float:
    return float(np.abs(ours - truth).max() / max(np.abs(truth).max(), 1e-30))


def deviation(simulator: Simulator, truth: BySteps) -> float:
    """The largest relative deviation of a weight matrix, a compartment or an output."""
    parts = [off(simulator.weights(name), w) for name, w in truth.W.items()]
    for (population, part), value in {**truth.state, **truth.out}.items():
        parts.append(off(simulator.read(f"{population}.{part}"), value))
    return max(parts)


def samples(net: CircuitNetwork, n: int) -> tuple[np.ndarray, np.ndarray]:
    targets = np.eye(net.spec.sizes[-1])[RNG.integers(0, net.spec.sizes[-1], n)]
    return RNG.random((n, net.spec.sizes[0])), targets


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("circuit", NAMES)
def test_every_sample_is_that_of_the_steps_by_themselves(circuit: str, mode: str) -> None:
    net = network(circuit, **MODES[mode])
    truth = BySteps(net.circuit, net.parameters(), net.simulation)
    start = net.simulator.W.copy()
    for x, y in zip(*samples(net, 4), strict=True):
        if net.simulation.reset:
            rest = BySteps(net.circuit, net.parameters(), net.simulation)
            truth.state, truth.past = rest.state, {}
        given = net._given(x, y, 0, None, None)
        net.learn(x[None], targets=y[None])
        truth.present(given, 0.05)
        assert deviation(net.simulator, truth) < 1e-11
    assert off(net.simulator.W, start) > 1e-4


VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("pepita", {"memory": "prospective"}),
    ("pepita", {"store": "interneuron", "form": "hebbian"}),
    ("pepita", {"form": "time_local", "cut": "feedback"}),
    ("pepita", {"modulation": "random", "inject": 1, "silence": "hidden_2"}),
    ("node_perturbation", {"feedback": "dfa", "tau_estimate": 4.0, "tau_loss": 3.0}),
    ("bmvr", {"decoupled": True, "dropout": 0.2}),
]


@pytest.mark.parametrize(("circuit", "options"), VARIANTS)
@pytest.mark.parametrize("commit", ["sample", "step"])
def test_so_is_every_sample_of_a_variant(
    circuit: str, options: dict[str, Any], commit: str
) -> None:
    net = network(circuit, window=5.0, commit=commit, **options)
    truth = BySteps(net.circuit, net.parameters(), net.simulation)
    for x, y in zip(*samples(net, 3), strict=True):
        given = net._given(x, y, 0, None, None)
        net.learn(x[None], targets=y[None])
        truth.present(given, 0.05)
        assert deviation(net.simulator, truth) < 1e-11


@pytest.mark.parametrize("circuit", NAMES)
def test_no_step_reads_the_synapses_of_a_source_that_rests(circuit: str) -> None:
    """A source whose recorded rate is the same at every step of a phase, whatever the reason."""
    net = network(circuit, window=5.0)
    x, y = samples(net, 2)
    net.learn(x[:1], targets=y[:1])
    conducting = [q for q in net.circuit.projections if not q.one_to_one]
    names = {q.name: f"{q.source_population}.{q.output}" for q in conducting}
    trace = net.watch(x[1], y[1], Probe(tuple(set(names.values()))))
    resting = 0
    for k, phase in enumerate(net.circuit.phases):
        programs = net.simulator.compiled.phases[phase.name].programs
        every = np.concatenate([programs.step.table, programs.move.table])
        read = {int(row[6]) for row in every if row[0] == operations.CONDUCT}
        turned = {int(row[7]) for row in every if row[0] == operations.COLUMNS}
        turns = {int(row[1]): int(row[6]) for row in programs.begin.table
                 if row[0] == operations.TURN}  # fmt: skip
        read |= {turns[at] for at in turned}
        for q in conducting:
            rates = trace.values[names[q.name]][trace.span == k]
            if (rates == rates[0]).all() and rates.any():
                resting += 1
                assert net.simulator.compiled.weights[q.name].start not in read
    assert resting


def clamped(*, delay: int = 0) -> Circuit:
    """A clamped source with plastic synapses of all forms, and a loop over a delayed projection."""

    def soft(s: Local) -> Any:
        return s.soma * s.pre * (1 - s.weight) - 0.3 * s.weight

    def fading(s: Local) -> Any:
        return (s.rate - s.broadcast) * s.pre - 0.5 * s.weight

    def hebbian(s: Local) -> Any:
        return s.soma * s.pre + s.pre

    rng, rate = np.random.default_rng(1), {"rate": lambda n: n.soma}
    source = Population("source", 3, (Compartment("soma", clamp="x"),), rate)
    cell = Population(
        "cell", 3, (Compartment("soma", 5.0), Compartment("dendrite", 0.0, 0.5)),
        {"rate": lambda n: activation("tanh", n.soma + 0.1 * n.dendrite * n.broadcast)},
        (Coupling(lambda n: n.dendrite, "soma", 0.7),), broadcast="tonic",
    )  # fmt: skip
    tonic = Population("tonic", 1, (Compartment("soma", clamp=0.4),), {"rate": lambda n: n.soma})
    first, last = ("first",), ("last",)

    def wire(name: str, source: str, *plasticity: Plasticity, **options: Any) -> Projection:
        weights = rng.normal(0, 0.3, (3, 3))
        return Projection(name, source, "cell.dendrite", weights=weights, plasticity=plasticity,
                          **options)  # fmt: skip

    projections = (
        wire("soft", "source", Plasticity(soft, first)),
        wire("fading", "source", Plasticity(fading, last), Plasticity(hebbian, last, 0.5)),
        wire("unscaled", "source", Plasticity(fading, first, 0.02, scaled=False), sign=-0.5),
        wire("now", "source", Plasticity(hebbian, first, immediately=True), phases=last),
        wire("late", "source", Plasticity(hebbian, first), delay=delay),
        wire("back", "cell", Plasticity(fading, last), delay=2),
    )
    phases = (Phase("first", 12.0), Phase("last", 8.0))
    answer = ("cell", "soma", "last")
    return Circuit("clamped", (source, cell, tonic), projections, phases, answer)


@pytest.mark.parametrize("delay", [0, 3])
@pytest.mark.parametrize("window", [0.0, 3.0, 8.0])
@pytest.mark.parametrize("commit", ["sample", "step"])
def test_a_clamped_source_feeds_plastic_projections(commit: Any, window: float, delay: int) -> None:
    circuit, settings = clamped(delay=delay), Settings("continuous", window=window, commit=commit)
    simulator, truth = Simulator(circuit, {}, settings), BySteps(circuit, {}, settings)
    names = [f"{q.name}[1,2]" for q in circuit.projections]
    for _ in range(4):
        x = RNG.normal(size=3)
        trace = simulator.present({"x": x}, lr=0.05, probe=Probe(tuple(names)))
        truth.present({"x": x}, 0.05)
        assert deviation(simulator, truth) < 1e-11
        assert trace is not None and len(trace.time) == 20
    change = {q.name: off(simulator.weights(q.name), q.weights) for q in circuit.projections}
    assert min(change.values()) > 1e-4


@pytest.mark.parametrize("commit", ["sample", "step"])
def test_a_synapse_is_recorded_while_its_change_is_gathered(commit: Any) -> None:
    """Each value is that of the step-by-step simulation before the step."""
    circuit, x = clamped(), RNG.normal(size=3)
    names = tuple(f"{q.name}[1,2]" for q in circuit.projections)
    settings = Settings("continuous", window=4.0, commit=commit)
    simulator, truth = Simulator(circuit, {}, settings), BySteps(circuit, {}, settings)
    trace = simulator.present({"x": x}, lr=0.05, probe=Probe(names))
    assert trace is not None
    recorded: dict[str, list[float]] = {name: [] for name in names}
    evaluate = truth._evaluate

    def record(phase: Phase) -> None:
        evaluate(phase)
        for q in circuit.projections:
            w = truth.W[q.name][1, 2]
            if commit == "sample":
                w += sum((0.05 if p.scaled else 1.0) * truth.E[q.name, i][1, 2]
                         for i, p in enumerate(q.plasticity))  # fmt: skip
            recorded[f"{q.name}[1,2]"].append(w)

    truth._evaluate = record  # type: ignore[method-assign]
    truth.present({"x": x}, 0.05)
    for name in names:  # without the evaluation after the last step of each phase
        want = np.delete(recorded[name], [12, 21])
        assert np.abs(trace.values[name][:, 0] - want).max() < 1e-13
        assert len(set(want)) > 3


@pytest.mark.parametrize(
    "options",
    [
        {}, {"mode": "continuous", "phase": 20.0, "window": 5.0},
        {"decay_at": (13, 20), "decay_factor": 0.5}, {"decay_time": 30.0},
    ],
)  # fmt: skip
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("circuit", ["pepita", "node_perturbation"])
def test_chunks_do_not_change_a_bit(circuit: str, dtype: str, options: dict[str, Any]) -> None:
    spec = NetworkSpec((6, 5, 3), "sigmoid")
    X, labels = RNG.random((40, 6)), RNG.integers(0, 3, 40)
    whole, other = (CircuitNetwork(spec, circuit, dtype=dtype, **options) for _ in range(2))
    outcome = whole.learn(X, labels)
    parts, at = [], 0
    for n in (1, 16, 1, 7, 15):
        parts.append(other.learn(X[at : at + n], labels[at : at + n]).outputs)
        kept, at = other.state(), at + n
        other = CircuitNetwork(spec, circuit, dtype=dtype, **options)
        other.load_state(kept)
    assert_array_equal(np.concatenate(parts), outcome.outputs)
    assert outcome.outputs.dtype == dtype
    for name, array in whole.state().items():
        assert_array_equal(other.state()[name], array)


@pytest.mark.parametrize("options", [{}, {"mode": "continuous", "phase": 20.0, "window": 5.0}])
@pytest.mark.parametrize("circuit", NAMES)
def test_single_precision_follows_double_precision(circuit: str, options: dict[str, Any]) -> None:
    exact = network(circuit, window=5.0)
    double, single = (
        CircuitNetwork(exact.spec, circuit, lr=0.05, dtype=dtype, **options)
        for dtype in ("float64", "float32")
    )
    X, y = samples(double, 20)
    for net in (double, single):
        net.learn(X, targets=y)
    for name, truth in double.parameters().items():
        ours = single.parameters()[name]
        several = truth if isinstance(truth, list) else [truth]
        for a, b in zip(several, ours if isinstance(ours, list) else [ours], strict=True):
            assert b.dtype == np.float32 and off(b, a) < 1e-4


@pytest.mark.parametrize("options", [{}, {"mode": "continuous", "phase": 20.0, "window": 5.0}])
def test_a_sample_that_an_error_ends_changes_no_weight_later(options: dict[str, Any]) -> None:
    """Its weight changes were gathered, and did not reach the weights."""
    spec, x, y = NetworkSpec((6, 5, 3)), RNG.random(6), np.eye(3)[1]
    net, other = (CircuitNetwork(spec, "pepita", **options) for _ in range(2))
    given = net._given(x, y, 0, None, None)

    def stop(phase: str) -> None:
        if phase == "modulated":
            raise KeyError

    with pytest.raises(KeyError):
        net.simulator.present(given, 0.05, after=stop)
    other.simulator.take_over(net.simulator)
    for one in (net, other):
        one.simulator.present(given, 0.05)
    assert_array_equal(net.simulator.W, other.simulator.W)
    assert off(net.simulator.weights("W_1"), CircuitNetwork(spec).simulator.weights("W_1")) > 0


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_of_a_simulator_runs_on_its_arrays(copied: Any) -> None:
    circuit = clamped()
    simulator = Simulator(circuit, {}, Settings("continuous", window=3.0))
    simulator.present({"x": np.ones(3)}, lr=0.05)
    twin, before = copied(simulator), simulator.W.copy()
    twin.present({"x": np.ones(3)}, lr=0.05)
    assert off(twin.W, before) > 0
    if copied is copy.deepcopy:
        assert_array_equal(simulator.W, before)
        simulator.present({"x": np.ones(3)}, lr=0.05)
    assert_array_equal(simulator.W, twin.W)
