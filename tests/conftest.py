"""What tests of several files ask for."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
import threads
from command_line import called
from going_on import OPTIONS

from streaming.runs.run import Hooks, RunConfig, run
from streaming.threads import network

# The same cases each time, however busy the machine is; others: --hypothesis-profile=default
hypothesis.settings.register_profile("steady", derandomize=True, deadline=None)
hypothesis.settings.load_profile("steady")


@pytest.fixture
def short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads meet after every few samples."""
    monkeypatch.setattr(network, "SEGMENT", threads.SEGMENT)


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Any:
    """The command line in this process: `command_line.called`."""
    return partial(called, capsys)


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that others go on from; see `going_on`."""
    folder = tmp_path_factory.mktemp("runs") / "parent"
    run(RunConfig.checked(**OPTIONS), folder, Hooks(draw=False))
    return folder


@pytest.fixture(scope="module")
def regression(tmp_path_factory: pytest.TempPathFactory) -> RunConfig:
    """A regression without held-out samples, with a rate that adapts to the input."""
    path = tmp_path_factory.mktemp("data") / "t.csv"
    rng = np.random.default_rng(0)
    rows = [f"{a:.3f},{b:.3f},{a * b:.3f}" for a, b in rng.normal(size=(1800, 2))]
    path.write_text("\n".join(["a,b,p", *rows]) + "\n")
    return RunConfig.checked(
        source=f"csv:{path}", task="regression", hidden=(6,), epochs=2, interval=300,
        save_every=700, scale="none",
    )  # fmt: skip
