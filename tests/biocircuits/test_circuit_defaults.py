"""Every circuit learns digits with default options, in steady state and in time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from biocircuits.network import CIRCUITS
from rate_models.support import lookup
from streaming.runs.run import RunConfig, run

NAMES = lookup.names(CIRCUITS)
IN_TIME: dict[str, Any] = {"mode": "continuous"}


def accuracy(folder: Path, circuit: str, settings: dict[str, Any], **options: Any) -> float:
    """Of held-out digits; a run that diverges raises."""
    config = RunConfig(circuit=circuit, settings=settings, **options)
    summary = run(config, folder / "run")
    assert summary["stopped"] in ("epochs", "samples")
    return float(summary["test_accuracy"])


@pytest.mark.parametrize("settings", [{}, IN_TIME], ids=["steady", "continuous"])
@pytest.mark.parametrize("name", NAMES)
def test_a_first_look_is_far_above_chance(
    name: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    """One pass with 32 hidden units: chance is 0.1."""
    assert accuracy(tmp_path, name, settings, hidden=(32,), epochs=1) > 0.35


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_bmvr_learns_digits_by_default(seed: int, tmp_path: Path) -> None:
    assert accuracy(tmp_path, "bmvr", {}, seed=seed) >= 0.88


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_circuit_learns_digits_by_default(name: str, tmp_path: Path) -> None:
    assert accuracy(tmp_path, name, {}) >= (0.95 if "bmvr" not in name else 0.9)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_circuit_learns_digits_in_time(name: str, tmp_path: Path) -> None:
    assert accuracy(tmp_path, name, IN_TIME, hidden=(64,)) >= (0.93 if "bmvr" not in name else 0.84)
