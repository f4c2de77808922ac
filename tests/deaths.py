"""Forks that die at an operation on files, as a process does that loses its power."""

from __future__ import annotations

import builtins
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from project import ROOT

OPERATIONS = (
    "open", "mkdir", "fsync", "rename", "replace", "unlink", "rmdir", "truncate", "write", "close"
)  # fmt: skip


def process(code: str, *arguments: str) -> str:
    """What a program writes that has this module: forks of it have no other threads."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *arguments],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), str(ROOT)])},
        capture_output=True, text=True, cwd=ROOT, timeout=3600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def killed_after(program: subprocess.Popen[Any], folder: Path, samples: int) -> None:
    """Kill a program that runs in ``folder``, once its metrics have so many samples."""
    due, seen = time.monotonic() + 120, 0
    try:
        while seen < samples:
            assert time.monotonic() < due and program.poll() is None, "it did not come so far"
            time.sleep(0.01)
            with contextlib.suppress(OSError, IndexError, ValueError):  # not there, or half written
                seen = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])[
                    "samples"
                ]
    finally:
        program.kill()
        program.wait()


def forked(work: Callable[[], object]) -> int:
    """The number of a process that does ``work``; it ends with 1 where that raises."""
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(60)
            work()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    return child


def ended(child: int) -> int:
    return os.waitpid(child, 0)[1]


def patched(n: int) -> None:
    """Have this process die with 9 at its n-th operation on files, before it is done."""
    left = [n]

    def dying(real: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any, **named: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                os._exit(9)
            return real(*args, **named)

        return called

    for name in OPERATIONS:
        setattr(os, name, dying(getattr(os, name)))
    builtins.open = dying(builtins.open)
