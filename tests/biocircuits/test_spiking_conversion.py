"""A trained network as a spiking one: rates, decoding, inputs, one run, refusals."""

from __future__ import annotations

import sys
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from biocircuits import CircuitNetwork
from biocircuits.catalogue import CIRCUITS, load
from biocircuits.spiking import Recording, backend, fi, point_lif, to_brian2
from biocircuits.spiking import two_compartment_lif as two_compartments
from biocircuits.spiking.conversion import coding
from biocircuits.spiking.conversion.trained import measure
from biocircuits.spiking.recording import Spikes, Traces, rank_correlation
from rate_models.errors import BadOption
from rate_models.network import NetworkSpec, forward
from rate_models.online.network import OnlineNetwork
from rate_models.support import lookup
from streaming import OnlineLearner
from streaming.sources import Options, open_source

pytestmark = pytest.mark.skipif(find_spec("brian2") is None, reason="brian2 is not installed")
SPEC = NetworkSpec((4, 6, 3))
RNG = np.random.default_rng(0)
PARAMS = {"W": [RNG.normal(size=(6, 4)), RNG.normal(size=(3, 6))]}
X = RNG.random((5, 4))
FEW = {"spec": SPEC, "calibration": RNG.random((200, 4)), "target": "numpy", "dt": "1 ms",
       "presentation": "300 ms"}  # fmt: skip


@pytest.fixture(autouse=True)
def back_to_runtime() -> Any:
    yield
    backend.runtime()


@pytest.mark.parametrize("inputs", ["regular", "current"])
@pytest.mark.parametrize("neuron", [point_lif, two_compartments])
def test_neurons_fire_at_the_rates_of_the_network(inputs: str, neuron: Any) -> None:
    spiking = to_brian2(PARAMS, X, **FEW, inputs=inputs, neuron=neuron)
    recording, wanted = spiking.run(), spiking.target_rates()
    for name in ("hidden_1", "output"):
        rates = recording.rates(name)
        assert rates.shape == wanted[name].shape
        assert rank_correlation(wanted[name], rates) > 0.9
        assert np.abs(rates - wanted[name]).mean() < 0.12 * wanted[name].max()
    assert np.corrcoef(wanted["output"].ravel(), recording.rates("output").ravel())[0, 1] > 0.95


def test_target_rates_are_those_of_the_rate_network() -> None:
    """Coded and decoded again, rates give the activities of an independent forward pass."""
    spiking = to_brian2(PARAMS, X, **FEW)
    a, h = forward(SPEC, {"W": PARAMS["W"], "b": []}, X)
    for code, name, wanted in zip(
        spiking.codes, spiking.target_rates(), [X, h[1], a[2]], strict=True
    ):
        inside = wanted >= code.offset
        again = code.value(spiking.target_rates()[name])
        assert np.abs(again - wanted)[inside].max() < 1e-9
        assert inside.mean() > 0.9
    assert np.array_equal(spiking.trained.outputs, h[2])


def test_currents_in_the_target_rates_are_those_of_the_inverted_curve() -> None:
    """By hand: rates → w τ ρ + constant → f-I, which comes out at the target of the layer above."""
    spiking = to_brian2(PARAMS, FEW["calibration"][:40], **FEW)
    neuron, rates = spiking.neuron, spiking.target_rates()
    for n, (below, name) in enumerate((("input", "hidden_1"), ("hidden_1", "output"))):
        synapses = spiking.synapses[f"W_{n + 1}"]
        w = np.zeros((spiking.units[n], spiking.units[n + 1]))
        w[np.asarray(synapses.i), np.asarray(synapses.j)] = np.asarray(synapses.w)
        tau = float(neuron.parameters["tau_forward"])
        constant = np.asarray(spiking.groups[name].injected_dendrite)
        current = constant + rates[below] @ w * tau
        fired = np.asarray(fi.closed_form(neuron, current * backend.load().amp, "dendrite"))
        busy = rates[name] > 20
        assert np.abs(fired - rates[name])[busy].mean() < 5
        if name == "hidden_1":
            assert fired[rates[name] == 0].mean() < 2


def test_the_same_seed_gives_the_same_spikes_and_another_others() -> None:
    def spikes(seed: int) -> Spikes:
        return to_brian2(PARAMS, X, **FEW, inputs="poisson", seed=seed).run().spikes["hidden_1"]

    first, again, other = spikes(3), spikes(3), spikes(4)
    assert len(first.time) > 50
    assert np.array_equal(first.time, again.time) and np.array_equal(first.neuron, again.neuron)
    assert not np.array_equal(first.time[:50], other.time[:50])


def test_a_sample_does_not_depend_on_those_before_it() -> None:
    """With regular input, from rest: the last sample alone fires as it did in the stream."""
    fed = {**FEW, "inputs": "current", "calibration": FEW["calibration"]}
    stream, alone = (to_brian2(PARAMS, x, **fed).run() for x in (X, X[-1:]))
    assert np.array_equal(stream.counts("output")[-1], alone.counts("output")[0])
    assert alone.counts("output").sum() > 10
    tied = to_brian2(PARAMS, X, **fed, reset=False).run()
    assert not np.array_equal(stream.spikes["output"].time, tied.spikes["output"].time)


def test_a_presentation_cut_short_is_a_shorter_presentation() -> None:
    """The spikes in the first 100 ms of each sample are those of a run with 100 ms each."""
    long, short = (
        to_brian2(PARAMS, X, **{**FEW, "presentation": span}, inputs="current", delay="0 ms").run()
        for span in ("300 ms", "100 ms")
    )
    for name in ("hidden_1", "output"):
        assert np.array_equal(long.counts(name, 0.1), short.counts(name))
        assert np.array_equal(long.first_spikes(name, 0.1) < 1, short.first_spikes(name) < 1)
    assert 10 < short.counts("output").sum() < long.counts("output").sum()


def test_progress_is_a_bar_on_stderr(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)  # bars are for terminals
    to_brian2(PARAMS, X, **FEW).run(progress=True)
    output = capfd.readouterr()
    assert "spiking" in output.err and "/5" in output.err and not output.out


def test_the_membrane_is_read_where_output_neurons_do_not_fire() -> None:
    spiking = to_brian2(PARAMS, X, **FEW, inputs="current", readout="membrane")
    recording = spiking.run()
    assert "output" not in recording.spikes and recording.traces["output.v"].unit == "V"
    depth = recording.membrane("output")
    assert rank_correlation(spiking.trained.layers[-1].current, depth) > 0.9
    assert np.array_equal(recording.decode("membrane"), depth.argmax(axis=1))


def test_several_cells_share_a_unit() -> None:
    spiking = to_brian2(PARAMS, X, **FEW, cells=3)
    assert {name: len(group) for name, group in spiking.groups.items()} == {
        "input": 12, "hidden_1": 18, "output": 9
    }  # fmt: skip
    recording = spiking.run()
    assert recording.rates("hidden_1").shape == (5, 6)
    assert rank_correlation(spiking.target_rates()["hidden_1"], recording.rates("hidden_1")) > 0.9


def test_conductances_excite_and_inhibit_apart() -> None:
    spiking = to_brian2(PARAMS, X, **FEW, kinetics="conductance", inputs="poisson", delay="2 ms")
    assert list(spiking.synapses) == [f"W_{n}_{kind}" for n in (1, 2)
                                   for kind in ("excitation", "inhibition")]  # fmt: skip
    for name, sign in (("W_1_excitation", 1), ("W_1_inhibition", -1)):
        synapses = spiking.synapses[name]
        w = np.zeros((6, 4))
        w[np.asarray(synapses.j), np.asarray(synapses.i)] = np.asarray(synapses.w)
        assert ((w > 0) == (sign * PARAMS["W"][0] > 0)).all() and (w >= 0).all()
        assert np.asarray(synapses.pre.delay) == pytest.approx(0.002)
    recording, wanted = spiking.run(), spiking.target_rates()
    # less exact than currents: conductances also leak
    for layer in ("hidden_1", "output"):
        assert rank_correlation(wanted[layer], recording.rates(layer)) > 0.8


def test_adaptive_neurons_reach_their_targets_too() -> None:
    """Their curve is measured with the adaptation in it."""
    neuron = partial(two_compartments, adaptive=True)
    spiking = to_brian2(
        PARAMS, X, **{**FEW, "presentation": "1 s"}, neuron=neuron, inputs="current"
    )
    recording, wanted = spiking.run(), spiking.target_rates()["hidden_1"]
    settled = recording.rates("hidden_1")
    assert rank_correlation(wanted, settled) > 0.9
    assert np.abs(settled - wanted).mean() < 0.15 * wanted.max()


@pytest.mark.parametrize("name", lookup.names(CIRCUITS))
def test_every_circuit_has_layers_with_its_predictions(name: str) -> None:
    """Values through the layers' weights and biases: the circuit's own predictions."""
    net = CircuitNetwork(NetworkSpec(SPEC.sizes, loss=load(name).definition.loss), name, lr=1e-9)
    net.learn(X, targets=np.eye(3)[[0, 1, 2, 0, 1]])  # after which BMVR has a mean
    trained = measure(net, X)
    value = X
    for layer in trained.layers:
        population, projection = (net.simulator.circuit.population(layer.name),
                                  net.simulator.circuit.projection(layer.projection))  # fmt: skip
        assert projection.target.startswith(population.name)
        value = value @ layer.weights.T + layer.bias
        value = np.maximum(value, 0) if layer.kind == "relu" else value
        assert np.abs(value - layer.value).max() < 1e-9
    predicted = net.predict(X)
    if net.spec.output == "identity":
        assert np.abs(value - predicted).max() < 1e-6 * np.abs(predicted).max()
    assert np.array_equal(value.argmax(axis=1), predicted.argmax(axis=1))


def test_groups_have_the_names_of_the_circuit() -> None:
    net = CircuitNetwork(NetworkSpec((4, 6, 3), loss="mse"), "bmvr", lr=0.01)
    spiking = to_brian2(net, X, **{**FEW, "spec": None})
    assert list(spiking.groups) == ["input", "pyramidal", "prediction"]
    assert list(spiking.synapses) == ["W_1", "readout"]


def test_a_learner_scales_its_inputs() -> None:
    learner = OnlineLearner("pepita", (4, 6, 3), scale="running")
    learner.learn_many(X, [0, 1, 2, 0, 1])
    spiking = to_brian2(learner, X, target="numpy")
    assert np.allclose(spiking.trained.inputs, learner.scaled(X))
    assert spiking.codes[0].offset < 0  # signed inputs: the lowest is silent
    bare = to_brian2(learner.network, learner.scaled(X), target="numpy")
    assert np.array_equal(bare.trained.inputs, spiking.trained.inputs)


def test_objects_are_brian_s_own_and_can_be_added_to() -> None:
    spiking = to_brian2(PARAMS, X, **FEW, traces=["hidden_1.v_dendrite"])
    b = backend.load()
    extra = b.PopulationRateMonitor(spiking.groups["hidden_1"], name="mean_rate")
    spiking.network.add(extra)
    spiking.synapses["W_2"].w *= 0
    recording = spiking.run()
    assert len(extra.t) == 5 * 300
    assert {type(g).__name__ for g in spiking.groups.values()} == {"NeuronGroup"}
    assert recording.traces["hidden_1.v_dendrite"].values.shape == (1500, 6)
    counts = recording.counts("output")
    assert (counts == counts[0]).all()  # cut off: the constant current alone is left
    with pytest.raises(BadOption, match="has run"):
        spiking.run()


def test_networks_keep_their_step_and_a_standalone_one_must_run_before_the_next() -> None:
    """Brian 2's default step is one for all."""
    coarse = to_brian2(PARAMS, X, **FEW)
    fine = to_brian2(PARAMS, X, **{**FEW, "dt": "0.5 ms", "presentation": "20 ms"})
    assert np.allclose(np.diff(np.unique(coarse.run().spikes["input"].time)).min(), 1e-3)
    assert fine.run().samples == 5
    if backend.compiler():
        early = to_brian2(PARAMS, X, **FEW, mode="cpp_standalone")
        to_brian2(PARAMS, X, **FEW)
        with pytest.raises(BadOption, match="before another network is built or run"):
            early.run()
        plain = to_brian2(PARAMS, X[:1], **FEW)
        late = to_brian2(PARAMS, X, **FEW, mode="cpp_standalone")
        assert plain.run().samples == 1
        with pytest.raises(BadOption, match="before another network is built or run"):
            late.run()


def test_decoding_of_spikes_by_hand() -> None:
    spikes = Spikes(2, np.array([1, 0, 0, 1]), np.array([0.02, 0.05, 0.06, 0.13]))
    traces = {"out.v": Traces(np.array([0.0, 0.1, 0.2]), np.array([[1, 2], [4, 3], [5, 6.0]]), "V",
                              np.arange(2))}  # fmt: skip
    recording = Recording(0.1, 3, {"out": spikes}, traces, "out")
    assert recording.counts("out").tolist() == [[2, 1], [0, 1], [0, 0]]
    assert recording.counts("out", 0.055).tolist() == [[1, 1], [0, 1], [0, 0]]
    assert recording.rates("out", 0.05).tolist() == [[0, 20], [0, 20], [0, 0]]
    assert recording.decode("rate").tolist() == [0, 1, -1]
    assert recording.decode("first_spike").tolist() == [1, 1, -1]
    assert recording.decode("membrane").tolist() == [1, 0, 1]
    with pytest.raises(BadOption, match="rate, first_spike or membrane"):
        recording.decode("vote")  # type: ignore[arg-type]
    with pytest.raises(BadOption, match=r"until: got 0\.2 s"):
        recording.counts("out", 0.2)
    with pytest.raises(BadOption, match="one of out"):
        recording.counts("in")


def test_invalid_options_are_refused() -> None:
    with pytest.raises(BadOption, match=r"activation of layer 1: got tanh.*activation='relu'"):
        to_brian2(PARAMS, X, spec=NetworkSpec((4, 6, 3), "tanh"))
    with pytest.raises(BadOption, match=r"spec: .*NetworkSpec"):
        to_brian2(PARAMS, X)
    with pytest.raises(BadOption, match=r"X: got shape \(5, 3\)"):
        to_brian2(PARAMS, X[:, :3], spec=SPEC)
    with pytest.raises(BadOption, match="X: got NaN"):
        to_brian2(PARAMS, X * np.nan, spec=SPEC)
    with pytest.raises(BadOption, match="network to convert: got int"):
        to_brian2(3, X)
    with pytest.raises(BadOption, match=r"peak: got 600 Hz.*t_refractory of 2\. ms"):
        to_brian2(PARAMS, X, **FEW, peak="600 Hz")
    with pytest.raises(BadOption, match=r"peak: .*hertz"):
        to_brian2(PARAMS, X, **FEW, peak=100)
    with pytest.raises(BadOption, match="peak: got 0 Hz"):
        to_brian2(PARAMS, X, **FEW, peak="0 Hz")
    with pytest.raises(BadOption, match=r"tau_forward: .*above 0"):
        to_brian2(PARAMS, X, **FEW, tau="0 ms")
    with pytest.raises(BadOption, match=r"presentation: .*multiple of dt"):
        to_brian2(PARAMS, X, **{**FEW, "presentation": "0 ms"})
    with pytest.raises(BadOption, match="silent on all calibration"):
        silent = {"W": [-abs(PARAMS["W"][0]), PARAMS["W"][1]]}
        to_brian2(silent, X, **FEW)
    with pytest.raises(BadOption, match="dt: got"):
        to_brian2(PARAMS, X, **{**FEW, "dt": "2 ms"})
    with pytest.raises(BadOption, match=r"multiple of dt"):
        to_brian2(PARAMS, X, **{**FEW, "presentation": "100.3 ms"})
    with pytest.raises(BadOption, match=r"traces: got 'hidden_1.u'.*hidden_1\.v_dendrite"):
        to_brian2(PARAMS, X, **FEW, traces=["hidden_1.u"])
    for option in ({"inputs": "noise"}, {"readout": "eye"}, {"cells": 0}, {"percentile": 30},
                   {"floor": 100}, {"kinetics": "x"}):  # fmt: skip
        with pytest.raises(BadOption, match=next(iter(option))):
            to_brian2(PARAMS, X, **FEW, **option)
    net = OnlineNetwork(NetworkSpec((4, 6, 3)), "forward_forward")
    with pytest.raises(BadOption, match=r"layer|activity|labels"):
        measure(net, X)


def test_the_line_is_fitted_exactly_to_a_linear_curve() -> None:
    b = backend.load()
    layer = measure(PARAMS, X, SPEC).layers[0]
    code = coding.code_of(layer.value, 100, 100.0, "hidden_1")
    currents = np.linspace(0, 500, 100) * b.pA
    rates = np.clip((np.asarray(currents) * 1e12 - 100) / 2, 0, None) * b.Hz
    fit = coding.line(layer, code, currents, rates)
    assert fit.start == pytest.approx(100e-12, rel=0.01)
    assert fit.slope == pytest.approx(200e-12, rel=0.01) and fit.misfit < 0.01


@pytest.mark.slow
def test_trained_on_digits_spikes_are_as_right_as_rates() -> None:
    """200 held-out digits, 500 ms each: within two points; rates in the same order, every layer."""
    source: Any = open_source("digits", Options(seed=0))
    (X, y), (x, truth) = source.train_arrays(), source.test_arrays()
    learner = OnlineLearner("pepita", (64, 128, 10), lr=0.1)
    for epoch in range(8):
        order = np.random.default_rng(epoch).permutation(len(X))
        learner.learn_many(X[order] / 16, y[order])
    shown, truth = x[:200] / 16, truth[:200]
    right = (learner.predict_many(shown) == truth).mean()
    spiking = to_brian2(learner, shown, X / 16, target="numpy", dt="0.5 ms")
    recording, wanted = spiking.run(), spiking.target_rates()
    assert right > 0.93
    assert abs((recording.decode() == truth).mean() - right) <= 0.02
    for name in recording.spikes:
        assert rank_correlation(wanted[name], recording.rates(name)) >= 0.9
