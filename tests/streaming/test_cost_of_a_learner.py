"""Memory and latency of the learner of a run."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from going_on import OPTIONS, go

from streaming import OnlineLearner
from streaming.runs.run import Run, RunConfig


def table(path: Path, header: str, rows: list[str]) -> str:
    path.write_text("\n".join([header, *rows, ""]))
    return f"csv:{path}"


def numbers(n: int, seed: int, labels: str = "0123") -> list[str]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 6)).round(3)
    return [f"{','.join(map(str, x))},{labels[i % len(labels)]}" for i, x in enumerate(X)]


NAMES = "a,b,c,d,e,f,label"


def test_the_report_shows_the_cost_of_a_learner(parent: Path, call: Any, tmp_path: Path) -> None:
    ended = call("run", "--from", parent, "--out", tmp_path / "r", "--quiet")
    lines = dict(line.split(maxsplit=1) for line in ended.out.splitlines()[4:])
    summary = json.loads((tmp_path / "r" / "summary.json").read_text())
    # W: 8 x 6, 6 x 8, 4 x 6; PEPITA's F: 6 x 4
    assert summary["parameters"] == 48 + 48 + 24 + 24 == int(lines["parameters"])
    assert summary["memory"]["parameters"] == 4 * summary["parameters"]
    assert summary["memory"]["state"] > 2 * summary["memory"]["parameters"]  # velocities
    assert summary["memory"]["peak"] > 2e7
    assert "latency per sample    p50" in ended.out and "process" in lines["memory"]


def test_latency_is_that_of_single_calls_and_changes_nothing(parent: Path) -> None:
    from streaming.runs.footprint import latency

    learner = OnlineLearner.load(parent / "checkpoint")
    before = {k: v.tobytes() for k, v in learner.network.state().items()}
    X, y = next(RunConfig.checked(**OPTIONS).open().chunks(0))
    calls: list[int] = []
    slow = OnlineLearner.learn_one

    found = latency(learner, X, y, 5.0)
    assert found and 0 < found["p50_us"] <= found["p99_us"] and found["samples"] == 1000
    with pytest.MonkeyPatch.context() as patch:
        import time

        def slower(self: Any, x: Any, label: Any) -> None:
            calls.append(1)
            time.sleep(0.002)
            slow(self, x, label)

        patch.setattr(OnlineLearner, "learn_one", slower)
        found = latency(learner, X, y, 0.1)
    assert found and found["p50_us"] > 2000 and found["p99_us"] is None
    assert 5 < len(calls) < 100 and found["samples"] == len(calls) - 3
    assert latency(learner, X[:0], y[:0], 1.0) is None
    assert {k: v.tobytes() for k, v in learner.network.state().items()} == before


def test_a_source_that_cannot_be_read_again_has_no_latency(
    parent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.remove(tmp_path / "t.csv")
    source = table(tmp_path / "t.csv", NAMES, numbers(60, 3))
    ended = Run._ended

    def gone(self: Run) -> str:
        why = ended(self)
        if why:
            (tmp_path / "t.csv").unlink(missing_ok=True)
        return why

    monkeypatch.setattr(Run, "_test", lambda self, stop: {})
    monkeypatch.setattr(Run, "_ended", gone)
    found = go(parent, tmp_path / "r", source=source)
    assert found["latency"] is None and found["stopped"] == "epochs"
