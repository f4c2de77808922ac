"""A second process compiles stages beside this one, and whatever it does the result is the same."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from rate_models.compiler import helper

# Compiles a kernel of one shared stage, and prints what the helper compiled.
PROGRAM = """
import sys, time
import numpy as np
from rate_models.compiler import helper
from rate_models.compiler.kernel import kernel
from rate_models.kernels import sweeps

@kernel
def run(y, alpha, x, bits):
    sweeps.add_outer(y, alpha, x, bits)

done, begun, mine = [], [], set()
end, made = helper._Helper.end, helper._made
def seen_end(self):
    done.extend(set(self.begun.glob("*/done")) - mine)
    begun.append((self.begun, self.process))
    end(self)
helper._Helper.end = seen_end
def late(symbol):  # so late that the helper is the first
    until = time.monotonic() + {patience}
    folder = helper._other.begun if helper._other else None
    while folder and not (folder / symbol).exists() and time.monotonic() < until:
        time.sleep(0.01)
    here = True
    try:
        here = made(symbol)
    finally:
        if folder and here:
            mine.add(folder / symbol / "done")
    return here
helper._made = late
helper._processors = lambda: range({processors})
sys.executable = {executable!r} or sys.executable
alpha, x = np.arange(24.0).reshape(8, 3), np.arange(40.0).reshape(8, 5)
y = np.zeros((3, 5))
if {interrupted}:
    cache = sweeps.add_outer._cache
    left, compile = [KeyboardInterrupt], cache._compile
    def once(args):
        if left:
            raise left.pop()
        return compile(args)
    cache._compile = once
    try:
        run(y, alpha, x, np.zeros(3))
    except KeyboardInterrupt:
        pass
run(y, alpha, x, np.zeros(3))
assert (y == alpha.T @ x).all()
assert not any(folder.exists() or process.poll() is None for folder, process in begun)
print(len(begun), len(done))
"""


def run(
    tmp_path: Path,
    executable: str = "",
    patience: float = 20.0,
    processors: int = 2,
    wanted: str = "1",
    interrupted: bool = False,
) -> tuple[int, int]:
    """Numbers of helpers and of what they compiled; the files of kernel and stage are there."""
    code = PROGRAM.format(executable=executable, patience=patience, processors=processors,
                          interrupted=interrupted)  # fmt: skip
    cache = {"DENDROSTREAM_CACHE": str(tmp_path / "cache"), helper.VARIABLE: wanted}
    given = {**os.environ, **cache}
    done = subprocess.run([sys.executable, "-c", code], env=given, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    names = [path.name for path in tmp_path.glob("cache/kernels/*/*")]
    assert len(names) == 2 and any(name.startswith("sweeps.add_outer-") for name in names)
    helpers, compiled = map(int, done.stdout.split())
    return helpers, compiled


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_the_helper_compiles_what_is_announced(tmp_path: Path) -> None:
    assert run(tmp_path) == (1, 1)
    assert run(tmp_path) == (0, 0)  # all is kept


@pytest.mark.skipif(sys.platform == "win32", reason="scripts of a shell")
@pytest.mark.parametrize("text", ["exit 1", "exec sleep 600"], ids=["ends", "begins nothing"])
def test_whatever_becomes_of_the_helper_the_kernel_is_compiled(tmp_path: Path, text: str) -> None:
    assert run(tmp_path, script(tmp_path / "python", text), patience=0.5) == (1, 0)


@pytest.mark.skipif(sys.platform == "win32", reason="scripts of a shell")
def test_what_a_helper_has_begun_and_not_ended_is_compiled_here(tmp_path: Path) -> None:
    begins = (
        "import pathlib, sys, time; folder = pathlib.Path(sys.argv[-1]); time.sleep(0.5); "
        "from rate_models.compiler import helper; from importlib import import_module; "
        "import pickle; module, name, args = pickle.load(sys.stdin.buffer); "
        "stage = getattr(import_module(module), name); "
        "symbol = stage._cache.symbol(args, stage.targetctx.codegen()); "
        "(folder / symbol).mkdir()"
    )
    text = f"exec {sys.executable} -c '{begins}' \"$@\""
    assert run(tmp_path, script(tmp_path / "python", text)) == (1, 0)


@pytest.mark.skipif(sys.platform == "win32", reason="scripts of a shell")
def test_a_kernel_whose_compilation_was_interrupted_is_compiled_again(tmp_path: Path) -> None:
    sleeps = script(tmp_path / "python", "exec sleep 600")
    assert run(tmp_path, sleeps, patience=0.5, interrupted=True)[1] == 0


def test_no_helper_on_one_processor_or_where_none_is_wanted(tmp_path: Path) -> None:
    assert run(tmp_path / "one", processors=1) == (0, 0)
    assert run(tmp_path / "none", wanted="0") == (0, 0)
