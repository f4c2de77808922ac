"""Locks of networks: one thread at a time, and a fork waits until the current sample is done."""

from __future__ import annotations

import concurrent.futures.thread  # noqa: F401  # it takes locks of its own at a fork, after ours
import os
import threading
import weakref
from typing import Any

_every: weakref.WeakSet[Any] = weakref.WeakSet()
_held: list[Any] = []  # from before a fork until after it


def new_lock() -> Any:
    """A reentrant lock; a fork waits until it is free.

    So a forked process gets a network that is between two samples, with a free lock.

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
