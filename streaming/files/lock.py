"""A lock that admits one process at a time to a run's folder."""

from __future__ import annotations

import contextlib
import os
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

from rate_models.errors import BadOption, UserError
from streaming.files.folder import LOCK, folder_gone, remove_temporaries

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]


class RunLock:
    """The file ``dendrostream.lock`` in a run's folder, with the id of the process that holds it.

    The operating system releases the lock when that process ends for any reason. On a file system
    without locks there is a warning that a second process would not be noticed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / LOCK
        self._handle = _open_locked(self.path, folder)

    def check(self) -> None:
        """Raise UserError if the folder is no longer the one in which the run began."""
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(self._handle), os.stat(self.path)):
                return
        raise folder_gone(self.folder)

    def close(self) -> None:
        """Release the lock."""
        with contextlib.suppress(OSError, UserError):
            self.check()
            os.unlink(self.path)  # while it is locked: a process that waits for it opens a new one
        os.close(self._handle)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[RunLock]:
    """The lock of an existing folder; BadOption, with its id, if another process holds it."""
    lock = RunLock(folder)
    try:
        remove_temporaries(folder)
        yield lock
    finally:
        lock.close()


def holder(folder: Path) -> int | None:
    """The id of the process that works in a run's folder, if there is one; takes no lock."""
    try:
        number = int((folder / LOCK).read_text())
        os.kill(number, 0)  # signal 0: only asks whether it is there
    except PermissionError:
        return number
    except (OSError, ValueError, OverflowError):
        return None
    return number


def _open_locked(path: Path, folder: Path) -> int:
    """A handle of the locked file, with the id of this process in it."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _acquire(handle, folder)
            with contextlib.suppress(OSError):
                if os.path.samestat(os.fstat(handle), os.stat(path)):
                    os.truncate(handle, 0)
                    os.write(handle, f"{os.getpid()}\n".encode())
                    return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # another run removed the file when it ended: try again


def _acquire(handle: int, folder: Path) -> None:
    """Lock the file; BadOption if another process holds it, a warning if there are no locks."""
    problem: object = "not on this system"
    if fcntl is not None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            raise BadOption(
                str(folder),
                got=f"a folder in which process {_holder(handle)} is at work",
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


def _holder(handle: int) -> str:
    """The id of the process that holds the lock, which it writes a moment after it has it."""
    for _ in range(20):
        if number := os.pread(handle, 20, 0).decode(errors="replace").strip():
            return number
        time.sleep(0.01)
    return "(just starting)"
