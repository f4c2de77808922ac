"""Printing to the terminal, for any encoding and any state of the output streams.

Characters that the encoding does not have are escaped: R² becomes ``R\\xb2``. A reader that has
closed the pipe, a full disk behind ``>`` or a closed stream loses the text, but never the results.
"""

from __future__ import annotations

import _thread
import contextlib
import errno
import os
import sys
import threading
from collections.abc import Callable, Iterator

from rate_models.errors import UserError

AGAIN = 0.05  # seconds until an interrupt that was lost is sent again
UNWRITTEN = 1  # exit code where the output could not be written


def notify(message: str) -> None:
    """Print a line on stderr, above a progress bar if there is one; errors are ignored."""
    with contextlib.suppress(OSError, ValueError):  # ValueError: the stream was closed
        if "tqdm" in sys.modules:
            sys.modules["tqdm"].tqdm.write(message, file=sys.stderr)
        else:
            print(message, file=sys.stderr, flush=True)


@contextlib.contextmanager
def slow(
    message: str, notify: Callable[[str], None] = notify, after: float = 1.0
) -> Iterator[None]:
    """A context that reports ``message`` if it lasts longer than ``after`` seconds."""
    notice = threading.Timer(after, notify, [message])
    notice.daemon = True
    notice.start()
    try:
        yield
    finally:
        notice.cancel()


@contextlib.contextmanager
def delivered() -> Iterator[None]:
    """A context that prepares stdout and stderr, and checks at its end that stdout was written.

    If it was not, the program ends with exit code 1, or with its own code if that is not 0. An
    error is printed on stderr, except for a reader that has closed the pipe.
    """
    _open()
    code: object = 0
    try:
        try:
            yield
        except SystemExit as end:
            code = end.code
            sys.stdout.flush()  # not at the interpreter's end, where no error can be caught
            raise
        sys.stdout.flush()
    except OSError as error:
        if isinstance(error, UserError) or error.filename is not None or _writable():
            raise
        if error.errno != errno.EPIPE:
            notify(f"error: the output could not be written: {error.strerror}")
        raise SystemExit(code or UNWRITTEN) from None


def unraisable(lost: sys.UnraisableHookArgs) -> None:
    """A `sys.unraisablehook`: Ctrl-C while kernels are compiled leaves no more than a line.

    Errors from deleting the compiler's unfinished objects are hidden. If the interrupt itself is
    raised during such a deletion, Python ignores it, so it is sent again.
    """
    if lost.exc_type is KeyboardInterrupt:
        again = threading.Timer(AGAIN, _thread.interrupt_main)  # not from in here: lost once more
        again.daemon = True
        again.start()
    elif not str(getattr(lost.object, "__module__", "")).startswith("llvmlite."):
        sys.__unraisablehook__(lost)


def _open() -> None:
    """Make sure that all streams exist, and that output escapes characters it cannot encode."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:  # closed by the parent: the next opened file would get its number
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
        elif mode == "w" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _writable() -> bool:
    """Whether stdout takes another line. If not, it is redirected to the null device, so that the
    flush at exit raises no error."""
    try:
        sys.stdout.write("\n")
        sys.stdout.flush()
        return True
    except OSError:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
