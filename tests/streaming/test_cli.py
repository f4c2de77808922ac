"""The command line: names, one JSON object, one line for every error, no traceback."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from command_line import assert_one_error, called
from project import ROOT

from streaming import OnlineLearner

SMALL = ["--source", "synthetic:samples=1500,features=6", "--hidden", "8", "--quiet"]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Any:
    """``call("run", ...)``: exit code, stdout, stderr of the command line."""
    return partial(called, capsys)


def test_json_is_one_object_on_stdout(call: Any, tmp_path: Path) -> None:
    ended = call("run", *SMALL, "--json", "--seed", 3, "--out", tmp_path / "r")
    assert ended.code == 0 and ended.err == ""
    summary = json.loads(ended.out)
    assert ended.out.count("\n") == 1
    wanted = "rule source samples_seen progressive_accuracy test_accuracy samples_per_second"
    for key in [*wanted.split(), "seconds", "seed", "out"]:
        assert summary[key] is not None, key
    assert (summary["rule"], summary["seed"], summary["samples_seen"]) == ("pepita", 3, 1500)
    assert Path(summary["out"]) == tmp_path / "r"


def test_the_report_shows_the_score_and_the_folder(call: Any, tmp_path: Path) -> None:
    ended = call("run", *SMALL[:-1], "--out", tmp_path / "r")
    assert ended.code == 0
    for word in ("held-out accuracy", "samples per second", "learning_curve.png"):
        assert word in ended.out
    assert ended.err.startswith("chosen: lr ") and ended.err.count("\n") == 1  # no bar in a file


def test_every_option_reaches_the_run(call: Any, tmp_path: Path) -> None:
    ended = call(
        *("run", "--source", "synthetic:samples=1500,features=6", "--rule", "backprop"),
        *("--hidden", "9,7", "--epochs", 2, "--lr", 0.02, "--seed", 5, "--dtype", "float64"),
        *("--scale", "running", "--samples", 1600, "--interval", 350, "--save-every", 500),
        *("--on-bad", "skip", "--seconds", 100, "--accuracy", 0.999, "--schedule", "sequential"),
        *("--workers", 1, "--target", "label", "--task", "classification"),
        *("--data", tmp_path, "--quiet", "--json"),
        *("--set", "momentum=0.5", "--set", "decay_epochs=[1]", "--set", "activation=tanh"),
        *("--record", "weight_norms", "--record", "teaching_angles", "--out", tmp_path / "r"),
    )
    assert ended.code == 0, ended.err
    assert json.loads((tmp_path / "r" / "config.json").read_text()) == {
        "source": "synthetic:samples=1500,features=6",
        "rule": "backprop",
        "circuit": None,
        "classes": None,
        "time": None,
        "hidden": [9, 7],
        "epochs": 2,
        "lr": 0.02,
        "seed": 5,
        "dtype": "float64",
        "target": "label",
        "task": "classification",
        "scale": "running",
        "data": str(tmp_path),
        "download": False,
        "signal": [],
        "labels": None,
        "queue": 10_000,
        "when_full": "block",
        "match": None,
        "match_within": None,
        "label_wait": 60.0,
        "publish": None,
        "samples": 1600,
        "seconds": 100.0,
        "accuracy": 0.999,
        "interval": 350,
        "save_every": 500,
        "on_bad": "skip",
        "label": None,
        "drop": [],
        "sep": None,
        "decimal": ".",
        "encoding": None,
        "header": True,
        "missing": "raise",
        "missing_indicator": False,
        "held_out": 0.0,
        "stratify": False,
        "record": ["weight_norms", "teaching_angles"],
        "schedule": "sequential",
        "workers": 1,
        "batch": 1,
        "lineage": None,
        "drift_detector": None,
        "settings": {
            "momentum": 0.5,
            "activation": "tanh",
            "loss": "cross_entropy",
            "decay_at": [1500],
        },
    }
    learner = OnlineLearner.load(tmp_path / "r" / "checkpoint")
    assert (learner.rule, learner.sizes, learner.dtype) == ("backprop", (6, 9, 7, 4), "float64")


def test_the_folder_has_a_name_of_its_own(
    call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folders = {json.loads(call("run", *SMALL, "--json").out)["out"] for _ in range(2)}
    assert len(folders) == 2
    assert all(folder.startswith("runs/synthetic-pepita-") for folder in folders)


def test_catalogues(call: Any) -> None:
    rules, sources = (json.loads(call(name, "--json").out) for name in ("rules", "sources"))
    assert {"pepita", "backprop"} <= set(rules["names"])
    assert {"digits", "mnist", "csv", "synthetic"} <= set(sources["names"])
    for name, known, heads in (("rules", rules, 1), ("sources", sources, 0)):
        rows = call(name).out.splitlines()[heads:]
        assert [row.split()[0] for row in rows] == known["names"]
        assert all(len(row.split()) > 2 for row in rows)


def test_the_cost_is_that_of_the_given_network(call: Any) -> None:
    (row,) = (
        row
        for row in json.loads(call("rules", "--sizes", "4,3,2", "--json").out)["rows"]
        if row["rule"] == "backprop"
    )
    assert row["multiply-adds"] == 18 + 6 + 18
    assert_one_error(call("rules", "--sizes", "4,x"), "--sizes")
    assert_one_error(call("rules", "--sizes", "4"), "--sizes")


@pytest.mark.parametrize("ok", [True, False])
def test_parity(call: Any, monkeypatch: pytest.MonkeyPatch, ok: bool) -> None:
    row = {"rule": "pepita", "implementation": "online", "deviation": 3.2e-16, "ok": ok}
    asked: list[dict[str, Any]] = []

    def run(others: Any, progress: Any, **options: Any) -> SimpleNamespace:
        asked.append(options)
        return SimpleNamespace(ok=ok, rows=[row], missing=["batch"])

    monkeypatch.setattr("rate_models.checks.parity.run", run)
    assert call("parity", "--rule", "drtp", "--rule", "bmvr", "--samples", 7).code == int(not ok)
    assert asked.pop() == {"rules": ["drtp", "bmvr"], "samples": 7}
    ended = call("parity")
    assert asked.pop() == {}
    assert ended.code == (0 if ok else 1)
    assert "3.2e-16" in ended.out and "batch: not installed" in ended.out
    ended = call("parity", "--json")
    assert ended.code == (0 if ok else 1)
    assert json.loads(ended.out)["ok"] is ok and json.loads(ended.out)["deviations"] == [row]


def test_parity_of_what_is_not_there(call: Any) -> None:
    assert_one_error(call("parity", "--rule", "pepitta"), "did you mean 'pepita'")
    assert_one_error(call("parity", "--samples", 0), "samples: got 0; expected 1 or more")


def test_bench(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"scenario": "mnist", "peer": "torch", "samples_per_second": 2100.0, "ratio": None,
           "low": 2000.0, "high": 2200.0, "skipped": None}  # fmt: skip
    asked: dict[str, Any] = {}

    def run(**options: Any) -> dict[str, Any]:
        asked.update(options)
        nothing: dict[str, Any] = {"roofline": [], "costs": [], "scaling": []}
        return {"machine": {"cpu": "a machine"}, "repeats": 5, "rows": [row], **nothing}

    monkeypatch.setitem(sys.modules, "streaming.benchmarks.bench", SimpleNamespace(run=run))
    asked_for = ("--repeats", 3, "--only", "learn", "--only", "run", "--quick", "--scaling")
    assert json.loads(call("bench", "--json", *asked_for).out)["rows"] == [row]
    assert asked == {"repeats": 3, "only": ["learn", "run"], "quick": True, "grows": True}
    out = call("bench").out
    assert "cpu: a machine" in out and "torch" in out and "2,100" in out


def test_schedule(call: Any, tmp_path: Path) -> None:
    chart = tmp_path / "s.png"
    ours = ("schedule", "--rule", "pepita", "--layers", "9,8,8,4", "--workers", 2, "--out", chart)
    ended = call(*ours, "--equal", "--samples", 60, "--json")
    assert ended.code == 0 and ended.err == ""
    plan = json.loads(ended.out)["plan"]
    assert plan["makespan"] == 242 and plan["speedup"] == 360 / 242
    assert chart.stat().st_size > 5_000
    ended = call(*ours, "--equal", "--samples", 10**9, "--json")  # at the steady pace
    assert json.loads(ended.out)["plan"]["makespan"] == 6 + (10**9 - 1) * 4
    ended = call(
        *ours, "--standard-times", "3,1,1", "--modulated-times", "2,2,1", "--handover", 0.5
    )
    assert ended.code == 0 and "speedup" in ended.out and "given unit" in ended.out
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        ended = call(*ours[:5], "--delay", 2, "--workers", 30, "--out", chart)
    assert ended.code == 0 and ended.err.startswith("warning: workers: ")


def test_a_schedule_is_measured(call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, little in (("REPEATS", 2), ("TURN", 0)):
        monkeypatch.setattr(f"streaming.threads.measuring.{name}", little)
    chart = tmp_path / "g.png"
    ours = ("schedule", "--layers", "9,8,8,4", "--samples", 40, "--workers", 2, "--out", chart)
    ended = call(*ours, "--measure", "--json")
    assert ended.code == 0, ended.err
    printed = json.loads(ended.out)
    assert printed["measured"]["bit_identical"] is True and printed["measured"]["speedup"] > 0
    assert len(printed["measured"]["standard_seconds"]) == 3
    late = call(*ours, "--measure", "--delay", 2)
    assert late.code == 0 and "measured bit identical            True" in late.out
    batches = call(*ours, "--measure", "--batch", 2)
    assert batches.code == 0 and "measured bit identical            True" in batches.out
    wrong = call(*ours, "--measure", "--batch", 2, "--delay", 2)
    assert_one_error(wrong, "schedule", "batches of 2")


def test_help_explains_every_option(call: Any) -> None:
    text = call("run", "--help").out
    options = "rule circuit source target hidden epochs lr seed schedule workers dtype scale data"
    for name in [*options.split(), "download", "record", "out", "resume", "from", "json", "set"]:
        assert f"--{name}" in text
    for line in text.splitlines():
        if line.lstrip().startswith("--"):
            assert len(line.split()) > 1


def test_help_and_names_need_no_compiler() -> None:
    """`--help` answers at once: numba, torch, matplotlib and scikit-learn stay unloaded."""
    code = (
        "import sys, streaming.cli\n"
        "try: streaming.cli.main(['run', '--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit(sorted({'numba', 'torch', 'matplotlib', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stderr.strip() in ("", "[]"), done.stderr


def test_a_run_draws_late_and_without_torch() -> None:
    code = (
        "import sys, streaming.progress, streaming.runs.run\n"
        "sys.exit(sorted({'torch', 'matplotlib', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stderr.strip() in ("", "[]"), done.stderr
