"""What a person waits for and pays once: start-up, compilation, memory. Each in a new process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

from rate_models.errors import UserError

# Prints seconds of the import and of the first sample, and the most MB before and after learning;
# None for those where the system does not say.
PROGRAM = """
import json, time
start = time.perf_counter()
import numpy as np
import dendrostream as ds
imported = time.perf_counter() - start
def memory():
    try:
        lines = open("/proc/self/status").read().splitlines()
    except OSError:
        return None
    return next(int(line.split()[1]) / 1e3 for line in lines if line.startswith("VmHWM:"))
before = memory()
learner = ds.OnlineLearner("{rule}", {sizes}, dtype="float32")
x, y = np.random.default_rng(0).random((1000, {sizes}[0])), np.arange(1000) % 10
start = time.perf_counter()
learner.learn_one(x[0], 1)
first = time.perf_counter() - start
learner.learn_many(x, y)
print(json.dumps([imported, first, before, memory()]))
"""
SMALL, LARGE = (64, 32, 10), (784, 1024, 10)


def measured(quick: bool, tell: Callable[[str], object]) -> list[dict[str, Any]]:
    """Rows {what, value, unit}. quick: nothing is compiled, so the time of that is left out.

    tell: called with what is measured next.
    """
    tell("start-up")
    start = time.perf_counter()
    _call(["-m", "dendrostream", "--help"])
    rows = [_row("dendrostream --help", time.perf_counter() - start, "s")]
    _learned(SMALL)  # so that it is compiled
    imported, first, *_ = _learned(SMALL)
    rows.append(_row("import of dendrostream in Python", imported, "s"))
    rows.append(_row("first sample of a rule that was compiled before", first, "s"))
    tell("memory")
    *_, before, after = _learned(LARGE)
    if before is not None and after is not None:
        rows.append(_row("memory of a process that has imported dendrostream", before, "MB"))
        rows.append(_row("more after learning with 784-1024-10, float32", after - before, "MB"))
    if not quick:
        tell("compilation")
        with tempfile.TemporaryDirectory() as folder:
            _, compiled, *_ = _learned(SMALL, DENDROSTREAM_CACHE=folder)
            _, further, *_ = _learned(SMALL, "backprop", DENDROSTREAM_CACHE=folder)
        rows.append(_row("first sample of a rule, with its compilation", compiled, "s"))
        rows.append(_row("first sample of backprop after it, with its compilation", further, "s"))
    return rows


def _row(what: str, value: float, unit: str) -> dict[str, Any]:
    return {"what": what, "value": value, "unit": unit}


def _learned(sizes: tuple[int, ...], rule: str = "pepita", **environment: str) -> list[Any]:
    printed = _call(["-c", PROGRAM.format(sizes=sizes, rule=rule)], **environment)
    numbers: list[Any] = json.loads(printed.splitlines()[-1])
    return numbers


def _call(arguments: list[str], **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], env={**os.environ, **environment}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise UserError("bench", got=f"a process that failed: {done.stderr.strip()[-300:]}",
                        expected="that dendrostream is installed")  # fmt: skip
    return done.stdout
