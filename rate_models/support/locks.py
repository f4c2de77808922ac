"""One thread at a time in a network, and none in the middle of a sample when a process forks."""

from __future__ import annotations

import concurrent.futures.thread  # noqa: F401  # it takes locks of its own at a fork, after ours
import os
import threading
import weakref
from typing import Any

_every: weakref.WeakSet[Any] = weakref.WeakSet()
_held: list[Any] = []  # from before a fork until after it


def new_lock() -> Any:
    """A lock that the thread which has it may take again; a fork waits until it is free.

    So the copy of a network in a forked process stands between two samples, and its lock is free.

    >>> with new_lock() as lock:
    ...     lock
    True
    """
    lock = threading.RLock()
    _every.add(lock)
    return lock


def _take() -> None:
    for lock in list(_every):
        lock.acquire()
        _held.append(lock)


def _let_go() -> None:
    while _held:
        _held.pop().release()


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(before=_take, after_in_parent=_let_go, after_in_child=_let_go)
