"""The cost of a learner: number of parameters, memory and latency per sample.

Latency is the time of one call of ``learn_one``, from a raw sample to changed weights: checks,
scaling, prediction, loss and update. A run learns chunks of up to 256 samples in one compiled call.
That takes less time per sample (``samples_per_second``), but a sample waits for the rest of its
chunk. So latency is measured separately at the end of a run: a temporary copy of the learner learns
the first samples of the source again, one at a time.
"""

from __future__ import annotations

import copy
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from rate_models.errors import UserError

if TYPE_CHECKING:
    from streaming.learner.learner import OnlineLearner
    from streaming.runs.state import BaseRun

SAMPLES = 1000  # the largest number of samples that are timed
WARM = 3  # calls before these
SHARE, LEAST, MOST = 0.01, 0.02, 1.0  # duration: fraction of the run; limits in seconds
LARGEST = 1 << 30  # bytes; a larger learner is not copied
ENOUGH = 100  # the least number of samples for a 99th percentile


def footprint(run: BaseRun, stopped: str) -> dict[str, Any]:
    """{parameters, memory, latency} of a run's learner.

    parameters: how many numbers `OnlineLearner.parameters` has: weights, biases and feedback.
    memory: bytes of the ``parameters``, of the whole ``state`` in a checkpoint, and of the process
    at its ``peak`` so far (None if the system does not report it).
    latency: see `latency`. The measurement takes 1 % of the run's duration, but at least 20 ms and
    at most 1 s. None after an error, for a learner above 1 GiB, and if the source cannot be read
    again.
    """
    count, size = _parameters(run.learner)
    memory = {"parameters": size, "state": run.learner.nbytes, "peak": peak_memory()}
    measured = None if stopped in ("error", "diverged") else _latency_of(run)
    return {"parameters": count, "memory": memory, "latency": measured}


def latency(learner: OnlineLearner, X: Any, y: Any, seconds: float) -> dict[str, Any] | None:
    """{p50_us, p99_us, samples}: microseconds of a call of ``learn_one``, on a copy of ``learner``.

    X (N, n_0), y (N,): samples, learned repeatedly in this order. seconds: the time limit.
    p99_us is None if fewer than 100 samples were timed; the result is None without samples.
    """
    spare, times = copy.deepcopy(learner), list[int]()
    end = float("inf")
    for i in range(SAMPLES + WARM if len(y) else 0):
        x, label = X[i % len(y)], y[i % len(y)]
        begin = time.perf_counter_ns()
        spare.learn_one(x, label)
        times.append(time.perf_counter_ns() - begin)
        if i == 0:  # the first call may compile a kernel
            end = time.perf_counter() + seconds
        elif time.perf_counter() > end:
            break
    timed = np.array(times[WARM:] or times[1:] or times) / 1000
    if not len(timed):
        return None
    p50, p99 = np.percentile(timed, [50, 99]).round(1).tolist()
    return {"p50_us": p50, "p99_us": p99 if len(timed) >= ENOUGH else None, "samples": len(timed)}


def rows(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """The results of `footprint` as lines of a report."""
    memory, timing = summary["memory"], summary["latency"]
    peak = "" if memory["peak"] is None else f", process {_megabytes(memory['peak'])} at most"
    lines = [
        ("parameters", f"{summary['parameters']:,}"),
        ("memory", f"learner {_megabytes(memory['state'])}{peak}"),
    ]
    if timing:
        tail = "" if timing["p99_us"] is None else f", p99 {timing['p99_us']:,.0f} us"
        lines.insert(0, ("latency per sample", f"p50 {timing['p50_us']:,.0f} us{tail}"))
    return lines


def peak_memory() -> int | None:
    """Peak memory of this process in bytes; None if the system does not report it."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    try:
        import resource
        import sys
    except ImportError:
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _parameters(learner: OnlineLearner) -> tuple[int, int]:
    """The number of parameters, and their size in bytes."""
    arrays = [
        np.asarray(array)
        for value in learner.parameters().values()
        for array in (value if isinstance(value, list) else [value])
    ]
    return sum(a.size for a in arrays), sum(a.nbytes for a in arrays)


def _latency_of(run: BaseRun) -> dict[str, Any] | None:
    if run.learner.nbytes > LARGEST:
        return None
    seconds = min(MOST, max(LEAST, SHARE * run.seconds))
    try:
        with np.errstate(all="ignore"):
            X, y = next(iter(run.source.chunks(0)))
            return latency(run.learner, X, y, seconds)
    except (UserError, OSError, StopIteration, ArithmeticError, MemoryError):
        return None  # a failed measurement must not fail the run


def _megabytes(n: int) -> str:
    return f"{n / 1e6:,.1f} MB" if n < 1e8 else f"{n / 1e6:,.0f} MB"
