"""Runs with many labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streaming.runs.run import Hooks, RunConfig, run

QUIET = Hooks(draw=False)


def numbers(path: Path, n: int, rows: int) -> str:
    rng = np.random.default_rng(0)
    lines = [f"{rng.normal():.3f},{rng.normal():.3f},{i % n}" for i in range(rows)]
    path.write_text("\n".join(["a,b,label", *lines]) + "\n")
    return f"csv:{path}"


def test_labels_that_look_like_numbers_and_how_much_room_they_take(tmp_path: Path) -> None:
    source = numbers(tmp_path / "p.csv", 3000, 6000)
    config = RunConfig.checked(
        source=source, hidden=(4,), epochs=1, rule="backprop", task="classification"
    )
    guess = getattr(RunConfig.checked(source=source).open(), "guess", "")
    assert guess.startswith("task: regression")
    summary = run(config, tmp_path / "r")
    size = sum(path.stat().st_size for path in (tmp_path / "r").rglob("*") if path.is_file())
    assert size < 1e6
    assert len(summary["confusion_classes"]) == len(summary["confusion"]) == 20
    assert set(summary["confusion_classes"]) <= set(range(3000))


@pytest.mark.slow
def test_fifty_thousand_labels(tmp_path: Path) -> None:
    source = numbers(tmp_path / "p.csv", 50_000, 50_000)
    config = RunConfig.checked(
        source=source, hidden=(4,), epochs=1, samples=2000, task="classification"
    )
    assert run(config, tmp_path / "r")["samples_seen"] == 2000


def test_class_labels_give_no_warning(tmp_path: Path) -> None:
    source = numbers(tmp_path / "p.csv", 60, 6000)
    config = RunConfig.checked(source=source, hidden=(4,), epochs=1, samples=300)
    assert len(run(config, tmp_path / "r", QUIET)["classes"]) == 60
