"""Compile all kernels into the cache: ``python -m rate_models.precompile``.

Each rule and dtype compiles in its own process, with as many processes as there are processors.
Prints the seconds that the first sample took; kernels that are already cached load quickly.
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
from rate_models.compiler import helper
from rate_models.compiler.kernel import DTYPES
from rate_models.network import NetworkSpec
from rate_models.online.network import OnlineNetwork


def seconds(rule: str, dtype: str) -> float:
    """The seconds to learn and to predict a first sample."""
    spec = NetworkSpec((2, 2, 2), loss=rules.get(rule).loss)
    net = OnlineNetwork(spec, rule, dtype=dtype)
    start = time.perf_counter()
    net.learn(np.ones((1, 2)), labels=[0])
    net.predict(np.ones((1, 2)))
    return time.perf_counter() - start


def _in_process(work: tuple[str, str]) -> float:
    command = [sys.executable, "-m", "rate_models.precompile", *work]
    alone = {**os.environ, helper.VARIABLE: "0"}  # all processors are at work
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, env=alone)
    return float(done.stdout)


def main() -> None:
    """Print one line per rule and dtype; with a rule and a dtype as arguments, only its seconds."""
    if len(sys.argv) > 1:
        print(seconds(*sys.argv[1:]))
        return
    works = list(product(rules.names(), DTYPES))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for (rule, dtype), spent in zip(works, pool.map(_in_process, works), strict=True):
            print(f"{rule:28} {dtype:8} {spent:6.1f} s", flush=True)


if __name__ == "__main__":
    main()
