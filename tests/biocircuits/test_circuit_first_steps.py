"""First steps with circuits: a file of one's own, names, drawings, NumPy numbers."""

from __future__ import annotations

import copy
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from project import ROOT

import biocircuits.circuits
from biocircuits import (
    Circuit,
    CircuitNetwork,
    Probe,
    example,
)
from biocircuits.description.circuit import circuit_of
from biocircuits.drawing.drawings import draw_circuit
from biocircuits.traces import to_nwb, to_xarray
from rate_models.errors import BadOption, Diverged
from rate_models.model.optimizers import Optimizer
from rate_models.network import NetworkSpec
from streaming import OnlineLearner
from streaming.cli import main
from streaming.files import checkpoint

X = np.random.default_rng(0).random((6, 4))

Y = np.array([0, 1, 2, 0, 1, 2])

SPEC = NetworkSpec((4, 5, 3))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder whose files are circuits."""
    biocircuits.circuits.__path__.append(str(tmp_path))
    yield tmp_path
    biocircuits.circuits.__path__.remove(str(tmp_path))
    for name in [n for n in sys.modules if n.startswith("biocircuits.circuits.")]:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def test_a_network_has_its_circuit_and_the_circuit_its_name() -> None:
    net = CircuitNetwork(SPEC, "pepita", cut="feedback")
    assert isinstance(net.circuit, Circuit) and net.circuit.name == "pepita"
    assert "feedback" not in [p.name for p in net.circuit.projections]
    for again in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        assert again.circuit.name == "pepita"
        np.testing.assert_array_equal(again.predict(X), net.predict(X))


def test_the_name_of_a_circuit_is_that_of_its_file(folder: Path) -> None:
    """So that a saved network can be loaded."""
    for file in ("pepita", "bmvr"):
        text = (ROOT / "biocircuits/circuits" / f"{file}.py").read_text()
        (folder / f"my_{file}.py").write_text(text)
        one = OnlineLearner(sizes=(4, 5, 3), circuit=f"my_{file}", classes=(0, 1, 2))
        assert one.network.circuit.name == f"my_{file}"  # type: ignore[union-attr]
        one.learn_many(X, Y)
        one.save(folder / "c")
        again = OnlineLearner.load(folder / "c")
        np.testing.assert_array_equal(again.predict_many(X), one.predict_many(X))


def test_checkpoints_hold_the_name(tmp_path: Path) -> None:
    """Not the object, so that checkpoints of earlier versions can be loaded."""
    OnlineLearner(sizes=(4, 5, 3), circuit="pepita").save(tmp_path / "c")
    assert checkpoint.read(tmp_path / "c")[1]["learner"]["circuit"] == "pepita"
    OnlineLearner(sizes=(4, 5, 3)).save(tmp_path / "r")
    assert checkpoint.read(tmp_path / "r")[1]["learner"]["circuit"] is None


def test_drawings_and_exports_take_a_circuit_or_its_network(tmp_path: Path) -> None:
    net = CircuitNetwork(SPEC, "pepita")
    learner = OnlineLearner(sizes=(4, 5, 3), circuit="pepita")
    for source in (net.circuit, net, net.simulator, learner):
        assert draw_circuit(source).texts  # type: ignore[arg-type]
    assert circuit_of("x", learner) is learner.network.circuit  # type: ignore[union-attr]
    wrong: list[Any] = ["pepita", OnlineLearner(sizes=(4, 5, 3)), None, net.spec]
    for source in wrong:
        with pytest.raises(BadOption, match=r"draw_circuit: got a \w+; expected a Circuit, or"):
            draw_circuit(source)


def test_a_network_s_trace_is_written_as_its_circuit_s(tmp_path: Path) -> None:
    pytest.importorskip("pynwb")
    net = CircuitNetwork(SPEC, "pepita")
    trace = net.watch_many(X, Y, probe=Probe(("hidden_1.soma", "W_1[0,1]")), learn=False)
    assert to_xarray(trace, net).identical(to_xarray(trace, net.circuit))
    assert to_nwb(trace, net, tmp_path / "t.nwb").stat().st_size > 0
    with pytest.raises(BadOption, match="to_xarray: got a NetworkSpec; expected a Circuit"):
        to_xarray(trace, SPEC)  # type: ignore[arg-type]
    with pytest.raises(BadOption, match="to_nwb: got a str; expected a Circuit"):
        to_nwb(trace, "pepita", tmp_path / "u.nwb")  # type: ignore[arg-type]


def test_a_network_takes_a_circuit_by_its_name() -> None:
    with pytest.raises(BadOption, match="circuit: got a Circuit; expected a name in biocircuits"):
        CircuitNetwork(SPEC, example())  # type: ignore[arg-type]


CONTINUOUS: dict[str, Any] = {"mode": "continuous", "phase": 20.0, "low": -2, "high": 2}

NUMPY: list[tuple[dict[str, Any], dict[str, Any]]] = [
    *(({"circuit": circuit}, {name: value}) for circuit in (None, "pepita") for name, value in {
        "sizes": np.array([4, 5, 3]), "lr": np.float32(0.0625), "seed": np.int64(3),
        "dtype": np.str_("float64"), "loss": np.str_("cross_entropy"),
        "activation": np.array(["tanh"]), "bias": np.bool_(True), "classes": np.array([0, 1, 2]),
        "output": np.str_("softmax"), "scale": np.str_("running"), "maximum": np.float32(2),
        "on_bad": np.str_("skip"), "schedule": np.str_("sequential"), "workers": np.int64(1),
        "batch": np.int32(1), "decay_at": np.array([10, 20]), "decay_factor": np.float64(0.5),
        "decay_time": np.float16(8), "dropout": np.float32(0.25), "sign": np.int8(1),
        "inject": np.uint8(0),
    }.items()),
    *((CONTINUOUS | {"circuit": "pepita"}, {name: value}) for name, value in {
        "mode": np.str_("continuous"), "dt": np.float64(1), "window": np.float32(1),
        "commit": np.str_("step"), "reset": np.bool_(True), "cut": np.str_("feedback"),
        "low": np.float64(-1), "high": np.int64(1), "bits": np.int8(4), "dale": np.bool_(True),
        "excitatory": np.float64(0.75), "asymmetry": np.float32(0), "tau": np.int64(12),
        "phase": np.int64(20), "coupling": np.float32(1), "membrane_noise": np.float16(0),
    }.items()),
    ({}, {"momentum": np.float32(0.5), "weight_decay": np.float64(0.125)}),
    ({"schedule": "pipelined"}, {"workers": np.int16(2), "batch": np.int64(4)}),
]  # fmt: skip


@pytest.mark.parametrize(("common", "options"), NUMPY, ids=lambda o: ",".join(map(str, o)))
def test_numpy_numbers_are_options_and_are_saved(
    common: dict[str, Any], options: dict[str, Any], tmp_path: Path
) -> None:
    """The same network as with Python's numbers, and the same after it was saved."""
    plain = {k: v.tolist() for k, v in options.items()}
    base = {"sizes": (4, 5, 3), **common}
    one, other = OnlineLearner(**{**base, **options}), OnlineLearner(**{**base, **plain})
    for learner in (one, other):
        learner.learn_many(X, Y)
    one.save(tmp_path / "c")
    again = OnlineLearner.load(tmp_path / "c")
    for array, want, read in zip(*(x.parameters()["W"] for x in (one, other, again)), strict=True):
        np.testing.assert_array_equal(array, want)
        np.testing.assert_array_equal(array, read)
    assert type(one.seed) is int and all(type(n) is int for n in one.sizes)
    for value in one.network.options.values():
        assert not isinstance(value, np.generic | np.ndarray), options


def test_networks_and_set_take_numpy_numbers_too() -> None:
    net = CircuitNetwork(SPEC, "pepita", seed=np.int64(1), optimizer=Optimizer(lr=np.float32(0.5)))  # type: ignore[arg-type]
    net.set(tau=np.float64(20), lr=np.float16(0.25))
    assert type(net.seed) is int
    assert [type(net.options[name]) for name in ("lr", "tau")] == [float, float]
    assert pickle.loads(pickle.dumps(net)).options == net.options


def test_a_phase_too_short_is_named_in_time_constants() -> None:
    net = CircuitNetwork(SPEC, "pepita", mode="continuous", phase=20.0, tau=10.0, lr=1e200)
    with pytest.raises(Diverged) as caught:
        net.learn(np.tile(X, (20, 1)), np.tile(Y, 20))
    text = str(caught.value)
    assert "phase standard lasts 2 time constants of hidden_1.dendrite (20 ms, τ = 10 ms)" in text
    assert "--set phase=80, or lower the learning rate (lr=1e+200)" in text
    assert (
        "phase" not in net_long().remedy
        and "lower the learning rate (lr=0.03)" in net_long().remedy
    )
    net.set(mode="steady")
    assert "phase" not in net.remedy


def net_long() -> CircuitNetwork:
    return CircuitNetwork(SPEC, "pepita", mode="continuous", phase=100.0)


def test_conductances_shorten_time_constants() -> None:
    """g_L + g_B + g_A = 1.9 in the microcircuit's hidden somata, 1.1 in its output's free phase."""
    spec = NetworkSpec((4, 5, 3), loss="mse")
    net = CircuitNetwork(spec, "dendritic_microcircuit", mode="continuous", phase=20.0)
    assert (
        "phase free lasts 2.2 time constants of output.soma (20 ms, τ = 9.09091 ms)" in net.remedy
    )


def test_a_run_that_diverges_reports_it_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--set", "mode=continuous", "--set", "phase=10", "--lr", "0.3", "--epochs", "2"]
    with pytest.raises(SystemExit, match="3"):
        main(
            ["run", "--circuit", "pepita", "--hidden", "8", "--out", str(tmp_path / "r"), *options]
        )
    err = capsys.readouterr().err
    assert "phase standard lasts 1 time constants of hidden_1.dendrite" in err
    assert "--set phase=80, or lower the learning rate (lr=0.3)" in err
