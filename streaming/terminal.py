"""What a person reads: text that gets out whatever the terminal can show and whoever reads it.

A terminal that knows no R² gets ``R\\xb2``. A reader that has gone, a full disk behind ``>`` or a
closed stream costs the text, never the work that it is about.
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


def say(message: str) -> None:
    """A line on stderr, above a progress bar where there is one; lost where none can take it."""
    with contextlib.suppress(OSError, ValueError):  # ValueError: the stream was closed
        if "tqdm" in sys.modules:
            sys.modules["tqdm"].tqdm.write(message, file=sys.stderr)
        else:
            print(message, file=sys.stderr, flush=True)


@contextlib.contextmanager
def slow(message: str, tell: Callable[[str], None] = say, after: float = 1.0) -> Iterator[None]:
    """Has ``message`` told where what is inside takes longer than ``after`` seconds."""
    notice = threading.Timer(after, tell, [message])
    notice.daemon = True
    notice.start()
    try:
        yield
    finally:
        notice.cancel()


@contextlib.contextmanager
def delivered() -> Iterator[None]:
    """Prepares stdout and stderr, and sees that stdout was written when the program ends.

    Where it could not be, the program ends with exit code 1, or its own where that is another
    than 0; with a line on stderr, but for a reader that wanted no more.
    """
    _open()
    code: object = 0
    try:
        try:
            yield
        except SystemExit as end:
            code = end.code
            sys.stdout.flush()  # not at the interpreter's end, where nobody can catch what happens
            raise
        sys.stdout.flush()
    except OSError as error:
        if isinstance(error, UserError) or error.filename is not None or _writable():
            raise
        if error.errno != errno.EPIPE:
            say(f"error: the output could not be written: {error.strerror}")
        raise SystemExit(code or UNWRITTEN) from None


def unraisable(lost: sys.UnraisableHookArgs) -> None:
    """A `sys.unraisablehook`: Ctrl-C while kernels are compiled leaves no more than a line.

    What the compiler had half made complains as it is thrown away, which nobody need read. Where
    the interrupt itself arrives in such a moment Python drops it, so it is sent again.
    """
    if lost.exc_type is KeyboardInterrupt:
        again = threading.Timer(AGAIN, _thread.interrupt_main)  # not from in here: lost once more
        again.daemon = True
        again.start()
    elif not str(getattr(lost.object, "__module__", "")).startswith("llvmlite."):
        sys.__unraisablehook__(lost)


def _open() -> None:
    """Streams that are there, and that write what the encoding has no sign for as an escape."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:  # closed by who started us: else the next file opened takes its number
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
        elif mode == "w" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _writable() -> bool:
    """Whether stdout takes another line; if not, it is pointed at nothing, for the exit's sake."""
    try:
        sys.stdout.write("\n")
        sys.stdout.flush()
        return True
    except OSError:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
