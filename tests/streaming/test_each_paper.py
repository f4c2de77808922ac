"""Every paper that lookup finds: its contract, and a run on made-up data in its quick setting."""

from __future__ import annotations

import ast
import json
import math
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_sets import write_data_sets
from project import ROOT

pytest.importorskip("torch")

from rate_models.diagnostics.fits import slowness
from streaming import papers
from streaming.papers import Scale, page
from streaming.papers.reproduce import reproduce

NAMES = list(papers.catalogue())
LARGE = {  # images, networks
    "bmvr-objective",
    "lansdell-cifar",
    "pepita-table1",
    "srinivasan-depth",
}
PLAN = ("pepita-table1", "pepita-alignment", "pepita-weights", "pepita-slowness")


def test_the_papers_are_there() -> None:
    assert set(PLAN) <= set(NAMES)
    assert not any(name.startswith("-") for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_contract(name: str) -> None:
    paper = papers.get(name)
    cited = papers.citation(paper)
    assert len(cited) < 130 and any(digit in cited for digit in ("2020", "2022", "2024"))
    assert isinstance(paper.full, Scale) and isinstance(paper.quick, Scale)
    assert paper.unit and callable(paper.measure) and callable(paper.value)
    cells = {(row, column) for row in paper.rows for column in paper.columns}
    assert set(paper.published) <= cells == set(paper.cells)
    for published in paper.published.values():
        assert math.isfinite(published.mean) and published.where
    for cell in sorted(cells):
        run = paper.run(*cell, paper.full)
        assert run is None or isinstance(run, str) or run["experiment"]
        assert json.loads(json.dumps(run)) == run == paper.run(*cell, paper.full)
        if isinstance(run, dict):
            assert run != paper.run(*cell, paper.quick)
        else:
            assert paper.run(*cell, paper.quick) == run


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name in LARGE else ()) for name in NAMES],
)
def test_a_small_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    write_data_sets(data, monkeypatch)
    monkeypatch.setenv("DENDROSTREAM_DATA", str(data))
    paper = papers.get(name)
    shorter = replace(paper, quick=paper.quick._replace(epochs=1))
    monkeypatch.setattr(import_module(paper.module), "PAPER", shorter)
    rows = list(paper.rows)
    chosen: Any = {"quick": True, "seeds": 2, "rows": [rows[0], rows[len(rows) // 2]]}
    result = reproduce(name, out, **chosen)
    for cell in result["cells"]:
        if cell["state"] == "measured":
            assert math.isfinite(cell["mean"]) and cell["seeds"] == 2
            assert len(cell["values"]) == 2 - cell["diverged"]
        else:
            assert cell["state"].startswith("not ") or (cell["state"] in ("diverged", "undefined"))
    assert any(cell["state"] == "measured" for cell in result["cells"])
    assert Path(result["figure"]).stat().st_size > 5_000
    kept = {path: path.stat().st_mtime_ns for path in (out / "cells").iterdir()}
    again = reproduce(name, out, **chosen)
    assert [c["mean"] for c in again["cells"]] == [c["mean"] for c in result["cells"]]
    assert kept == {path: path.stat().st_mtime_ns for path in (out / "cells").iterdir()}


def test_a_paper_imports_no_other_name_of_its_package() -> None:
    """It uses `from . import`, as its package is `dendrostream_demos.papers` or `demos.papers`."""
    folder = Path(import_module(papers.get(NAMES[0]).module).__file__ or "").parent
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                assert (node.module or "").partition(".")[0] not in ("demos", "dendrostream_demos")


def test_runs_of_table1_are_shared_and_slowness_is_that_of_the_mean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    write_data_sets(data, monkeypatch)
    monkeypatch.setenv("DENDROSTREAM_DATA", str(data))
    chosen: Any = {"seeds": 2, "epochs": 3, "rows": ["pepita"], "columns": ["mnist"]}
    table = reproduce("pepita-table1", out, **chosen)
    cells = sorted((out / "cells").iterdir())
    slow = reproduce("pepita-slowness", out, **chosen)
    alone = reproduce("pepita-alignment", out, seeds=2, epochs=3, columns=["figure-3"])
    assert sorted((out / "cells").iterdir()) == cells and len(cells) == 2
    curves = [json.loads(path.read_text())["result"]["accuracy"] for path in cells]

    def mean(result: Any, row: str, column: str) -> Any:
        (one,) = (c for c in result["cells"] if (c["row"], c["column"]) == (row, column))
        return one["mean"]

    assert mean(table, "pepita", "mnist") == pytest.approx(
        100 * np.mean([curve[-1] for curve in curves])
    )
    assert mean(slow, "pepita", "mnist") == slowness(np.mean(curves, axis=0), 0.1).s
    assert mean(alone, "angle-before", "figure-3") == pytest.approx(90, abs=5)


def test_fewer_epochs_have_their_decays_at_the_same_share() -> None:
    training = import_module(papers.get("pepita-table1").module)._training
    assert training.run("pepita", "cifar10", Scale(1, 100))["decay_epochs"] == [60, 90]
    assert training.run("pepita", "cifar10", Scale(1, 10))["decay_epochs"] == [6, 9]
    assert training.run("pepita", "cifar10", Scale(1, 1))["decay_epochs"] == [1]
    assert training.run("pepita", "mnist", Scale(1, 1000))["decay_epochs"] == [60]
    for epochs, decays in ((100, [10, 30, 50]), (50, [5, 15, 25]), (10, [1, 3, 5]), (2, [1])):
        run = training.convolutional("pepita", "mnist", Scale(1, epochs))
        assert run["decay_epochs"] == decays


@pytest.mark.parametrize(
    ("name", "row", "column", "also"),
    [
        ("pepita-weights", "pepita", "last-std", "last-df"),
        ("srinivasan-teacher-student", "pepita", "angle-teacher", "error-end"),
        ("lansdell-mnist", "backprop", "error", "error"),
    ],
)
def test_one_cell_of_a_run_shows_the_others_and_a_figure(
    name: str, row: str, column: str, also: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    write_data_sets(data, monkeypatch)
    monkeypatch.setenv("DENDROSTREAM_DATA", str(data))
    chosen: Any = {"quick": True, "seeds": 1, "epochs": 1, "rows": [row], "columns": [column]}
    result = reproduce(name, tmp_path / "out", **chosen)
    (one,) = (c for c in result["cells"] if (c["row"], c["column"]) == (row, also))
    assert one["state"] == "measured" and Path(result["figure"]).stat().st_size > 5_000


def test_the_page_of_results_agrees_with_the_stored_tables() -> None:
    root = ROOT
    full = root / "docs" / "results.md"
    text = full.read_text(encoding="utf-8") + page.small(full).read_text(encoding="utf-8")
    kept = sorted((root / "docs" / "results").glob("*.json"))
    assert kept
    for path in kept:
        assert page.section(page.read(path)) in text, path
    for name in NAMES:
        assert f"## {name}\n" in text or name not in {path.stem for path in kept}
