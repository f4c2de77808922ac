"""One thread for all of a process: NumPy's, scikit-learn's and torch's."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from importlib.util import find_spec


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """A context in which matrix products use one thread.

    On matrices of a few thousand numbers several threads only wait for each other: on two cores a
    step of torch on a 32 × 64 matrix took 4 ms with two threads, and 0.02 ms with one.
    """
    from threadpoolctl import threadpool_limits

    if find_spec("torch") is None:
        with threadpool_limits(1):
            yield
        return
    import torch  # before the limit, which covers what is loaded

    threads = torch.get_num_threads()
    with threadpool_limits(1):
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
