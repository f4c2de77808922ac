"""What the machine can do at most: bytes per second of each memory level, multiply-adds per second.

One core, float32. The levels are measured with arrays of half their size, the memory with one of
four times the largest cache. Processors whose caches the system does not report are assumed to have
`ASSUMED`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import llvmlite.binding
import numpy as np

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
ASSUMED = {"L1": 32 << 10, "L2": 512 << 10, "L3": 16 << 20}
MOST = 1 << 28  # bytes of the array that measures the memory
UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
ROW = 1024  # numbers of a row that is updated
TURNS = 20  # measurements; the fastest counts, as nothing makes a machine faster than it is
FEATURES = {"avx512f": "512 bit (AVX-512)", "avx2": "256 bit (AVX2)", "neon": "128 bit (NEON)"}


class Level(NamedTuple):
    """A cache or the memory. size: bytes, None for the memory. read, update: bytes per second."""

    name: str
    size: int | None
    read: float
    update: float


class Limits(NamedTuple):
    """levels: from the fastest to the memory. multiply_adds: per second, of one core in float32."""

    levels: list[dict[str, Any]]
    multiply_adds: float

    def level(self, working_set: float) -> Level:
        """The fastest level that holds so many bytes."""
        levels = [Level(**level) for level in self.levels]
        return next((one for one in levels if one.size and working_set <= one.size), levels[-1])


def best(some: Limits, others: Limits) -> Limits:
    """The faster of two measurements of one machine, number by number."""
    levels = [
        {**one, **{name: max(one[name], other[name]) for name in ("read", "update")}}
        for one, other in zip(some.levels, others.levels, strict=True)
    ]
    return Limits(levels, max(some.multiply_adds, others.multiply_adds))


def measured(quick: bool = False) -> Limits:
    """Measure it; ``quick``: in a moment, and roughly."""
    from rate_models.compiler.chains import CHAINS
    from streaming.benchmarks.roofline import probes

    seconds = 1e-4 if quick else 0.005
    sizes = caches()
    memory = min(4 * max(sizes.values()), MOST) if not quick else 1 << 20
    levels = []
    for name, size in {**sizes, "memory": None}.items():
        numbers = (size // 2 if size else memory) // 4 // ROW * ROW
        if quick:
            numbers = min(numbers, 1 << 16)
        x, pre = np.zeros(numbers, np.float32), np.zeros(ROW, np.float32)
        table = x.reshape(-1, ROW)
        read = _rate(partial(probes.read, x), 4 * numbers, seconds)
        update = _rate(partial(probes.update, table, pre), 8 * numbers, seconds)
        levels.append(Level(name, size, read, update)._asdict())
    rates = [
        _rate(partial(f, np.float32(0.5), np.float32(1)), width * CHAINS, seconds)
        for width, f in probes.MULTIPLY_ADDS.items()
    ]
    return Limits(levels, max(rates))


def _rate(work: Callable[[int], Any], each: int, seconds: float) -> float:
    """``each`` per turn of the work, per second."""
    work(1)  # compiles
    turns, needed = 1, 0.0
    while needed < seconds / 4:
        turns *= 4
        start = time.perf_counter()
        work(turns)
        needed = time.perf_counter() - start
    best = 0.0
    for _ in range(TURNS):
        start = time.perf_counter()
        work(turns)
        best = max(best, turns * each / (time.perf_counter() - start))
    return best


def caches() -> dict[str, int]:
    """Bytes of the data caches of the first processor, by level."""
    found = {}
    for folder in sorted(CACHES.glob("index*")):
        try:
            kind = (folder / "type").read_text().strip()
            size = (folder / "size").read_text().strip()
            level = (folder / "level").read_text().strip()
        except OSError:
            continue
        if kind != "Instruction" and size[-1:] in UNITS:
            found[f"L{level}"] = int(size[:-1]) * UNITS[size[-1]]
    return dict(sorted(found.items())) or dict(ASSUMED)


def processor() -> dict[str, str]:
    """Cores, the widest vectors, threads that were used, the load of the last minute, and the
    version of JAX; those that are known.
    """
    host = llvmlite.binding.get_host_cpu_features()
    vectors = next((text for name, text in FEATURES.items() if host.get(name)), "not known")
    about = {"cores": str(os.cpu_count()), "vectors": vectors, "threads": "1"}
    if hasattr(os, "getloadavg"):
        about["load"] = f"{os.getloadavg()[0]:.1f}"
    try:
        return {**about, "jax": version("jax")}
    except PackageNotFoundError:
        return about
