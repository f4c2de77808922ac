"""One process at a time in a run's folder."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

from rate_models.errors import BadOption, UserError
from streaming.files.folder import LOCK, gone, tidy

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]


class RunLock:
    """The file ``dendrostream.lock`` in a run's folder, with the number of the process at work.

    The operating system lets go of it when that process ends, however it ends. Where the file
    system has no locks a warning says that a second process would not be noticed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / LOCK
        self._handle = _opened(self.path, folder)

    def check(self) -> None:
        """Raise UserError where the folder is no longer the one in which the run began."""
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(self._handle), os.stat(self.path)):
                return
        raise gone(self.folder)

    def close(self) -> None:
        """Let go."""
        with contextlib.suppress(OSError, UserError):
            self.check()
            os.unlink(self.path)  # while it is ours: whoever opened it meanwhile opens it again
        os.close(self._handle)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[RunLock]:
    """This process alone in ``folder``, which exists; else BadOption, with the other's number."""
    lock = RunLock(folder)
    try:
        tidy(folder)
        yield lock
    finally:
        lock.close()


def _opened(path: Path, folder: Path) -> int:
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _take(handle, folder)
            with contextlib.suppress(OSError):
                if os.path.samestat(os.fstat(handle), os.stat(path)):
                    os.truncate(handle, 0)
                    os.write(handle, f"{os.getpid()}\n".encode())
                    return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # another run took it away when it ended: once more


def _take(handle: int, folder: Path) -> None:
    problem: object = "not on this system"
    if fcntl is not None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            number = os.pread(handle, 20, 0).decode(errors="replace").strip()
            raise BadOption(
                str(folder),
                got=f"a folder in which process {number or '(just starting)'} is at work",
                expected="one process at a time",
                remedy="wait until it has ended, or end it",
            ) from None
        except OSError as error:
            problem = error.strerror
    warnings.warn(
        f"{folder}: its file system has no locks ({problem}); a second process at work there would "
        "not be noticed",
        stacklevel=2,
    )
