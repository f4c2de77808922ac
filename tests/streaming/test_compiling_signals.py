"""Ctrl-C during the compilation of kernels ends with one line of output."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from llvmlite.binding import ffi
from project import ROOT

from streaming import terminal

# The command line with an interrupt at the first object of LLVM: when it is created, or when it is
# deleted, where Python drops exceptions.
INTERRUPTED = """
import os, signal, sys
from llvmlite.binding import ffi
from dendrostream.__main__ import main

name, left = sys.argv.pop(1), [1]
real = getattr(ffi.ObjectRef, name)

def interrupted(self, *rest):
    if left:
        left.pop()
        if name == "__init__":
            signal.raise_signal(signal.SIGINT)
        else:
            os.kill(os.getpid(), signal.SIGINT)
    return real(self, *rest)

setattr(ffi.ObjectRef, name, interrupted)
main()
"""
RUN = ("run", "--source", "synthetic:samples=50", "--hidden", "4", "--quiet", "--out", "r")
MEASURED = ("schedule", "--layers", "4,3,2", "--samples", "20", "--measure")


@pytest.mark.slow  # compiles
@pytest.mark.parametrize("when", ["__init__", "close"])
@pytest.mark.parametrize("command", [RUN, MEASURED], ids=lambda words: words[0])
def test_one_line_and_no_traceback(command: tuple[str, ...], when: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, when, *command],
        env=os.environ | {"DENDROSTREAM_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, cwd=tmp_path, timeout=300,
    )  # fmt: skip
    assert done.returncode == 130, done.stderr
    lines = [line for line in done.stderr.splitlines() if not line.startswith("measuring")]
    assert len(lines) == 1 and lines[0].startswith("interrupted"), done.stderr


def dropped(of: Any, error: BaseException) -> Any:
    """The argument of `sys.unraisablehook`."""
    return SimpleNamespace(
        object=of, exc_type=type(error), exc_value=error, exc_traceback=None, err_msg=None
    )


@pytest.fixture
def interrupted() -> Iterator[None]:
    """Python's own answer to SIGINT, also where the tests were started with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interrupted")
def test_an_interrupt_that_was_dropped_is_sent_again() -> None:
    terminal.unraisable(dropped(ffi.ObjectRef.__del__, KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        for _ in range(1000):
            time.sleep(0.01)


def test_errors_of_deleted_compiler_objects_are_not_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reported: list[Any] = []
    monkeypatch.setattr(sys, "__unraisablehook__", reported.append)
    error = AttributeError("_as_parameter_")
    terminal.unraisable(dropped(ffi.ObjectRef.__del__, error))
    assert not reported
    others = [dropped(of, error) for of in (Path.exists, None, object())]
    for other in others:
        terminal.unraisable(other)
    assert reported == others
