"""A rule's kernels read and write what its work items say: see `tasks_interpreted`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tasks_interpreted import CASES

HERE = Path(__file__).parent


def test_the_work_items_are_true() -> None:
    code = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    done = subprocess.run(
        [*code, str(HERE / "tasks_interpreted.py")],
        capture_output=True, text=True, cwd=HERE.parent, timeout=300,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    assert f"{3 * len(CASES)} passed" in done.stdout, done.stdout[-300:]
