"""The implementations agree, and a broken or missing one is reported."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from project import ROOT

from biocircuits import parity as circuits
from rate_models import rules
from rate_models.checks import parity
from rate_models.errors import BadOption, Diverged, MissingExtra, UnknownName

TORCH = find_spec("torch") is not None


@pytest.mark.parametrize("rule", rules.names())
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("dtype", parity.TOLERANCE)
def test_implementations_agree_after_every_sample(rule: str, seed: int, dtype: str) -> None:
    report = parity.run(samples=100, rules=[rule], dtypes=[dtype], seed=seed)
    assert report.ok, [row for row in report.rows if not row["ok"]]
    seen = {(row["implementation"], row["dtype"]) for row in report.rows}
    names = ["online", "batch"] if TORCH else ["online"]
    assert seen == {(name, dtype) for name in names}
    wanted = {"W.0", "W.1", "outputs"}
    for case in parity.cases_of(rules.get(rule)):
        wanted |= {f"W.{i}" for i in range(case.spec.layers)}
        wanted |= {f"b.{i}" for i in range(case.spec.layers if case.spec.bias else 0)}
    for key in seen:
        arrays = {r["array"] for r in report.rows if (r["implementation"], r["dtype"]) == key}
        assert wanted <= arrays


@pytest.mark.slow
@pytest.mark.parametrize("rule", rules.names())
def test_implementations_agree_for_the_default_number_of_samples(rule: str) -> None:
    report = parity.run(rules=[rule])
    assert report.ok, [row for row in report.rows if not row["ok"]]


def test_single_precision_is_really_compared() -> None:
    report = parity.run(samples=5, rules=["pepita"])
    single = [row["deviation"] for row in report.rows if row["dtype"] == "float32"]
    assert min(single) > 1e-9  # also of F, which is rounded


def test_circuits_are_one_more_implementation_where_a_rule_has_one() -> None:
    ruled = [rule for rule in rules.names() if circuits.circuits_of(rule)]
    assert {"pepita", "bmvr", "node_perturbation"} <= set(ruled)
    for rule in [*ruled, "backprop"]:
        report = parity.run(50, [rule], ["float64"], others={"circuit": circuits.maker})
        assert report.ok, [row for row in report.rows if not row["ok"]]
        circuit = [row for row in report.rows if row["implementation"] == "circuit"]
        assert {row["array"] for row in circuit} >= ({"W.0", "outputs"} if rule in ruled else set())
        assert bool(circuit) == (rule in ruled)
        assert all(row["tolerance"] == 1e-10 for row in circuit)


def test_a_wrong_circuit_is_detected() -> None:
    def broken(case: parity.Case, dtype: str, seed: int) -> parity.Twin | None:
        return circuits.maker(case._replace(optimizer=case.optimizer._replace(lr=0.031)), dtype, 0)

    report = parity.run(5, ["pepita"], ["float64"], others={"circuit": broken})
    assert {r["implementation"] for r in report.rows if not r["ok"]} == {"circuit"}


def test_every_sample_is_counted_while_it_compares() -> None:
    calls: list[tuple[str, int, int]] = []
    parity.run(2, ["backprop"], ["float64"], progress=lambda *at: calls.append(at))
    assert calls == [("backprop", n, 4) for n in (1, 2, 3, 4)]  # of two networks


@pytest.mark.skipif(not TORCH, reason="torch is not installed")
def test_it_compares_in_one_thread() -> None:
    import torch

    before, while_comparing = torch.get_num_threads(), set[int]()
    torch.set_num_threads(2)
    try:
        look = lambda *_: while_comparing.add(torch.get_num_threads())  # noqa: E731
        parity.run(1, ["backprop"], ["float64"], progress=look)
        assert while_comparing == {1} and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_implementations_that_are_not_installed_are_named_and_not_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parity, "find_spec", lambda name: None)
    report = parity.run(samples=2, rules=["backprop"], dtypes=["float64"])
    assert report.missing == ["batch"]
    assert report.ok
    assert {row["implementation"] for row in report.rows} == {"online"}


def test_the_batch_package_without_torch_names_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import rate_models.batch as batch

    for name in ("network", "optim", "train"):
        monkeypatch.delitem(sys.modules, f"rate_models.batch.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match=r'pip install "dendrostream\[torch\]"'):
        _ = batch.BatchNetwork
    with pytest.raises(AttributeError, match="Nothing"):
        _ = batch.Nothing  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"rules": ["pepitta"]}, UnknownName, "did you mean 'pepita'"),
        ({"dtypes": ["float16"]}, BadOption, "float64, float32"),
        ({"samples": 0}, BadOption, "1 or more"),
    ],
)
def test_bad_arguments(wrong: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        parity.run(**wrong)


@pytest.mark.parametrize("fault", ["nan", "diverged", "small"])
def test_a_wrong_implementation_is_detected(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = parity.online

    def broken(case: parity.Case, dtype: str, seed: int) -> parity.Twin:
        learn, samples = honest(case, dtype, seed), iter(range(100))

        def once(sample: parity.Sample) -> Any:
            outputs, params = learn(sample)
            if next(samples) == 3:  # one sample in the middle, right again after it
                if fault == "diverged":
                    raise Diverged("sample 3")
                params["W"][1][0, 0] += np.nan if fault == "nan" else 1e-8
            return outputs, params

        return once

    monkeypatch.setattr(parity, "online", broken)
    report = parity.run(samples=6, rules=["pepita"], dtypes=["float64"])
    bad = {(row["implementation"], row["array"]) for row in report.rows if not row["ok"]}
    assert not report.ok
    assert ("online", "W.1") in bad
    assert fault == "diverged" or bad == {("online", "W.1")}


@pytest.mark.slow  # compiles kernels
def test_a_broken_kernel_is_detected_in_spite_of_the_cache(tmp_path: Path) -> None:
    """Also shows that an edit in one file recompiles the kernels of another that call it."""
    for package in ("rate_models", "biocircuits", "streaming"):
        shutil.copytree(
            ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    code = (
        "import sys; from rate_models.checks import parity; "
        "sys.exit(0 if parity.run(20, ['backprop'], ['float64']).ok else 1)"
    )
    environment = os.environ | {
        "PYTHONPATH": str(tmp_path),
        "DENDROSTREAM_CACHE": str(tmp_path / "cache"),
    }

    def status() -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env=environment,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stderr

    assert status() == (0, "")
    path = tmp_path / "rate_models" / "model" / "optimizers.py"
    text = path.read_text(encoding="utf-8")
    readable = "axpy(w[i], -(step.eta * post[i]), pre)"
    assert text.count(readable) == 1
    path.write_text(text.replace(readable, readable.replace("-(", "+(")), encoding="utf-8")
    assert status() == (1, "")
