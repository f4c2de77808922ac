"""Every demo runs in a short form, and its docstring is complete."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import dendrostream_demos
import numpy as np
import pytest
from data_sets import write_data_sets

from rate_models import rules
from rate_models.errors import UserError

FOLDER = Path(dendrostream_demos.__path__[0])
DEMOS = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")


@pytest.mark.parametrize("name", DEMOS)
def test_the_docstring_has_all_parts(name: str) -> None:
    doc = ast.get_docstring(ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))) or ""
    for heading in ("Shows:", "From:", "Score:", "Seed:", "Run time:"):
        assert f"\n{heading}" in doc, heading
    assert "TODO" not in doc


def test_the_first_demo_is_short() -> None:
    tree = ast.parse((FOLDER / "online_digits.py").read_text(encoding="utf-8"))
    (main,) = (node for node in tree.body if isinstance(node, ast.FunctionDef))
    assert (main.end_lineno or 0) - main.lineno <= 16


def test_online_digits(capsys: pytest.CaptureFixture[str]) -> None:
    from dendrostream_demos import online_digits

    assert online_digits.main(epochs=2) > 0.85
    assert "epoch  2: 0." in capsys.readouterr().out


def test_drift(tmp_path: Path) -> None:
    from dendrostream_demos import drift

    scores = drift.main(seeds=1, samples=8000, figure=tmp_path / "drift.png")
    for name, phases in scores.items():
        assert phases["before"] > phases["during"] + 0.1, name  # it hurts
        assert phases["after"] > phases["during"] + 0.1, name  # it recovers
    assert (tmp_path / "drift.png").stat().st_size > 10_000
    with pytest.raises(SystemExit, match="a multiple of 2000"):
        drift.main(samples=8001)


def test_live_sensor(tmp_path: Path) -> None:
    from dendrostream_demos import live_sensor

    scores = live_sensor.main(4000, 500, tmp_path / "live_sensor.png")
    once, late = scores.values()
    assert once["during"] > late["during"] + 0.1  # nothing new is learned until labels come
    assert min(once["after"], late["after"]) > late["during"] + 0.1
    assert (tmp_path / "live_sensor.png").stat().st_size > 10_000


def test_hidden_layer(tmp_path: Path) -> None:
    from dendrostream_demos import hidden_layer

    scores = hidden_layer.main(seeds=2, epochs=3, figure=tmp_path / "hidden_layer.png")
    assert np.mean(scores["PEPITA"]) > np.mean(scores["PEPITA with F = 0"])
    assert (tmp_path / "hidden_layer.png").stat().st_size > 10_000


def test_online_vs_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    from dendrostream_demos import online_vs_batch

    write_data_sets(tmp_path, monkeypatch)
    curves = online_vs_batch.main(1, 8, data=tmp_path, figure=tmp_path / "online_vs_batch.png")
    assert {name: len(curve) for name, curve in curves.items()} == {"batch": 1, "online": 1}
    assert (tmp_path / "online_vs_batch.png").stat().st_size > 10_000


def test_every_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dendrostream_demos import every_rule

    from rate_models import catalogue

    write_data_sets(tmp_path, monkeypatch)
    rows = every_rule.main(1, 8, 2, tmp_path, tmp_path / "rules.md", tmp_path / "rules.png")
    names = rules.names()
    assert [row["rule"] for row in rows] == names
    lines = (tmp_path / "rules.md").read_text().splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert [line.split()[1] for line in table[2:]] == names
    reasons = [line for line in lines if line.startswith("Why ")]
    explained = [rule for rule in names if catalogue.paragraph(rule, "Gap")]
    assert [line.split()[1] for line in reasons] == explained and "reinforce" in explained
    assert (tmp_path / "rules.png").stat().st_size > 10_000


def test_bmvr_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dendrostream_demos import bmvr_mnist

    write_data_sets(tmp_path, monkeypatch)
    table, figure = tmp_path / "bmvr.md", tmp_path / "bmvr.png"
    found = bmvr_mnist.main(2, 200, tmp_path, table, figure)
    rows = [line.split(" | ") for line in table.read_text().splitlines() if line[:3] == "| 6"]
    assert [row[4] for row in rows] == [train for train, _ in found[: len(rows)]]
    assert float(found[0][0]) > 10 and "diverges" in found[3][1]
    assert figure.stat().st_size > 10_000


def test_learned_feedback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dendrostream_demos import learned_feedback

    write_data_sets(tmp_path, monkeypatch)
    for ridge in (False, True):
        figure, table = tmp_path / f"{ridge}.png", tmp_path / f"{ridge}.md"
        curves = learned_feedback.main(400, 2, ridge, tmp_path, table=table, figure=figure)
        assert {name: curve["error"].shape[0] for name, curve in curves.items()} == {
            "node_perturbation": 2, "feedback_alignment": 2, "backprop": 2
        }  # fmt: skip
        for curve in curves.values():
            assert curve["batches"][0] == 0 and curve["batches"][-1] == 400
        learned, fixed = (curves[name] for name in list(curves)[:2])
        if not ridge:  # which still warms up
            assert (learned["angle 2"][:, -1] < learned["angle 2"][:, 0] - 10).all()
            assert (learned["angle 2"][:, -1] < fixed["angle 2"][:, -1] - 10).all()
        assert (learned["distance 2"][:, -1] < fixed["distance 2"][:, -1] - 0.3).all()
        assert table.read_text().count(" ± ") == 1 + 7 + 7 + 1
        assert figure.stat().st_size > 10_000


def test_autoencoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dendrostream_demos import autoencoder

    write_data_sets(tmp_path, monkeypatch)
    figure = tmp_path / "autoencoder.png"
    losses = autoencoder.main(1, 8, data=tmp_path, figure=figure)
    assert list(losses) == ["mean image", *autoencoder.RULES]
    assert all(np.isfinite(loss) for loss in losses.values())
    assert figure.stat().st_size > 10_000


def test_mirroring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dendrostream_demos import mirroring

    write_data_sets(tmp_path, monkeypatch)
    courses = mirroring.main(2, 8, tmp_path, tmp_path / "mirroring.png")
    assert list(courses) == [1, 2]
    for kinds in courses.values():
        before = kinds["mirrored before"]
        assert before.samples[0] == -4000 and before.samples[-1] == 0
        assert before.angles[-1] < before.angles[0] - 15  # it turned
    assert (tmp_path / "mirroring.png").stat().st_size > 10_000


def test_continuous(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dendrostream_demos import continuous

    few = [name for name in continuous.CASES if "algorithm" in name or " 3 τ" in name]
    monkeypatch.setattr(continuous, "CASES", {name: continuous.CASES[name] for name in few})
    table, figure = tmp_path / "continuous.md", tmp_path / "continuous.png"
    scores = continuous.main(1, 1, table, figure)
    assert scores["phases of 3 τ"][0] < scores["the algorithm"][0] - 20
    assert table.read_text().count("\n| ") == 1 + len(few)


def test_schedules(tmp_path: Path) -> None:
    from dendrostream_demos import schedules

    table, figure = tmp_path / "schedules.md", tmp_path / "schedules.png"
    rows = schedules.main([2, 10], figure, table)
    speedups = {(r.rule, r.schedule): r.speedup for r in rows if r.layers == 10}
    assert speedups["PEPITA", "pipelined"] == pytest.approx(20 / 11)
    assert speedups["backpropagation", "sequential"] == pytest.approx(1)
    assert speedups["PEPITA", "pipelined, batches of 10"] == pytest.approx(10)
    assert speedups["backpropagation", "pipelined, batches of 10"] == pytest.approx(100 / 19)
    lines = table.read_text().splitlines()
    assert sum(line.startswith(("| 2 |", "| 10 |")) for line in lines) == len(rows) == 14
    assert figure.stat().st_size > 10_000


def test_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dendrostream_demos import threads

    from streaming.threads import measuring

    for name, little in (("REPEATS", 1), ("TRIED", 0), ("TURN", 0), ("SEGMENT", 48)):
        monkeypatch.setattr(measuring, name, little)
    monkeypatch.setattr("streaming.threads.network.SEGMENT", 48)
    table, figure = tmp_path / "threads.md", tmp_path / "threads.png"
    results = threads.main(8, 2, 40, table, figure)
    assert all(row.result.identical for rows in results.values() for row in rows)
    assert table.read_text().count("| yes |") == sum(map(len, results.values()))
    assert figure.stat().st_size > 10_000


def test_delayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dendrostream_demos import delayed

    write_data_sets(tmp_path, monkeypatch)
    monkeypatch.setattr(delayed, "NETWORKS", (((8,), 0.01),))
    monkeypatch.setattr(delayed, "DELAYS", (0, 2))
    table = tmp_path / "delayed.md"
    rows = delayed.main(2, tmp_path, table, tmp_path / "delayed.png")
    assert [row.last is None for row in rows] == [False, False, False, True]
    assert rows[0][2:] == (0, *rows[2][3:])  # without a delay both are the undelayed rule
    assert table.read_text().count("diverged") == 2 and "|x|² is " in table.read_text()
    assert (tmp_path / "delayed.png").stat().st_size > 10_000


def test_processes(tmp_path: Path) -> None:
    from dendrostream_demos import processes

    accuracy = processes.main(epochs=3, weights=tmp_path / "net.safetensors")
    assert accuracy > 0.8 and (tmp_path / "net.safetensors").stat().st_size > 30_000


def test_a_missing_data_set_is_one_message(tmp_path: Path) -> None:
    code = [sys.executable, "-m", "dendrostream_demos.online_vs_batch", "--data", str(tmp_path)]
    done = subprocess.run(code, capture_output=True, text=True, timeout=120)
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert done.stderr.startswith("error: MNIST: got no MNIST/raw")


def test_importing_a_demo_does_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in DEMOS:
        importlib.import_module(f"dendrostream_demos.{name}")
    assert not list(tmp_path.iterdir())


def test_one_sample(tmp_path: Path) -> None:
    from dendrostream_demos import one_sample

    trace = one_sample.main(before=20, figure=tmp_path / "one_sample.png")
    assert len(trace.time) == 200
    soma, rate = trace.values["hidden_1.soma"], trace.values["hidden_1.rate"]
    assert np.abs(soma[199] - soma[101]).max() < 1e-3 * np.abs(rate[199] - soma[199]).max()
    assert sum(name.startswith("W_1[") for name in trace.values) == 3
    assert (tmp_path / "one_sample.png").stat().st_size > 10_000


def test_microcircuit(tmp_path: Path) -> None:
    from dendrostream_demos import microcircuit

    result = microcircuit.main(epochs=2, figure=tmp_path / "microcircuit.png")
    assert result.losses[0] > result.losses[-1] > result.optimum
    assert result.accuracies[-1] > 0.8
    assert len(result.plateau) == result.samples[-1] == 2874
    assert (tmp_path / "microcircuit.png").stat().st_size > 10_000


def test_lesions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dendrostream_demos import lesions

    monkeypatch.setattr(lesions, "MEMORIES", (10.0, np.inf))
    results = lesions.main(1, 1, 100, tmp_path / "lesions.md", tmp_path / "lesions.png")
    text = (tmp_path / "lesions.md").read_text()
    assert all(f"\n| {name} |" in text for name in (*results.inhibition, *results.apical))
    assert "\n| for ever |" in text and "\n| 10 s |" in text
    assert (tmp_path / "lesions.png").stat().st_size > 10_000


def test_convolution(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from dendrostream_demos import convolution

    results = convolution.main(seeds=2, epochs=2, source="digits", table=tmp_path / "table.md")
    frozen, trained = results[convolution.FROZEN], results["backpropagation"]
    assert all(run.moved == 0 for run in frozen)
    assert all(run.angle < 1e-3 for run in trained)
    assert np.mean([run.score for run in trained]) > 0.8
    assert "| backpropagation | " in (tmp_path / "table.md").read_text(encoding="utf-8")
    with pytest.raises(UserError, match="grey images"):
        convolution.main(source="synthetic")


def test_spiking_conversion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("brian2")
    from dendrostream_demos import spiking_conversion

    from biocircuits.spiking import backend

    monkeypatch.setattr(backend, "fastest", lambda: "runtime")
    monkeypatch.setattr(backend, "codegen_target", lambda target: "numpy")
    monkeypatch.setattr(spiking_conversion, "draw_fi", lambda path: 0.0)
    name = "rate, regular input"
    cases = {name: spiking_conversion.CASES[name]}
    monkeypatch.setattr(spiking_conversion, "CASES", cases)
    figure = tmp_path / "spiking.png"
    curves = spiking_conversion.main(20, 200, 4, 1.0, figure=figure)
    assert list(curves[name]) == [25, 50, 100, 150, 200]
    assert curves[name][200] > max(0.7, curves[name][25])
    assert figure.stat().st_size > 10_000
