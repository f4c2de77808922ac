"""Spiking neurons: rates against closed forms, synapses against their kernels, refusals."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from biocircuits.spiking import (
    Neuron,
    Receptor,
    backend,
    brian,
    check_step,
    connect,
    fi,
    interneuron,
    load,
    point_lif,
    prepare,
    quantity,
    two_compartment_lif,
)
from rate_models.errors import BadOption, MissingExtra, UnknownName, UserError

pytestmark = pytest.mark.skipif(find_spec("brian2") is None, reason="brian2 is not installed")
KINDS: dict[str, tuple[Any, str]] = {
    "point": (point_lif, "soma"),
    "interneuron": (interneuron, "soma"),
    "two compartments, soma": (two_compartment_lif, "soma"),
    "two compartments, dendrite": (two_compartment_lif, "dendrite"),
}


@pytest.fixture(autouse=True)
def by_numpy() -> Any:
    b = prepare("0.1 ms", target="numpy")
    yield b
    backend.runtime()


@pytest.mark.parametrize("kind", KINDS)
def test_firing_rates_are_those_of_the_closed_form_within_one_percent(kind: str) -> None:
    build, onto = KINDS[kind]
    neuron: Neuron = build()
    currents = fi.rheobase(neuron, onto) * np.array([0.9, 0.999, 1.05, 1.3, 2.0, 3.5])
    wanted = np.asarray(fi.closed_form(neuron, currents, onto))
    rates = np.asarray(fi.measured(neuron, currents, onto, dt="0.02 ms", settle="100 ms",
                                   duration="200 ms"))  # fmt: skip
    assert (wanted[:2] == 0).all() and (rates[:2] == 0).all()
    assert (np.diff(wanted[2:]) > 5).all()
    assert np.abs(rates[2:] / wanted[2:] - 1).max() < 0.01


def test_the_closed_form_of_the_point_neuron_by_hand() -> None:
    b = load()
    neuron = point_lif(t_refractory="0 ms")
    (rate,) = np.asarray(fi.closed_form(neuron, [300.0] * b.pA))
    assert rate == pytest.approx(1 / (0.020 * np.log(2)))  # twice the rheobase: τ ln 2


def test_loose_coupling_leaves_the_point_neuron() -> None:
    """A dendrite that hardly pulls: the rate of the soma alone."""
    alone, loose = point_lif(), two_compartment_lif(g_coupling="0.0001 nS")
    currents = load().pA * np.array([200.0, 400.0])
    a, b = (np.asarray(fi.closed_form(n, currents)) for n in (alone, loose))
    assert np.abs(a / b - 1).max() < 1e-4


def test_the_inverse_gives_the_current_back() -> None:
    b = load()
    neuron = point_lif()
    currents = np.linspace(100, 900, 400) * b.pA
    rates = fi.closed_form(neuron, currents)
    wanted = np.array([20.0, 75.0, 140.0]) * b.Hz
    again = fi.closed_form(neuron, fi.inverse(rates, wanted, currents))
    assert np.abs(np.asarray(again / wanted) - 1).max() < 0.01
    silent = fi.inverse(rates, [0.0] * b.Hz, currents)
    assert abs(float(silent[0] / fi.rheobase(neuron)) - 1) < 0.02
    with pytest.raises(BadOption, match=r"500 Hz.*measure larger currents"):
        fi.inverse(rates, [500.0] * b.Hz, currents)


def test_adaptation_slows_down() -> None:
    currents = load().pA * np.array([400.0])
    quick, tired = (fi.measured(point_lif(adaptive=a), currents) for a in (False, True))
    assert 0 < float(tired[0]) < 0.9 * float(quick[0])
    # At the end every spike's current is replaced: the mean of it is b τ f.
    mean = 0.1 * 10e-12 * float(tired[0])
    less = fi.closed_form(point_lif(), currents - mean * load().amp)
    assert float(tired[0] / less[0]) == pytest.approx(1, abs=0.05)
    with pytest.raises(BadOption, match="use `measured`"):
        fi.closed_form(point_lif(adaptive=True), currents)


@pytest.mark.parametrize("kind", ["current", "conductance"])
def test_the_effect_of_a_spike_on_the_membrane_is_the_kernel(kind: str) -> None:
    """One spike after a delay of 3 ms; far from threshold, against the integral by hand."""
    b = load()
    receptor = Receptor("ampa", kind=kind, tau="5 ms")
    neuron = point_lif([receptor])
    source = b.SpikeGeneratorGroup(1, [0], [1.0] * b.ms, name="source")
    target = neuron.group(1, "target")
    unit, size = (b.pA, 50.0) if kind == "current" else (b.nS, 50.0 / 70)
    synapses = connect(source, target, neuron, "ampa", [[size]] * unit, "S", delay="3 ms")
    trace = b.StateMonitor(target, "v", record=True, name="trace")
    b.Network(source, target, synapses, trace).run(40 * b.ms)
    v, t = np.asarray(trace.v[0]) * 1e3, np.asarray(trace.t) * 1e3
    since = np.clip(t - 4.1, 0, None)  # it arrives at the end of the step at 4 ms
    tau, tau_s, peak = 20.0, 5.0, 50.0 / 200
    wanted = -70 + peak * (np.exp(-since / tau) - np.exp(-since / tau_s)) / (1 / tau_s - 1 / tau)
    assert (v[t <= 4] == -70).all()
    height = wanted.max() + 70
    assert np.abs(v - wanted).max() < (0.02 if kind == "current" else 0.04) * height


def test_weights_and_delays_belong_to_their_synapses() -> None:
    b = load()
    neuron = two_compartment_lif([Receptor("forward", "dendrite")])
    source, target = (neuron.group(n, name) for n, name in ((3, "source"), (2, "target")))
    W = np.arange(6.0).reshape(2, 3)
    synapses = connect(source, target, neuron, "forward", W * b.pA, "S", delay=W * b.ms)
    for pre, post, w, d in zip(synapses.i, synapses.j, synapses.w, synapses.pre.delay, strict=True):
        assert float(w / b.pA) == pytest.approx(W[post, pre])
        assert float(d / b.ms) == pytest.approx(W[post, pre])


def test_invalid_parameters_are_refused_with_a_remedy() -> None:
    b = load()
    with pytest.raises(BadOption, match=r"C: got 20\. ms in second; expected a quantity in farad"):
        point_lif(C=20 * b.ms)
    with pytest.raises(BadOption, match=r"g_leak: got 10 \(no unit\).*'10 nS'"):
        point_lif(g_leak=10)
    with pytest.raises(BadOption, match=r"E_leak: got '-70'.*'-70 mV'"):
        point_lif(E_leak="-70")
    with pytest.raises(BadOption, match="C: got '5 parsecs'"):
        point_lif(C="5 parsecs")
    with pytest.raises(BadOption, match="finite"):
        quantity("tau", float("nan") * b.ms, "second")
    with pytest.raises(UnknownName, match="g_leek"):
        point_lif(g_leek="10 nS")
    with pytest.raises(BadOption, match="compartment: got 'dendrite'; expected soma"):
        point_lif([Receptor("forward", "dendrite")])
    with pytest.raises(BadOption, match=r"v_reset: .* less than v_threshold"):
        point_lif(v_reset="-50 mV")
    with pytest.raises(BadOption, match="above 0"):
        point_lif(C="0 pF")
    neuron = point_lif([Receptor("forward")])
    group = neuron.group(2, "g")
    with pytest.raises(BadOption, match="receptor of S: got 'back'; expected one of forward"):
        connect(group, group, neuron, "back", np.ones((2, 2)) * b.pA, "S")
    with pytest.raises(BadOption, match=r"weights of S: got shape \(2, 3\)"):
        connect(group, group, neuron, "forward", np.ones((2, 3)) * b.pA, "S")
    with pytest.raises(BadOption, match=r"weights of S: .*expected a quantity in amp"):
        connect(group, group, neuron, "forward", np.ones((2, 2)) * b.nS, "S")


def test_a_step_too_long_for_the_time_constants_is_refused() -> None:
    with pytest.raises(BadOption, match=r"dt: got 2\. ms; expected at most 1\.25 ms.*tau_forward"):
        check_step("2 ms", {"tau_forward": "5 ms", "the soma's time constant": "20 ms"})
    check_step("1.25 ms", {"tau_forward": "5 ms", "t_refractory": "0 ms"})
    prepare("1 ms", target="numpy")
    with pytest.raises(BadOption, match="shorten the step"):
        two_compartment_lif([Receptor("forward", tau="2 ms")]).group(1, "g")


def test_without_a_compiler_or_cython_numpy_runs_with_a_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.warns(RuntimeWarning, match=r"C\+\+ compiler is missing, so NumPy.*apt install"):
        assert backend.codegen_target() == "numpy"
    with pytest.raises(UserError, match="cpp_standalone: got no C"):
        prepare("0.1 ms", mode="cpp_standalone")
    with pytest.raises(UserError, match="target cython"):
        backend.codegen_target("cython")
    find = backend.find_spec
    monkeypatch.setattr(backend, "find_spec", lambda n: None if n == "Cython" else find(n))
    with pytest.warns(RuntimeWarning, match=r"package Cython is missing.*pip install cython"):
        assert backend.codegen_target() == "numpy"
    monkeypatch.setattr(brian, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"dendrostream\[spiking\]"):
        load()


def test_unknown_modes_and_targets() -> None:
    with pytest.raises(BadOption, match="one of runtime, cpp_standalone"):
        prepare("0.1 ms", mode="gpu")
    with pytest.raises(BadOption, match="one of auto, cython, numpy"):
        backend.codegen_target("numba")
