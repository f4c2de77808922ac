"""A run that others go on from: its options, and a run that does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from streaming.runs.going_on import go_on
from streaming.runs.run import Hooks

OPTIONS: dict[str, Any] = {
    "source": "synthetic:samples=900,features=6",
    "hidden": (8, 6),
    "epochs": 2,
    "interval": 300,
    "save_every": 700,
    "scale": "running",
    "lr": 0.003,
    "settings": {"momentum": 0.9, "dropout": 0.2},
}


def go(parent: Path, out: Path, **given: Any) -> dict[str, Any]:
    return go_on(parent, given, out, Hooks(draw=False))
