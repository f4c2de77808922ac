"""Shared stages that a second process compiles while this one compiles the kernel that calls them.

To compile a kernel, the types of a shared stage are needed first; its annotations give them. Its
machine code is needed only at the end. So each stage that is not cached yet is announced to a
helper process, which compiles one after another. When the rest of the kernel is compiled, this
process compiles the stages that the helper has not begun, starting from the last. Stages that a
stage calls are compiled in the same way. The process that creates the folder named after a stage
compiles it; the other one loads the result from the cache. If either process fails, the other
compiles all.
"""

# mypy: disable-error-code="attr-defined,no-untyped-call"

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType
from typing import Any

from numba.core import types
from numba.core.serialize import dumps

from rate_models.compiler import symbols
from rate_models.compiler.foreign import OURS

VARIABLE = "DENDROSTREAM_HELPER"  # 0: no second process
DONE, POLL = "done", 0.005  # seconds
ROOM = 48_000  # bytes that a pipe holds on every system we know, so that none is waited for
RETURNS = {"None": types.none, "bool": types.boolean}  # annotations of stages that are announced

_waiting: dict[str, Callable[[], object]] = {}  # by symbol: compile an announced stage here
_kernels = 0  # that are being compiled
_other: _Helper | _Parent | None = None


class _Helper:
    """A process that compiles what it is sent, and the folder of what either process has begun."""

    def __init__(self) -> None:
        self.begun, self.room = Path(tempfile.mkdtemp(prefix="dendrostream-")), ROOM
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "rate_models.compiler.helper", str(self.begun)],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip

    def send(self, function: FunctionType, args: Any) -> None:
        """Let the helper compile a stage, if what it has not read yet leaves room for it."""
        assert self.process.stdin is not None
        job = dumps((function.__module__, function.__name__, args))
        self.room -= len(job)
        if self.room > 0:
            with contextlib.suppress(OSError):  # of a process that has ended
                self.process.stdin.write(job)
                self.process.stdin.flush()

    def alive(self) -> bool:
        return self.process.poll() is None

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()
        shutil.rmtree(self.begun, ignore_errors=True)


class _Parent:
    """In the helper: the process that has started it."""

    def __init__(self, begun: Path) -> None:
        self.begun, self.number = begun, os.getppid()

    def send(self, function: FunctionType, args: Any) -> None:
        """Does nothing: the parent finds the stage itself."""

    def alive(self) -> bool:
        return os.getppid() == self.number

    def end(self) -> None:
        """Does nothing: the parent continues."""


@contextlib.contextmanager
def compiling() -> Iterator[None]:
    """A context in which a kernel is compiled: stages may be announced."""
    global _kernels, _other
    _kernels += 1
    try:
        yield
    finally:
        _kernels -= 1
        if not _kernels and _other is not None:
            _other.end()
            _other = None


def announced(
    symbol: str, function: FunctionType, args: Any, target: Any, make: Callable[[], object]
) -> Any:
    """What stands for a shared stage until it is `ready`; None where it has to be compiled now.

    make: compiles it in this process.
    """
    global _other
    returns = RETURNS.get(function.__annotations__.get("return", ""))
    if not _kernels or returns is None or not _found(function):
        return None
    if _other is None and _spare():
        with contextlib.suppress(OSError):
            _other = _Helper()
    if _other is None:
        return None
    _waiting[symbol] = make
    _other.send(function, args)
    return symbols.declare(symbol, target, function, args, returns)


def _found(function: FunctionType) -> bool:
    """Whether a process finds a stage by its name."""
    found = getattr(sys.modules[function.__module__], function.__name__, None)
    ours = function.__module__.partition(".")[0] in OURS
    return ours and getattr(found, "py_func", None) is function


def _spare() -> bool:
    """Whether a second process can run beside this one."""
    python = sys.executable and not getattr(sys, "frozen", False)
    return bool(python) and os.environ.get(VARIABLE) != "0" and len(_processors()) > 1


def _processors() -> Any:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return range(os.cpu_count() or 1)


def ready(called: list[str]) -> None:
    """Compile or wait for those of these stages that were announced and are not there yet."""
    for symbol in [symbol for symbol in reversed(called) if not _made(symbol)]:
        while _other and not (_other.begun / symbol / DONE).exists() and _other.alive():
            time.sleep(POLL)
        _make(symbol)


def _make(symbol: str) -> None:
    """Compile a stage, or load what the other process has compiled, unless it is there already.

    It waits on where that is interrupted: a kernel that calls it can be compiled again.
    """
    if symbol in _waiting:
        _waiting[symbol]()
        _waiting.pop(symbol)


def _made(symbol: str) -> bool:
    """`_make`, unless the other process has begun to: then False."""
    if symbol not in _waiting:
        return True
    if _other is None:
        _make(symbol)
        return True
    folder = _other.begun / symbol
    try:
        folder.mkdir()
    except FileExistsError:
        return False
    except FileNotFoundError:  # the folder of all was removed: each compiles for itself
        pass
    try:
        _make(symbol)
    finally:
        with contextlib.suppress(OSError):
            (folder / DONE).mkdir()
    return True


def main() -> None:
    """Compile what comes from the standard input, until it ends."""
    global _kernels, _other
    _kernels, _other = 1, _Parent(Path(sys.argv[1]))
    gc.disable()  # it takes a tenth of the time, and the process ends soon
    with contextlib.suppress(EOFError):
        while True:
            module, name, args = pickle.load(sys.stdin.buffer)
            stage = getattr(importlib.import_module(module), name)
            stage.compile(args)
            _made(stage._cache.symbol(args, stage.targetctx.codegen()))


if __name__ == "__main__":
    from rate_models.compiler import helper

    helper.main()
