"""How Brian 2 runs: device, code generation, seeds.

Two modes. ``runtime`` runs step by step from Python: every object can be looked at and changed
between runs; code by Cython, or by NumPy where there is no compiler, which is said as a warning.
``cpp_standalone`` writes the whole run as a C++ program, compiles and runs it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import numpy as np

from biocircuits.spiking.brian import load as load
from biocircuits.spiking.units import quantity
from rate_models.errors import BadOption, UserError

_prepared = 0  # how often `prepare` was called
MODES = ("runtime", "cpp_standalone")
TARGETS = ("auto", "cython", "numpy")
COMPILER = "install one (Debian: apt install g++; macOS: xcode-select --install)"


def compiler() -> str | None:
    """The C++ compiler that would be called, or None."""
    named = os.environ.get("CXX", "").split()
    names = named[:1] or ["g++", "c++", "clang++", "cl"]
    return next((name for name in names if shutil.which(name)), None)


def fastest() -> str:
    """The mode cpp_standalone where there is a compiler, else runtime."""
    return "cpp_standalone" if compiler() else "runtime"


def codegen_target(target: str = "auto") -> str:
    """``cython`` or ``numpy``, whichever can be had.

    auto: Cython, or NumPy with a RuntimeWarning that says why. Raises BadOption for another name,
    UserError where Cython was asked for and cannot be had.
    """
    if target not in TARGETS:
        raise BadOption("target", got=repr(target), expected=f"one of {', '.join(TARGETS)}")
    if target == "numpy":
        return target
    missing = "the package Cython" if find_spec("Cython") is None else ""
    if not missing and compiler() is None:
        missing = "a C++ compiler"
    if not missing:
        return "cython"
    remedy = "pip install cython" if "Cython" in missing else COMPILER
    if target == "cython":
        raise UserError("target cython", got=f"no {missing.split(maxsplit=1)[1]}", remedy=remedy)
    warnings.warn(
        f"spiking: {missing} is missing, so NumPy runs the network, many times slower; {remedy}",
        RuntimeWarning,
        stacklevel=3,
    )
    return "numpy"


def prepare(dt: Any, mode: str = "runtime", target: str = "auto", seed: int = 0) -> ModuleType:
    """Brian 2 ready for a new network: device, code generation, default step and seed.

    dt: a time with its unit. target: of the mode runtime. All objects of the network are made
    after this call. In cpp_standalone they belong to one program: build and run it by
    `finish`. Raises BadOption, and UserError where cpp_standalone finds no compiler.
    """
    b = load()
    if mode not in MODES:
        raise BadOption("mode", got=repr(mode), expected=f"one of {', '.join(MODES)}")
    if mode == "cpp_standalone" and compiler() is None:
        remedy = f"{COMPILER}, or take mode='runtime'"
        raise UserError("mode cpp_standalone", got="no C++ compiler", remedy=remedy)
    runtime()
    global _prepared
    _prepared += 1
    if mode == "cpp_standalone":
        b.set_device("cpp_standalone", build_on_run=False)
    else:
        b.prefs.codegen.target = codegen_target(target)
    b.start_scope()
    b.defaultclock.dt = quantity("dt", dt, "second")
    b.seed(seed_of(seed))
    return b


def seed_of(seed: int) -> int:
    """What Brian 2 takes for a seed: the number itself, or 32 bits drawn from one that has more."""
    if seed < 2**32:
        return int(seed)
    return int(np.random.SeedSequence(seed).generate_state(1)[0])


def prepared() -> int:
    """The number of the last `prepare`: a standalone network is the device's until the next."""
    return _prepared


def finish(folder: str | None = None) -> None:
    """Build and run what `prepare` and ``Network.run`` have described in cpp_standalone.

    folder: where the C++ program is written; None: a new temporary one. In runtime: nothing.
    """
    b = load()
    if standalone():
        folder = folder or tempfile.mkdtemp(prefix="dendrostream-")
        b.device.build(directory=folder, compile=True, run=True)


def runtime() -> None:
    """Back to the mode runtime. What a standalone run recorded is gone: read it before."""
    b = load()
    if standalone():
        b.device.reinit()
        b.device.activate()
        b.set_device("runtime")


def standalone() -> bool:
    """Whether the C++ device is active."""
    return type(load().get_device()).__name__ == "CPPStandaloneDevice"
