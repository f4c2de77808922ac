"""How long the kernels take to compile: ``python -m rate_models.compile_times``.

Each rule and dtype compiles in a process of its own, into an empty cache folder.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

import numpy as np

from rate_models import lookup
from rate_models.kernel import DTYPES
from rate_models.network import NetworkSpec
from rate_models.online import OnlineNetwork
from rate_models.textbook import RULES


def seconds(rule: str, dtype: str) -> float:
    """The seconds that a first sample takes, in a process that has compiled nothing yet."""
    spec = NetworkSpec((2, 2, 2), loss=lookup.get(RULES, rule).DEFAULT_LOSS)
    net = OnlineNetwork(spec, rule, dtype=dtype)
    start = time.perf_counter()
    net.learn(np.ones((1, 2)), labels=[0])
    return time.perf_counter() - start


def main() -> None:
    """Print one line per rule and dtype; given one rule and dtype, its seconds alone."""
    if len(sys.argv) > 1:
        print(seconds(*sys.argv[1:]))
        return
    for rule in lookup.names(RULES):
        for dtype in DTYPES:
            command = [sys.executable, "-m", "rate_models.compile_times", rule, dtype]
            with tempfile.TemporaryDirectory() as cache:
                done = subprocess.run(
                    command,
                    env={**os.environ, "DENDROSTREAM_CACHE": cache},
                    stdout=subprocess.PIPE,
                    check=True,
                    text=True,
                )
            print(f"{rule:12} {dtype:8} {float(done.stdout):6.1f} s", flush=True)


if __name__ == "__main__":
    main()
