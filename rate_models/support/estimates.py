"""Estimates of memory and time, to refuse impossible requests before work begins.

The estimates are lower bounds of what is really used. What they refuse is impossible. What they
accept may still be too much, and then raises MemoryError where it is allocated.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from itertools import pairwise

from rate_models.errors import BadOption, quoted

DOUBLE = 8  # bytes of a float64 number: initial weights are drawn in float64
MOST_PLANNED = 1_000_000  # work items that are planned one by one; takes about ten seconds
LONG = 3600.0  # seconds: work that takes longer and cannot be resumed is refused
PACE = 1e11  # multiply-adds per second: an upper bound of the speed of one core
THREADS = 64  # threads that a network may have on any machine
PER_CORE = 16  # threads or processes allowed per core


def check_memory(what: str, got: object, needed: int, remedy: str = "choose less of it") -> None:
    """Raise BadOption where ``needed`` bytes are more than the free memory.

    >>> check_memory("sizes", "(10, 10**12)", 10**20)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    rate_models.errors.BadOption: sizes: got (10, 10**12), which takes 100000000000 GB of \
memory; expected at most ... GB, which are free; choose less of it
    """
    free = free_memory()
    if free is not None and needed > free:
        got = f"{got}, which takes {_gigabytes(needed)} of memory"
        expected = f"at most {_gigabytes(free)}, which are free"
        raise BadOption(what, got=got, expected=expected, remedy=remedy)


def check_network(sizes: Sequence[int]) -> None:
    """Raise BadOption where the weights of layers n_0, ..., n_L do not fit into memory.

    They are drawn in float64 and stored a second time in the kernels' layout.
    """
    numbers = sum(n * m for n, m in pairwise(sizes))
    check_memory("sizes", _sizes_text(sizes), 2 * DOUBLE * numbers, "choose smaller layers")


def check_time(what: str, got: object, seconds: float, remedy: str = "choose less of it") -> None:
    """Raise BadOption for work of more than an hour that saves nothing before its end.

    >>> check_time("--repeats", 10**6, 4e6)
    Traceback (most recent call last):
    rate_models.errors.BadOption: --repeats: got 1000000, which takes about 46 days; expected an \
hour at most; choose less of it
    """
    if not seconds <= LONG:
        got = f"{got}, which takes about {duration(seconds)}"
        raise BadOption(what, got=got, expected="an hour at most", remedy=remedy)


def check_learning(samples: int, sizes: Sequence[int]) -> None:
    """`check_time` for learning ``samples`` samples: two passes and one update per weight."""
    seconds = 3 * samples * sum(n * m for n, m in pairwise(sizes)) / PACE
    got = f"{_samples_text(samples)} through {_sizes_text(sizes)}"
    check_time("layers", got, seconds, "choose smaller layers or batches")


def check_waiting(what: str, samples: int, sizes: Sequence[int], itemsize: int) -> None:
    """Raise BadOption where ``samples`` samples in flight are too many to store or to plan.

    Each sample stores activities, teaching signals and changes: 8 arrays over the units, and the
    input.
    """
    check_memory(what, _samples_text(samples), samples * itemsize * (8 * sum(sizes[1:]) + sizes[0]))
    check_planned(what, samples, len(sizes) - 1)


def check_planned(what: str, samples: int, layers: int) -> None:
    """Raise BadOption for more samples than can be planned.

    A sample has 2 L + 1 work items: two passes per layer, and the error.
    """
    each = 2 * layers + 1
    if samples * each > MOST_PLANNED:
        got = f"{_samples_text(samples)}, which would have to be planned together"
        expected = f"at most {MOST_PLANNED // each:,} with {layers} layers"
        raise BadOption(what, got=got, expected=expected)


def check_workers(what: str, workers: int) -> None:
    """Raise BadOption for more threads or processes than this machine can reasonably run."""
    cores = os.cpu_count() or 1
    most = max(THREADS, PER_CORE * cores)
    if workers > most:
        expected = f"at most {most}: this machine has {cores} cores"
        raise BadOption(what, got=quoted(workers), expected=expected)


def free_memory() -> int | None:
    """Bytes that this process can still allocate; None where the system does not report it."""
    known = [n for n in (_unused(), _below_limit()) if n is not None]
    return min(known, default=None)


def duration(seconds: float) -> str:
    """
    >>> duration(90), duration(7200), duration(4e5), duration(1e12)
    ('2 minutes', '2 hours', '5 days', '31,710 years')
    """
    for unit, length in (("years", 365 * 86400), ("days", 86400), ("hours", 3600)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:,.0f} {unit}"
    return f"{max(2, math.ceil(seconds / 60))} minutes"


def _unused() -> int | None:
    """Available memory of the machine; where that is not reported, its total memory."""
    try:
        with open("/proc/meminfo", encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _below_limit() -> int | None:
    """Bytes left below the limit of the address space (ulimit -v); None without a limit."""
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit == resource.RLIM_INFINITY:
            return None
        with open("/proc/self/statm", encoding="ascii") as file:
            return max(0, limit - int(file.read().split()[0]) * resource.getpagesize())
    except (ImportError, OSError, ValueError, IndexError):
        return None


def _sizes_text(sizes: Sequence[int]) -> str:
    """
    >>> _sizes_text([784, 1024, 10])
    '(784, 1024, 10)'
    """
    some = sizes if len(sizes) <= 8 else [*sizes[:3], "...", *sizes[-2:]]
    return f"({', '.join(map(str, some))})"


def _samples_text(n: int) -> str:
    return f"{n:,} samples" if n < 10**15 else f"{quoted(n)} samples"


def _gigabytes(n: int) -> str:
    if n >= 10**18:
        return f"{quoted(n // 10**9, 20)} GB"
    return f"{n // 10**9:,} GB" if n >= 10**10 else f"{n / 1e9:.2g} GB"
