"""Runs of the command line in processes of their own, and whether two runs are the same."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from project import ROOT

from streaming import OnlineLearner
from streaming.runs.run import Hooks

TIMES = ("seconds", "samples_per_second", "memory", "latency", "out")

# A run of the command line that sends itself a signal once it has taken so many samples.
SIGNALLED = """
import os, sys
from streaming.runs import run
from streaming.cli import main

at, number = int(sys.argv[1]), int(sys.argv[2])
count = run.Run._count

def counted(self, scored, taken):
    count(self, scored, taken)
    if self.position - taken < at <= self.position:
        os.kill(os.getpid(), number)

run.Run._count = counted
main(sys.argv[3:])
"""

OPTIONS = {
    "source": "synthetic:samples=1800,features=6",
    "hidden": (8, 6),
    "epochs": 2,
    "interval": 300,
    "save_every": 700,
    "scale": "running",
    "lr": 0.003,
    "settings": {"momentum": 0.9, "dropout": 0.2},
}
ARGUMENTS = [
    *("--source", "synthetic:samples=1800,features=6", "--hidden", "8,6", "--epochs", "2"),
    *("--interval", "300", "--save-every", "700", "--scale", "running"),
    *("--lr", "0.003", "--set", "momentum=0.9", "--set", "dropout=0.2"),
]


def script(source: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", source, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=300,
    )


def untimed(values: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in values.items() if k not in TIMES}


def assert_same(ours: Path, theirs: Path) -> None:
    """Parameters, lines and summaries of two runs are the same, bit for bit."""
    a, b = (OnlineLearner.load(folder / "checkpoint").parameters() for folder in (ours, theirs))
    assert a.keys() == b.keys()
    for name in a:
        for x, y in zip(a[name], b[name], strict=True):
            np.testing.assert_array_equal(x, y)
    lines = [
        [untimed(json.loads(line)) for line in (f / "metrics.jsonl").read_text().splitlines()]
        for f in (ours, theirs)
    ]
    assert lines[0] == lines[1]
    summaries = [untimed(json.loads((f / "summary.json").read_text())) for f in (ours, theirs)]
    assert summaries[0] == summaries[1]


def stopped(at: int, draw: bool = False) -> Hooks:
    """Hooks that stop a run at a position."""
    seen = [0]
    return Hooks(
        lambda: seen[0] >= at, watch=lambda run: seen.__setitem__(0, run.position), draw=draw
    )
