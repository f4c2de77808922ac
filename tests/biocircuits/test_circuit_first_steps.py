# ruff: noqa: E501  tables: one case a line
"""First steps with circuits: a file of one's own, names, drawings, NumPy numbers."""

from __future__ import annotations

import copy
import pickle
import subprocess
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
    Compartment,
    Coupling,
    Phase,
    Plasticity,
    Population,
    Probe,
    Projection,
    Settings,
    Simulator,
    example,
)
from biocircuits.description.circuit import circuit_of
from biocircuits.description.signals import relu
from biocircuits.drawing.drawings import draw_circuit
from biocircuits.traces import to_nwb, to_xarray
from rate_models.errors import BadOption, Diverged, UserError
from rate_models.model.optimizers import Optimizer
from rate_models.network import NetworkSpec
from streaming import OnlineLearner
from streaming.cli import main
from streaming.files import checkpoint

X = np.random.default_rng(0).random((6, 4))
Y = np.array([0, 1, 2, 0, 1, 2])
SPEC = NetworkSpec((4, 5, 3))
SOMA: dict[str, Any] = {"rate": lambda n: n.soma}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder whose files are circuits."""
    biocircuits.circuits.__path__.append(str(tmp_path))
    yield tmp_path
    biocircuits.circuits.__path__.remove(str(tmp_path))
    for name in [n for n in sys.modules if n.startswith("biocircuits.circuits.")]:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


# -- the circuit of a network


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


# -- NumPy's numbers are numbers

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


# -- files of one's own

STATED = """
from biocircuits.description.circuit_file import CircuitFile
def build(spec, hyper, settings):
    1 / 0
CIRCUIT = CircuitFile(__name__, rule={}, settings=tuple, build=build)
"""
BROKEN = {
    "no_circuit": ("", "file of circuit no_circuit: got None; expected CIRCUIT = CircuitFile(__na"),
    "no_rule": (STATED.format(None), "rule of circuit no_rule: got None; expected the name of a r"),
    "no_such_rule": (STATED.format("'peptia'"), "did you mean 'pepita'"),
    "raises": (
        STATED.format("'pepita'"),
        "ZeroDivisionError: division by zero (raises.py, line 4)",
    ),
    "wont_parse": ("RULE = (\n", "SyntaxError"),
    "wont_import": ("import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_mo"),
}


def test_circuits_that_do_not_build_do_not_stop_the_others(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from biocircuits import locality

    whole = locality.table()
    for name, (text, _) in BROKEN.items():
        (folder / f"{name}.py").write_text(text)
    assert locality.main() == 1
    out, err = capsys.readouterr()
    assert out.strip() == whole
    for name, (_, why) in BROKEN.items():
        (line,) = [line for line in err.splitlines() if line.startswith(f"circuit {name} ")]
        assert why in line and "does not build" in line
    assert len(err.splitlines()) == len(BROKEN)


def test_the_command_exits_with_one(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import runpy, sys, biocircuits.circuits as c\n"
        "c.__path__.append(sys.argv[1])\nsys.argv[1:] = []\n"
        "runpy.run_module('biocircuits.locality', run_name='__main__')\n"
    )
    own = tmp_path / "own"
    own.mkdir()
    for text, status in (("", 0), ("RULE = 'pepita'\n", 1)):
        if text:
            (own / "half.py").write_text(text)
        done = subprocess.run([sys.executable, script, own], capture_output=True, text=True)
        assert done.returncode == status, done.stderr
        assert "| pepita | 2 |" in done.stdout and "Traceback" not in done.stderr
    assert (
        "circuit half does not build: file of circuit half: got None; expected CIRC" in done.stderr
    )


@pytest.mark.parametrize("name", ["no_circuit", "no_rule", "no_such_rule"])
def test_a_file_with_a_missing_member_is_reported(
    name: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, why = BROKEN[name]
    (folder / f"{name}.py").write_text(text)
    with pytest.raises(UserError) as caught:
        CircuitNetwork(SPEC, name)
    assert why in str(caught.value)
    with pytest.raises(SystemExit, match="2"):
        main(["run", "--circuit", name, "--out", str(folder / "out")])
    assert why in capsys.readouterr().err


# -- single values in place of tuples, and names


def test_one_population_projection_phase_or_plasticity_needs_no_tuple() -> None:
    plastic = Plasticity(lambda s: s.rate * s.pre, "only")
    cells = Population("b", 2, Compartment("soma", phases="only"), SOMA,
                       Coupling(lambda n: 1.0, "soma", phases="only"))  # fmt: skip
    source = Population("a", 2, [Compartment("soma", clamp="x")], SOMA)
    wire = Projection("W", "a", "b.soma", parameter=("W", 0), plasticity=plastic, phases="only")
    circuit = Circuit("odd", [source, cells], wire, Phase("only"), ["b", "soma", "only"])
    assert circuit.projections[0].plasticity == (plastic,) and circuit.phases == (Phase("only"),)
    assert circuit.populations[1].couplings[0].phases == ("only",)


WRONG: dict[str, tuple[Any, str]] = {
    "no text": (lambda: Population(3, 2, Compartment("soma"), SOMA), "name of a population: got a int"),
    "dot": (lambda: Population("a.b", 2, Compartment("soma"), SOMA), "got 'a.b'; expected a name of"),
    "comma": (lambda: Projection("a,b", "a", "b.c"), "name of a projection: got 'a,b'"),
    "empty": (lambda: Phase(""), "name of a phase: got ''"),
    "reserved": (lambda: Compartment("pre"), "got 'pre'; expected a Python identifier, none of"),
    "reserved output": (lambda: Population("a", 1, Compartment("soma"), {"weight": lambda n: n.soma}), "'weight'"),
    "hidden": (lambda: Compartment("_soma"), "'_soma'"),
    "number": (lambda: Compartment("2nd"), "'2nd'"),
    "size": (lambda: Population("a", 2.5, Compartment("soma"), SOMA), "size of population a: got 2.5"),
    "size text": (lambda: Population("a", "2", Compartment("soma"), SOMA), "size of population a: got 2"),
    "compartments": (lambda: Population("a", 2, ("soma",), SOMA), "compartments of population a: got a str among"),
    "outputs": (lambda: Population("a", 2, Compartment("soma"), lambda n: n.soma), "outputs of population a"),
    "tau": (lambda: Population("a", 2, Compartment("soma", "10"), SOMA), "tau of a.soma: got 10"),
    "plasticity": (lambda: Projection("W", "a", "b.c", plasticity=lambda s: s.pre), "plasticity of projection W: got a function"),
    "plastic phases": (lambda: Plasticity(lambda s: s.pre, None), "phases of a plasticity"),
    "source": (lambda: Projection("W", None, "b.c"), "source of projection W: got None"),
    "sign": (lambda: Projection("W", "a", "b.c", sign="-"), "sign of projection W"),
    "duration": (lambda: Circuit("c", (), (), Phase("p", "long"), ("a", "b", "p")), "duration of phase p: got long"),
    "projections": (lambda: Circuit("c", (), None, Phase("p"), ("a", "b", "p")), "projections of circuit c: got a NoneType"),
    "no phase": (lambda: Circuit("c", (), (), (), ("a", "b", "p")), "circuit c: got 0 phases"),
    "answer": (lambda: Circuit("c", (), (), Phase("p"), "output"), "an answer of 1"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_an_invalid_description_is_refused_with_a_reason(case: str) -> None:
    make, words = WRONG[case]
    with pytest.raises(UserError) as caught:
        make()
    assert words in str(caught.value) and "\n" not in str(caught.value)


# -- divergence


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


# -- running a circuit of one's own


def own() -> Circuit:
    """Two inputs, three pyramidal cells with an apical compartment, two interneurons; a delay."""
    rate: dict[str, Any] = {"rate": lambda n: relu(n.soma)}
    cells = (Compartment("soma", 20.0), Compartment("apical", 5.0))
    pull = Coupling(lambda n: n.apical, "soma", 0.5)
    soft = Plasticity(lambda s: s.rate * s.pre * (1 - s.weight), "stimulus")
    return Circuit(
        "own",
        (Population("input", 2, Compartment("soma", clamp="x"), SOMA, kind="input"),
         Population("cells", 3, cells, rate, pull, "pyramidal"),
         Population("inhibition", 2, Compartment("soma"), rate, kind="interneuron")),
        (Projection("up", "input", "cells.soma", parameter=("W", 0), plasticity=soft),
         Projection("out", "cells", "inhibition.soma", weights=np.full((2, 3), 0.3), delay=3),
         Projection("back", "inhibition", "cells.apical", sign=-1.0, weights=np.ones((3, 2)))),
        (Phase("stimulus", 50.0), Phase("pause", 50.0)),
        ("cells", "soma", "stimulus"),
    )  # fmt: skip


PARAMETERS: dict[str, Any] = {"W": [np.full((3, 2), 0.3)]}


def simulated(**options: Any) -> Simulator:
    return Simulator(own(), PARAMETERS, Settings(**options))


def presented(*probe: Any, given: Any = None, **options: Any) -> Any:
    given = {"x": [1, 2]} if given is None else given
    return simulated(mode="continuous").present(given, probe=probe[0] if probe else None, **options)


USED: dict[str, tuple[Any, str]] = {
    "no parameters": (lambda: Simulator(own(), {}), "weights of projection up: got parameters"),
    "list": (lambda: Simulator(own(), [1.0]), "got a list; expected an array, entry 0 of list 'W'"),  # type: ignore[arg-type]
    "too few": (lambda: Simulator(own(), {"W": []}), "got parameters W; expected an array, entry 0"),
    "text": (lambda: Simulator(own(), {"W": "abc"}), "weights of projection up"),
    "mode": (lambda: simulated(mode="cont"), "mode: got 'cont'; expected 'steady' or 'continuous'"),
    "dt": (lambda: simulated(mode="continuous", dt=-1.0), "dt: got -1.0; expected greater than 0"),
    "tiny dt": (lambda: simulated(mode="continuous", dt=1e-9), "dt: got 1e-09 ms; expected at least"),
    "settings": (lambda: Simulator(own(), PARAMETERS, {"dt": 1}), "settings: got a dict"),  # type: ignore[arg-type]
    "population": (lambda: Simulator(own().populations[0], PARAMETERS), "Simulator: got a Population"),  # type: ignore[arg-type]
    "given": (lambda: presented(given=np.ones(2)), "present: got a ndarray; expected {'x': numbers"),
    "given nan": (lambda: presented(given={"x": [1, np.nan]}), "clamp x: got a number that is not"),
    "given text": (lambda: presented(given={"x": ["a", "b"]}), "clamp x: got ['a', 'b']"),
    "lr": (lambda: presented(lr=-1), "lr: got -1; expected a finite number, 0 or more"),
    "until": (lambda: presented(until="puase"), "until: got 'puase'; expected one of stimulus, pause"),
    "probe of a population": (lambda: presented("cells"), "one of soma, apical, rate; for example cells.soma"),
    "probe interval": (lambda: presented(Probe(("cells.soma",), 0)), "interval of a probe"),
    "probe backwards": (lambda: presented(Probe(("cells.soma",), -1)), "interval of a probe"),
    "probe of nothing": (lambda: presented(Probe(())), "probe: got no names"),
    "probe number": (lambda: presented(3), "probe: got a int"),
    "spec": (lambda: CircuitNetwork((4, 5, 3)), "spec: got (4, 5, 3); expected a NetworkSpec"),  # type: ignore[arg-type]
    "cut": (lambda: own().without(cut=["bakc"]), "'bakc'; expected one of up, out, back"),
}  # fmt: skip


@pytest.mark.parametrize("case", USED)
def test_an_invalid_simulation_is_refused_with_a_reason(case: str) -> None:
    make, words = USED[case]
    with pytest.raises(UserError) as caught:
        make()
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_one_name_is_a_probe_and_lists_are_cut() -> None:
    one, same = presented("cells.soma", lr=0.1), presented(Probe(("cells.soma",)), lr=0.1)
    np.testing.assert_array_equal(one.values["cells.soma"], same.values["cells.soma"])
    norms = presented(Probe((), weights="up"), lr=0.1)  # type: ignore[arg-type]
    assert norms.values == {} and norms.weights["up"].shape == (1,)
    kept = Simulator(own(), PARAMETERS, Settings(cut=["out", "back"])).circuit  # type: ignore[arg-type]
    assert (
        [p.name for p in kept.projections]
        == ["up"]
        == [p.name for p in own().without(cut=["out", "back"]).projections]
    )
    assert len(own().without(cut="back", silent="inhibition").projections) == 2
    net = CircuitNetwork(SPEC, "pepita", cut=["feedback"], silence=("error",))
    assert net.options["cut"] == "feedback" and net.options["silence"] == "error"


def test_soft_bounds_hold_the_weights() -> None:
    """ΔW = η r x (1 − w) at rest: solved by hand for the steady state of the first sample."""
    simulator = simulated()
    simulator.present({"x": [1, 2]}, lr=0.1)
    # soma = (0.9 + 0.5 apical) / 1.5, apical = −2 · 0.9 soma
    rate = 0.9 / (1.5 + 0.9)
    want = 0.3 + 0.1 * rate * np.array([1, 2]) * (1 - 0.3)
    np.testing.assert_allclose(simulator.weights("up"), np.tile(want, (3, 1)), rtol=1e-10)


def test_a_delay_moves_no_steady_state() -> None:
    """The same circuit in time, long enough, and by the formula above."""
    solved, slowly = simulated(), simulated(mode="continuous")
    for _ in range(20):
        slowly.present({"x": [1, 2]})
    for x in ([2, 2], [1, 2]):  # the state after another sample has no effect
        solved.present({"x": x})
    for one in (solved, slowly):
        np.testing.assert_allclose(one.read("cells.rate"), 0.9 / (1.5 + 0.9), rtol=1e-9)


def test_an_export_to_a_missing_folder_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("pynwb")
    trace = presented("cells.soma")
    with pytest.raises(BadOption, match="to_nwb: got no folder"):
        to_nwb(trace, own(), tmp_path / "none" / "t.nwb")
