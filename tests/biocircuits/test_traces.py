"""Other tools read exactly the values that were recorded."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from biocircuits import Circuit, CircuitNetwork, Probe, Trace
from biocircuits.catalogue import CIRCUITS, load
from biocircuits.traces import to_nwb, to_xarray
from rate_models.errors import BadOption, MissingExtra
from rate_models.network import NetworkSpec
from rate_models.support import lookup

PROBE = Probe(
    ("hidden_1.dendrite", "hidden_1.soma", "error.rate", "W_1[1,2]"), 5.0, ("W_1", "feedback")
)
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def recorded(mode: str = "continuous") -> tuple[Trace, Circuit]:
    net = CircuitNetwork(NetworkSpec((6, 5, 3), "tanh"), lr=0.1, mode=mode)
    X = np.random.default_rng(0).random((3, 6))
    return net.watch_many(X, [0, 1, 2], probe=PROBE), net.simulator.circuit


@pytest.mark.parametrize("mode", ["continuous", "steady"])
def test_labelled_arrays(mode: str) -> None:
    xarray = pytest.importorskip("xarray")
    trace, circuit = recorded(mode)
    data = to_xarray(trace, circuit)
    assert isinstance(data, xarray.Dataset)
    assert set(data.data_vars) == {*trace.values, *trace.weights}
    for name, values in trace.values.items():
        assert_array_equal(data[name].values.reshape(values.shape), values)
        assert data[name].attrs["units"] == "1"
    assert data["hidden_1.soma"].dims == ("time", "hidden_1_neuron")
    assert data["error.rate"].dims == ("time", "error_neuron")
    assert data["hidden_1.dendrite"].attrs["tau"] == 10.0
    assert data["W_1[1,2]"].dims == ("time",)
    assert data["W_1"].dims == ("sample_end",)
    assert_array_equal(data["W_1"], trace.weights["W_1"])
    # labels select: the soma of neuron 2 at the end of the second sample's modulated phase
    chosen = data.where((data.phase == "modulated") & (data["sample"] == 1), drop=True)
    rows = [n for n in range(len(trace.time)) if trace.phases[trace.span[n]][0] == "modulated"]
    per_sample = len(rows) // 3
    want = trace.values["hidden_1.soma"][rows[2 * per_sample - 1], 2]
    assert chosen["hidden_1.soma"].isel(time=-1).sel(hidden_1_neuron=2) == want


@pytest.mark.parametrize("mode", ["continuous", "steady"])
def test_an_nwb_file_is_valid_and_reads_back_bit_identical(tmp_path: Path, mode: str) -> None:
    pynwb = pytest.importorskip("pynwb")
    trace, circuit = recorded(mode)
    path = to_nwb(
        trace, circuit, tmp_path / "trace.nwb", "three samples", START, experimenter=["A. Person"]
    )
    assert [p.name for p in tmp_path.iterdir()] == ["trace.nwb"]
    assert not pynwb.validate(path=str(path))
    with pynwb.NWBHDF5IO(str(path), "r") as io:
        file = io.read()
        assert set(file.acquisition) == {*trace.values, *trace.weights}
        for name, values in trace.values.items():
            series = file.acquisition[name]
            assert series.data[:].tobytes() == values.tobytes()
            assert_array_equal(series.timestamps[:], trace.time / 1000)
        assert_array_equal(file.acquisition["W_1"].data[:], trace.weights["W_1"])
        assert_array_equal(file.acquisition["W_1"].timestamps[:], trace.ends / 1000)
        assert file.acquisition["hidden_1.soma"].data.shape[1:] == (5,)
        phases = file.intervals["phases"]
        assert list(phases["phase"][:]) == ["standard", "modulated"] * 3
        assert list(phases["sample"][:]) == [0, 0, 1, 1, 2, 2]
        assert_array_equal(phases["start_time"][:], [b / 1000 for _, b, _ in trace.phases])
        assert_array_equal(file.trials["stop_time"][:], trace.ends / 1000)
        assert file.session_start_time == START
        assert file.session_description == "three samples"
        assert tuple(file.experimenter) == ("A. Person",)
        assert "projection W_1: input to hidden_1.dendrite, sign 1, plastic" in file.notes


def test_an_nwb_file_opens_as_plain_hdf5(tmp_path: Path) -> None:
    pytest.importorskip("pynwb")
    h5py = pytest.importorskip("h5py")
    trace, circuit = recorded()
    path = to_nwb(trace, circuit, tmp_path / "trace.nwb", start=START)
    with h5py.File(path, "r") as file:
        for name, values in trace.values.items():
            assert file[f"acquisition/{name}/data"][()].tobytes() == values.tobytes()
        assert_array_equal(file["acquisition/error.rate/timestamps"], trace.time / 1000)
        same = to_nwb(trace, circuit, tmp_path / "again.nwb", start=START)
        with h5py.File(same, "r") as again:
            assert again["identifier"][()] == file["identifier"][()]


def test_every_circuit_can_be_written(tmp_path: Path) -> None:
    """All compartments and outputs of all populations of all circuits."""
    pynwb = pytest.importorskip("pynwb")
    for name in lookup.names(CIRCUITS):
        rule = load(name).definition
        net = CircuitNetwork(NetworkSpec((4, 3, 2), loss=rule.loss), name, lr=0.01)
        circuit = net.simulator.circuit
        names = tuple(
            f"{p.name}.{part}"
            for p in circuit.populations
            for part in dict.fromkeys([*(c.name for c in p.compartments), *p.outputs])
        )
        weights = tuple(p.name for p in circuit.projections if p.plasticity)
        trace = net.watch(np.ones(4), np.eye(2)[0], Probe(names, 1.0, weights))
        path = to_nwb(trace, circuit, tmp_path / f"{name}.nwb", start=START)
        assert not pynwb.validate(path=str(path))
        assert set(to_xarray(trace, circuit).data_vars) == {*names, *weights}


def test_a_trace_of_another_circuit_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("pynwb")
    trace, _ = recorded("steady")
    other = CircuitNetwork(NetworkSpec((6, 4, 3))).simulator.circuit
    with pytest.raises(BadOption, match=r"trace of hidden_1.dendrite: got 5 neurons; expected 4"):
        to_xarray(trace, other)
    with pytest.raises(BadOption, match="time zone"):
        to_nwb(trace, other, tmp_path / "a.nwb", start=datetime(2026, 1, 1))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("module", "write"), [("xarray", to_xarray), ("pynwb", to_nwb)])
def test_a_missing_extra_is_reported_with_its_install_command(
    module: str, write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace, circuit = recorded("steady")
    monkeypatch.setitem(sys.modules, module, None)
    path = [tmp_path / "a.nwb"] if module == "pynwb" else []
    with pytest.raises(MissingExtra, match=rf"no {module}.*pip install \"dendrostream\[record\]"):
        write(trace, circuit, *path)
