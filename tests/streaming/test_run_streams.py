"""Runs on files: short intervals, skipped outliers, and files that change during the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import assert_one_error

from rate_models.errors import BadOption, Diverged
from streaming.runs.run import Hooks, RunConfig, resume, run


def write(
    path: Path, rows: int = 400, seed: int = 0, classes: str = "xy", outlier: int = -1
) -> str:
    rng = np.random.default_rng(seed)
    lines = ["a,b,c,label"]
    for row in range(rows):
        numbers = [*map(str, rng.random(3).round(4))]
        numbers[0] = "1e30" if row == outlier else numbers[0]
        lines.append(",".join([*numbers, classes[int(rng.integers(len(classes)))]]))
    path.write_text("\n".join(lines) + "\n")
    return f"csv:{path}"


def config(source: str, **options: Any) -> RunConfig:
    return RunConfig.checked(**{"source": source, "hidden": 4, "epochs": 1, **options})


@pytest.mark.parametrize(("rows", "classes"), [(400, "xy"), (60, "x")])
def test_a_line_a_sample_is_no_divergence(rows: int, classes: str, tmp_path: Path) -> None:
    """The first sample is scaled to zeros, for which every layer is silent."""
    source = write(tmp_path / "d.csv", rows, classes=classes)
    summary = run(config(source, interval=1, samples=50), tmp_path / "r", Hooks(draw=False))
    assert summary["stopped"] in ("samples", "epochs")


def test_a_dead_network_is_still_seen_with_short_intervals(tmp_path: Path) -> None:
    source = write(tmp_path / "d.csv", 800)
    options = {"interval": 1, "lr": 1e4, "scale": "none", "epochs": 3}
    with pytest.raises(Diverged):
        run(config(source, **options), tmp_path / "r", Hooks(draw=False))


def test_outliers_that_are_skipped_stop_no_run(tmp_path: Path) -> None:
    source = write(tmp_path / "d.csv", 1500, outlier=193)
    options = {"on_bad": "skip", "lr": 0.01, "scale": "none", "interval": 100}
    summary = run(config(source, **options), tmp_path / "r", Hooks(draw=False))
    assert summary["stopped"] == "epochs"


def test_a_file_that_changed_is_not_resumed(tmp_path: Path) -> None:
    file = tmp_path / "d.csv"
    source = write(file, 2000)
    seen = [0]

    def watch(this: Any) -> None:
        seen[0] = this.position

    hooks = Hooks(stop=lambda: seen[0] > 600, watch=watch, draw=False)
    stopped = run(config(source), tmp_path / "r", hooks)
    assert stopped["stopped"] == "interrupted"
    kept = (tmp_path / "r" / "metrics.jsonl").read_bytes()
    for change in ({"seed": 1}, {"rows": 300}):
        write(file, **{"rows": 2000, **change})
        with pytest.raises(BadOption, match="a file that changed since the run stopped"):
            resume(tmp_path / "r", Hooks(draw=False))
        assert (tmp_path / "r" / "metrics.jsonl").read_bytes() == kept
    write(file, 2000)
    assert resume(tmp_path / "r", Hooks(draw=False))["stopped"] == "epochs"


@pytest.mark.parametrize(
    ("setting", "word"),
    [
        ("bias=False", "bias"),
        ("activation=null", "activation"),
        ("decay_epochs=NaN", "decay_epochs"),
        ("decay_epochs=1e999", "decay_epochs"),
    ],
)
def test_invalid_settings_are_refused(setting: str, word: str, call: Any, tmp_path: Path) -> None:
    done = call("run", "--set", setting, "--out", tmp_path / "r")
    assert_one_error(done, word)
    assert not (tmp_path / "r").exists()
