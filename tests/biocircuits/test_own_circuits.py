# ruff: noqa: E501  tables: one case a line
"""A circuit of one's own, described, checked and simulated."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

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
)
from biocircuits.description.signals import relu
from biocircuits.traces import to_nwb
from rate_models.errors import BadOption, UserError
from rate_models.network import NetworkSpec
from streaming.cli import main

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


STATED = """
from biocircuits.description.circuit_file import CircuitFile
def build(spec, hyper, settings):
    1 / 0
CIRCUIT = CircuitFile(__name__, rule={}, settings=tuple, build=build)
"""

BROKEN = {
    "no_circuit": ("", "got a file without CIRCUIT; expected CIRCUIT = CircuitFile(__na"),
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
        "circuit half does not build: file of circuit half: got a file without CIRC" in done.stderr
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
