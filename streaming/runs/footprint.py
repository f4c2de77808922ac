"""What a learner costs: how many parameters, how much memory, how long a sample takes.

Latency is the time of one call of ``learn_one`` with one sample, from raw numbers to changed
weights: checks, scaling, prediction, loss and update. A run itself learns blocks of up to 256
samples in one compiled call, which takes less time per sample (``samples_per_second``), but there a
sample waits for its block. So latency is measured on its own, at the end of a run: a copy of the
learner, which is thrown away, learns the first samples of the source again, one by one.
"""

from __future__ import annotations

import copy
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from rate_models.errors import UserError

if TYPE_CHECKING:
    from streaming.learner.learner import OnlineLearner
    from streaming.runs.state import Standing

SAMPLES = 1000  # of the measurement, at most
WARM = 3  # calls before it
SHARE, LEAST, MOST = 0.01, 0.02, 1.0  # of the run's seconds; seconds
LARGEST = 1 << 30  # bytes of a learner that is copied for it
ENOUGH = 100  # samples from which on there is a 99th percentile


def footprint(run: Standing, stopped: str) -> dict[str, Any]:
    """{parameters, memory, latency} of a run's learner.

    parameters: how many numbers `OnlineLearner.parameters` has: weights, biases and feedback.
    memory: bytes of ``parameters``, of the learner's whole ``state`` as a checkpoint has it, and
    the ``peak`` of the process so far, None where the system does not tell. latency: see
    `latency`; it takes a hundredth of the run's time, 20 ms at least and a second at most. None
    after an error, where the source cannot be read again, and for a learner of more than a GiB.
    """
    count, size = _parameters(run.learner)
    memory = {"parameters": size, "state": run.learner.nbytes, "peak": peak_memory()}
    measured = None if stopped in ("error", "diverged") else _latency_of(run)
    return {"parameters": count, "memory": memory, "latency": measured}


def latency(learner: OnlineLearner, X: Any, y: Any, seconds: float) -> dict[str, Any] | None:
    """{p50_us, p99_us, samples}: microseconds of a call of ``learn_one``, on a copy of ``learner``.

    X (N, n_0), y (N,): samples, learned again and again in this order. seconds: that it may take.
    p99_us is None where there was time for fewer than 100 samples; None without any.
    """
    spare, times = copy.deepcopy(learner), list[int]()
    end = time.perf_counter() + seconds
    for i in range(SAMPLES + WARM if len(y) else 0):
        x, label = X[i % len(y)], y[i % len(y)]
        begin = time.perf_counter_ns()
        spare.learn_one(x, label)
        times.append(time.perf_counter_ns() - begin)
        if time.perf_counter() > end:
            break
    taken = np.array(times[WARM:] or times) / 1000
    if not len(taken):
        return None
    p50, p99 = np.percentile(taken, [50, 99]).round(1).tolist()
    return {"p50_us": p50, "p99_us": p99 if len(taken) >= ENOUGH else None, "samples": len(taken)}


def rows(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """What `footprint` found, as lines of a report."""
    memory, found = summary["memory"], summary["latency"]
    peak = "" if memory["peak"] is None else f", process {_megabytes(memory['peak'])} at most"
    lines = [
        ("parameters", f"{summary['parameters']:,}"),
        ("memory", f"learner {_megabytes(memory['state'])}{peak}"),
    ]
    if found:
        tail = "" if found["p99_us"] is None else f", p99 {found['p99_us']:,.0f} us"
        lines.insert(0, ("latency per sample", f"p50 {found['p50_us']:,.0f} us{tail}"))
    return lines


def peak_memory() -> int | None:
    """The most bytes of memory that this process has held at once; None where nobody tells."""
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
    """How many there are, and their bytes."""
    arrays = [
        np.asarray(array)
        for value in learner.parameters().values()
        for array in (value if isinstance(value, list) else [value])
    ]
    return sum(a.size for a in arrays), sum(a.nbytes for a in arrays)


def _latency_of(run: Standing) -> dict[str, Any] | None:
    if run.learner.nbytes > LARGEST:
        return None
    seconds = min(MOST, max(LEAST, SHARE * run.seconds))
    try:
        with np.errstate(all="ignore"):
            X, y = next(iter(run.source.chunks(0)))
            return latency(run.learner, X, y, seconds)
    except (UserError, OSError, StopIteration, ArithmeticError, MemoryError):
        return None  # the run is what counts


def _megabytes(n: int) -> str:
    return f"{n / 1e6:,.1f} MB" if n < 1e8 else f"{n / 1e6:,.0f} MB"
