"""Compile all kernels into the cache: ``python -m rate_models.precompile``.

Each rule and dtype compiles in a process of its own, as many at a time as there are processors.
Prints the seconds that each first sample took; what is in the cache already takes next to none.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import numpy as np

from rate_models import rules
from rate_models.compiler.kernel import DTYPES
from rate_models.network import NetworkSpec
from rate_models.online.network import OnlineNetwork


def seconds(rule: str, dtype: str) -> float:
    """The seconds that a first sample takes, learned and predicted."""
    spec = NetworkSpec((2, 2, 2), loss=rules.get(rule).loss)
    net = OnlineNetwork(spec, rule, dtype=dtype)
    start = time.perf_counter()
    net.learn(np.ones((1, 2)), labels=[0])
    net.predict(np.ones((1, 2)))
    return time.perf_counter() - start


def _elsewhere(work: tuple[str, str]) -> float:
    command = [sys.executable, "-m", "rate_models.precompile", *work]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return float(done.stdout)


def main() -> None:
    """Print one line per rule and dtype; given one rule and dtype, its seconds alone."""
    if len(sys.argv) > 1:
        print(seconds(*sys.argv[1:]))
        return
    works = list(product(rules.names(), DTYPES))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for (rule, dtype), taken in zip(works, pool.map(_elsewhere, works), strict=True):
            print(f"{rule:28} {dtype:8} {taken:6.1f} s", flush=True)


if __name__ == "__main__":
    main()
